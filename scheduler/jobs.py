"""The jobs of the scheduler: what each is called, what it claims, what it does with a claim, and how often."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from scheduler.worker_pool import Counts, SequentialWorker, WorkerPool
from wallet_core.domain.model.bank import AnswerKind
from wallet_core.domain.model.hold import HoldClaim
from wallet_core.domain.model.payment_order import Claim, PaymentOrder
from wallet_core.domain.model.webhook import DeliveryClaim
from wallet_core.storage.scheduling.claims import Claims
from wallet_core.usecases.app import App
from wallet_core.usecases.credit_deposit import credit_deposit
from wallet_core.usecases.deliver_webhook import deliver
from wallet_core.usecases.expire_hold import expire_hold
from wallet_core.usecases.pay_out import NO_TIME, pay_out
from wallet_core.usecases.reconcile_order import reconcile
from wallet_core.usecases.reconcile_statement import reconcile_statement

Work = TypeVar("Work")

NOT_SENT = "NOT_SENT"
NOT_OURS = "NOT_OURS"
"""The claim was taken over by another worker, or the work is done."""

# Events that are moved into the journal in one database transaction.
JOURNAL_STEP = 1000

# Journal records that are queued for webhooks, or deliveries that are removed, in one database transaction.
WEBHOOK_STEP = 1000


class Worker(Protocol):
    """Does the work of a job in a process."""

    def drain(self) -> bool:
        """Do all work that is due; return whether there was any."""

    def once(self, limit: int, /) -> Counts:
        """Do up to *limit* pieces of work to the end; return their outcomes."""

    def stop(self) -> None:
        """Start no further work."""

    def close(self) -> None:
        """Start no further work, and wait for what is in progress."""


class Job(Protocol):
    """A job; *name* is in logs and in the output of ``--once``."""

    @property
    def name(self) -> str:
        """The name."""

    @property
    def period(self) -> str:
        """The setting of its period in seconds, as section and field."""

    @property
    def calls_bank(self) -> bool:
        """Whether it pays, collects, or asks the bank for a status."""

    @property
    def wakes(self) -> str:
        """The name of the job that runs at once after this one has done something; empty: none."""

    def worker(self, app: App, *, clock_offset: timedelta = NO_TIME) -> Worker:
        """Return a worker for this process."""


@dataclass(frozen=True, slots=True)
class ClaimingJob(Generic[Work]):
    """A job that claims what is due, as much as it has free workers for, and does each piece on a thread of its own."""

    name: str
    claims: Callable[[Claims], Callable[..., list[Work]]]
    """Which method of ``Claims`` it claims by."""
    work: Callable[[App, Work, timedelta], str]
    """Does one piece, and returns a word for its outcome."""
    period: str = "payouts.poll_s"
    calls_bank: bool = False
    pauses_on: frozenset[str] = frozenset()
    """Outcomes after which it pauses, with backoff: the bank cannot be reached."""
    wakes: str = ""

    def worker(self, app: App, *, clock_offset: timedelta = NO_TIME) -> WorkerPool[Work]:
        """Return a worker for this process. *clock_offset* is for tests: the clock by which work is due."""
        take = self.claims(app.claims)
        lease = app.payouts.policy.lease
        return WorkerPool(
            self.name,
            slots=app.payouts.parallelism,
            claim=lambda limit: take(limit=limit, lease=lease, clock_offset=clock_offset),
            work=lambda piece: self.work(app, piece, clock_offset),
            pausing=self.pauses_on,
            pause=lambda times: app.payouts.policy.backoff(times, 1.0).total_seconds(),
        )

    def run_once(self, app: App, *, limit: int = 1000, clock_offset: timedelta = NO_TIME) -> Counts:
        """Do up to *limit* pieces that are due, each to the end; return their outcomes."""
        return self.worker(app, clock_offset=clock_offset).once(limit)


@dataclass(frozen=True, slots=True)
class SequentialJob:
    """A job without claims, done step by step: two processes at once do no harm."""

    name: str
    step: Callable[[App], tuple[Counter[str], bool]]
    """Does one step; returns its outcomes, and whether there is more to do."""
    period: str
    calls_bank: bool = False
    wakes: str = ""

    def worker(self, app: App, *, clock_offset: timedelta = NO_TIME) -> SequentialWorker:
        """Return a worker for this process."""
        del clock_offset
        return SequentialWorker(lambda: self.step(app))

    def run_once(self, app: App, *, limit: int = 1000) -> Counts:
        """Do up to *limit* steps; return their outcomes."""
        return self.worker(app).once(limit)


@dataclass(frozen=True, slots=True)
class DeliveringJob:
    """Sends what is due to webhooks. It wakes itself: the end of one delivery may make the next of its wallet due."""

    name: str
    period: str
    calls_bank: bool = False

    @property
    def wakes(self) -> str:
        """Itself."""
        return self.name

    def worker(self, app: App, *, clock_offset: timedelta = NO_TIME) -> WorkerPool[DeliveryClaim]:
        """Return a worker for this process. *clock_offset* is for tests: the clock by which work is due."""
        chosen = app.webhooks
        return WorkerPool(
            self.name,
            slots=chosen.parallelism,
            claim=lambda limit: app.webhook_queue.claim(
                limit=limit,
                at_once=chosen.endpoint_parallelism,
                lease=chosen.policy.lease,
                clock_offset=clock_offset,
            ),
            work=lambda claim: deliver(app, claim, clock_offset=clock_offset),
            chained=True,
        )

    def run_once(self, app: App, *, limit: int = 1000, clock_offset: timedelta = NO_TIME) -> Counts:
        """Make up to *limit* attempts that are due, each to the end; return their outcomes."""
        return self.worker(app, clock_offset=clock_offset).once(limit)


def outcome_of(order: PaymentOrder | None) -> str:
    """Return the outcome of work on an order: its state."""
    return order.state if order is not None else NOT_OURS


def _send(app: App, claim: Claim, clock_offset: timedelta) -> str:
    order = pay_out(app, claim, clock_offset=clock_offset)
    unsent = order is not None and order.attempts and order.attempts[-1].answer is AnswerKind.NOT_SENT
    return NOT_SENT if unsent else outcome_of(order)


def _reconcile(app: App, claim: Claim, clock_offset: timedelta) -> str:
    return outcome_of(reconcile(app, claim, clock_offset=clock_offset))


def _credit(app: App, claim: Claim, _: timedelta) -> str:
    return outcome_of(credit_deposit(app, claim))


def _expire(app: App, claim: HoldClaim, clock_offset: timedelta) -> str:
    hold = expire_hold(app, claim, clock_offset=clock_offset)
    return hold.state if hold is not None else NOT_OURS


def _read_page(app: App) -> tuple[Counter[str], bool]:
    page = reconcile_statement(app)
    return page.counts, page.more


def _write_journal(app: App) -> tuple[Counter[str], bool]:
    written = app.journal.write(JOURNAL_STEP)
    return Counter(WRITTEN=written) if written else Counter(), written == JOURNAL_STEP


def _write_checkpoint(app: App) -> tuple[Counter[str], bool]:
    """Sign one checkpoint at most: the next one is not due at once."""
    return Counter(signed=int(app.checkpoints.write_if_due())), False


def _summarize_journal(app: App) -> tuple[Counter[str], bool]:
    summed_up = app.summaries.write_if_due()
    return Counter(signed=int(summed_up)), summed_up


def _queue_webhooks(app: App) -> tuple[Counter[str], bool]:
    queued, more = app.webhook_queue.queue(WEBHOOK_STEP)
    return Counter(QUEUED=queued) if queued else Counter(), more


def _prune_deliveries(app: App) -> tuple[Counter[str], bool]:
    chosen = app.webhooks
    pruned = app.webhook_queue.prune(
        limit=WEBHOOK_STEP, delivered_kept=chosen.delivered_kept, dead_kept=chosen.dead_kept
    )
    return Counter(PRUNED=pruned) if pruned else Counter(), pruned == WEBHOOK_STEP


reconcile_bank_statement = SequentialJob("reconcile-bank-statement", _read_page, period="bank.statement_poll_s")
pay_due_withdrawals = ClaimingJob(
    "pay-due-withdrawals", lambda claims: claims.to_pay, _send, calls_bank=True, pauses_on=frozenset({NOT_SENT})
)
reconcile_withdrawals = ClaimingJob(
    "reconcile-withdrawals", lambda claims: claims.to_reconcile, _reconcile, calls_bank=True
)
collect_due_deposits = ClaimingJob(
    "collect-due-deposits", lambda claims: claims.to_collect, _send, calls_bank=True, pauses_on=frozenset({NOT_SENT})
)
reconcile_collections = ClaimingJob(
    "reconcile-collections", lambda claims: claims.to_reconcile_collections, _reconcile, calls_bank=True
)
credit_due_deposits = ClaimingJob("credit-due-deposits", lambda claims: claims.to_credit, _credit)
expire_holds = ClaimingJob("expire-holds", lambda claims: claims.to_expire, _expire)
write_journal = SequentialJob("write-journal", _write_journal, period="journal.write_s", wakes="queue-webhooks")
write_checkpoints = SequentialJob("write-checkpoints", _write_checkpoint, period="checkpoints.check_s")
summarize_journal = SequentialJob("summarize-journal", _summarize_journal, period="journal.summarize_s")
queue_webhooks = SequentialJob("queue-webhooks", _queue_webhooks, period="webhooks.poll_s", wakes="deliver-webhooks")
deliver_webhooks = DeliveringJob("deliver-webhooks", period="webhooks.poll_s")
prune_webhook_deliveries = SequentialJob("prune-webhook-deliveries", _prune_deliveries, period="webhooks.prune_s")

JOBS: tuple[Job, ...] = (
    reconcile_bank_statement,
    pay_due_withdrawals,
    reconcile_withdrawals,
    collect_due_deposits,
    reconcile_collections,
    credit_due_deposits,
    expire_holds,
    write_journal,
    write_checkpoints,
    summarize_journal,
    queue_webhooks,
    deliver_webhooks,
    prune_webhook_deliveries,
)
