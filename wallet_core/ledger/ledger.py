"""The ledger: posts commands, one database transaction for each batch of the queue."""

import threading
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import timedelta
from time import monotonic

from wallet_core.call_scope import note_done
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decide import decide
from wallet_core.domain.deciding.decision import Done, Outcome, Refused
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.errors import (
    DeadlineTooShort,
    OutcomeUnknown,
    ServiceError,
    TransactionConflict,
    WalletError,
)
from wallet_core.domain.model.money import INT64_MAX
from wallet_core.domain.model.wallet import WalletId, is_system
from wallet_core.ledger.group_commit import GroupCommit, Ticket
from wallet_core.storage.connections.engine import Engine, transaction
from wallet_core.storage.errors import BatchBlocked, BatchError, BatchRefused, DatabaseLost, PoolExhausted
from wallet_core.storage.posting import load_and_store as posting

CommandTicket = Ticket[Command, Outcome]

# A batch that the database refused, or that was lost with its connection, runs once more unchanged: it finds and
# replays what the winner of a race, or its own first try, has committed.
_TRIES = 2

# How long a wallet counts as stuck after it was last found locked; the slow queue may find it free sooner.
_STUCK_S = 10.0


class Ledger:
    """Posts commands: load, decide, store, commit; as many in a batch as the queue has.

    A batch that finds a wallet locked by another transaction continues without it: the calls that need that wallet go
    to the slow queue, one at a time, so a stuck wallet delays no other.
    """

    def __init__(  # noqa: PLR0913  # its limits, by name
        self,
        engine: Engine,
        *,
        commit_batch_max: int,
        commit_queue_max: int,
        group_commit: bool = True,
        amount_max: int = INT64_MAX,
        clock_behind_max: timedelta = timedelta(minutes=1),
        on_events: Callable[[], None] = lambda: None,
    ) -> None:
        """*on_events* is called after each commit of events; it must not wait."""
        self._engine = engine
        self._on_events = on_events
        # Wallets that were locked by others for too long, and until when they count as stuck.
        self._stuck_until: dict[WalletId, float] = {}
        self._marking = threading.Lock()  # by both queues
        self._amount_max = amount_max
        self._clock_behind_max = clock_behind_max
        self._group_commit = group_commit
        self._slow: GroupCommit[Command, Outcome] = GroupCommit(
            "ledger-slow", self._commit_patiently, commit_batch_max=1, commit_queue_max=commit_queue_max
        )
        self._queue: GroupCommit[Command, Outcome] = GroupCommit(
            "ledger",
            self._commit,
            commit_batch_max=commit_batch_max,
            commit_queue_max=commit_queue_max,
            weigh=lambda command: command.weight,
        )

    def post(self, command: Command, deadline: float | None = None) -> Done:
        """Commit *command*, in a batch with others if there are any; raise its refusal, or ``ServiceError``.

        *deadline* is on the monotonic clock. It is checked after the locks are acquired; from there the call commits.
        """
        if self._group_commit:
            outcome = self._queue.submit(command, deadline)
        else:
            ticket: CommandTicket = Ticket(command, deadline)
            ticket.take()
            self._commit([ticket])
            outcome = ticket.wait()
        if isinstance(outcome, Refused):
            raise outcome.refusal
        note_done(outcome.owners, only_validated=command.validate_only and not outcome.replayed)
        return outcome

    def post_all(self, commands: Sequence[Command], deadline: float | None = None) -> list[Done | WalletError]:
        """Post independent commands; return for each what ``post`` returns or raises."""
        outcomes = self._queue.submit_all(commands, deadline)
        for command, outcome in zip(commands, outcomes, strict=True):
            if isinstance(outcome, Done):
                note_done(outcome.owners, only_validated=command.validate_only and not outcome.replayed)
        return [outcome.refusal if isinstance(outcome, Refused) else outcome for outcome in outcomes]

    def close(self, timeout_s: float = 10.0) -> None:
        """Finish both queues, then stop; wait for a database that hangs no longer than *timeout_s* for each."""
        self._queue.close(timeout_s)
        self._slow.close(timeout_s)

    def _commit(self, tickets: Sequence[CommandTicket]) -> None:
        """Run the batch; again if it lost a race; then in halves, until a call that cannot be stored is alone."""
        failed: BatchError | None = None
        lost = False  # after a lost COMMIT no caller may get an error that reports nothing was done
        for _ in range(_TRIES):
            try:
                self._run(tickets, lost=lost, leave=frozenset() if lost else self._stuck())
            except BatchBlocked:
                if not lost:
                    self._run_around_locks(tickets)
                    return
            except BatchError as error:
                failed = failed if failed is not None and lost else error
                lost = lost or _may_be_stored(error)
                if isinstance(error, PoolExhausted):
                    break
            else:
                return
        if not isinstance(failed, BatchRefused) or len(tickets) == 1:
            _fail(tickets, failed)
            return
        half = len(tickets) // 2
        self._commit(tickets[:half])
        self._commit(tickets[half:])

    def _run_around_locks(self, tickets: Sequence[CommandTicket]) -> None:
        try:
            self._run(tickets, skip_locked=True, leave=self._stuck())
        except (BatchRefused, BatchBlocked):
            self._hand_on(tickets)
        except BatchError as error:
            _fail(tickets, error)

    def _commit_patiently(self, tickets: Sequence[CommandTicket]) -> None:
        """Serve the slow queue: one call, which waits for its locks, and fails if they are not released in time."""
        failed: BatchError | None = None
        lost = False
        for _ in range(_TRIES):
            try:
                self._wait_for_locks(tickets)
                free = self._run(tickets, lost=lost)
            except BatchError as error:
                failed = failed if failed is not None and lost else error
                lost = lost or _may_be_stored(error)
            else:
                self._mark_free(free)
                return
        _fail(tickets, failed)
        needed = frozenset[WalletId]().union(*(ticket.item.lock_set().wallets for ticket in tickets))
        self._mark_stuck(needed & self._stuck())

    def _wait_for_locks(self, tickets: Sequence[CommandTicket]) -> None:
        with transaction(self._engine) as tx:
            posting.wait_for(tx, [ticket.item for ticket in tickets])

    def _stuck(self) -> frozenset[WalletId]:
        """Return the wallets that count as stuck: calls on them go straight to the slow queue."""
        if not self._stuck_until:
            return frozenset()
        with self._marking:
            now = monotonic()
            self._stuck_until = {wallet: until for wallet, until in self._stuck_until.items() if until > now}
            return frozenset(self._stuck_until)

    def _mark_stuck(self, wallets: AbstractSet[WalletId]) -> None:
        """Remember stuck wallets: callers' only, because every batch locks service wallets for a moment."""
        until = monotonic() + _STUCK_S
        with self._marking:
            self._stuck_until |= {wallet: until for wallet in wallets if not is_system(wallet)}

    def _mark_free(self, wallets: AbstractSet[WalletId]) -> None:
        with self._marking:
            self._stuck_until = {one: until for one, until in self._stuck_until.items() if one not in wallets}

    def _run(
        self,
        tickets: Sequence[CommandTicket],
        *,
        skip_locked: bool = False,
        leave: AbstractSet[WalletId] = frozenset(),
        lost: bool = False,
    ) -> frozenset[WalletId]:
        """Load, decide, store and commit once, then answer; return the wallets that were locked for it.

        Passes calls that need a wallet to *leave* alone to the slow queue, and with *skip_locked* calls whose wallets
        are locked by others. *lost* means that an earlier try may have been committed.
        """
        if not lost and all(ticket.expired for ticket in tickets):
            _fail_with(tickets, DeadlineTooShort())  # no caller waits any more, so do not wait for locks
            return frozenset()
        expired: list[CommandTicket] = []
        blocked: list[CommandTicket] = []
        wanted: list[CommandTicket] = []
        with transaction(self._engine) as tx:
            loaded = posting.load(tx, [ticket.item for ticket in tickets], skip_locked=skip_locked, leave=leave)
            for ticket, is_blocked in zip(tickets, loaded.blocked, strict=True):
                (expired if ticket.expired else blocked if is_blocked else wanted).append(ticket)
            loaded.ledger.amount_max = self._amount_max
            loaded.ledger.clock_behind_max = self._clock_behind_max
            outcomes = decide(loaded.ledger, [ticket.item for ticket in wanted])
            posting.store(tx, loaded.ledger)
        if loaded.ledger.pending.events:
            self._on_events()
        for ticket, outcome in zip(wanted, outcomes, strict=True):
            ticket.answer(_with_owners(ticket.item, outcome, loaded.ledger))
        _fail_with(expired, OutcomeUnknown() if lost else DeadlineTooShort())
        self._mark_stuck(loaded.locked_by_others)
        self._hand_on(blocked)
        return frozenset(loaded.ledger.wallets)

    def _hand_on(self, tickets: Sequence[CommandTicket]) -> None:
        for ticket in tickets:
            ticket.put_back()
            try:
                self._slow.enter(ticket)
            except ServiceError as full:
                _fail_with([ticket], full)


def _with_owners(command: Command, outcome: Outcome, ledger: LedgerState) -> Outcome:
    """Add the wallets' owners for a caller confined to one owner: redaction needs them, and reads nothing later."""
    if isinstance(outcome, Refused) or command.request is None or command.request.access.owner is None:
        return outcome
    return replace(outcome, owners={wallet.id: wallet.owner for wallet in ledger.wallets.values()})


def _may_be_stored(error: BatchError) -> bool:
    return isinstance(error, DatabaseLost) and error.may_be_stored


def _fail(tickets: Sequence[CommandTicket], failed: BatchError | None) -> None:
    """Fail each ticket with its batch's error; without one, its wallets were locked by others in every try."""
    _fail_with(tickets, failed.error if failed is not None else TransactionConflict(), failed)


def _fail_with(tickets: Sequence[CommandTicket], error: ServiceError, cause: BaseException | None = None) -> None:
    """Fail each ticket with an error of its own: callers' threads raise them at the same time."""
    for ticket in tickets:
        own = type(error)()
        own.__cause__ = cause
        ticket.fail(own)
