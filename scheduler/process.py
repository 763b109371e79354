"""The scheduler process: ``python -m scheduler``; ``--once --limit N`` for one round by cron or by hand.

Any number of them may run: ``SKIP LOCKED`` keeps their claims disjoint. Settings come from the environment.
"""

import argparse
import sys
import threading
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from operator import attrgetter
from time import monotonic
from uuid import UUID

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from scheduler.jobs import JOBS, Job, Worker, queue_webhooks, reconcile_bank_statement, write_journal
from scheduler.worker_pool import WorkerPool
from wallet_core.background import Loop
from wallet_core.bootstrap import open_app
from wallet_core.domain.model.errors import ServiceError, cause_of
from wallet_core.domain.model.event import JournalRecord
from wallet_core.domain.model.webhook import Webhook
from wallet_core.logs import set_up_logs
from wallet_core.ports import WebhookMessages
from wallet_core.settings import Settings, SettingsError, read_settings
from wallet_core.startup_checks import bank, database, require_production, start_failure
from wallet_core.storage.reads.all import Reads
from wallet_core.usecases.app import App

_log = structlog.get_logger("wallet.scheduler")


class BankStatementGate:
    """Keeps the jobs that call the bank from claiming until the bank statement was read to its end since the start.

    A restored database has lost payments that the bank statement still has, so the statement is read before the first
    payment. Any scheduler may have read it: the time is stored in the database.
    """

    def __init__(self, app: App, *, provides_statement: bool) -> None:
        self._app = app
        self._started_at = app.bank_statement_lines.now() if provides_statement else None

    def is_open(self) -> bool:
        """Return whether the bank may be called. Raises ``ServiceError``."""
        if self._started_at is not None and self._app.bank_statement_lines.followed_since(self._started_at):
            self._started_at = None  # once is enough
        return self._started_at is None


class DatabaseReadiness:
    """Checks at intervals whether the database can serve: it may be migrated or fenced off while this process runs."""

    def __init__(self, app: App, every_s: float) -> None:
        self._app = app
        self._every_s = every_s
        self._asked_at = monotonic()  # ``open_app`` has just checked

    def require(self) -> None:
        """Raise ``ServiceError`` if it cannot."""
        if monotonic() - self._asked_at >= self._every_s:
            self._app.ping()
            self._asked_at = monotonic()


class Messages:
    """Messages for webhooks, made by the gRPC edge. It is loaded for the first one: a scheduler starts sooner."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    def message_id(self, webhook: UUID, number: int) -> str:
        """Return the id of a delivery."""
        return self._edge.message_id(webhook, number)

    def body(self, record: JournalRecord, webhook: Webhook) -> bytes:
        """Return an event as this webhook may see it."""
        return self._edge.body(record, webhook)

    @cached_property
    def _edge(self) -> WebhookMessages:
        from wallet_grpc.convert.webhook_messages import WebhookMessages as OfTheEdge  # noqa: PLC0415  # see above

        return OfTheEdge(self._reads)


def main(arguments: Sequence[str], stopping: threading.Event) -> int:
    """Run until *stopping* is set, or one round; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scheduler", description=__doc__)
    parser.add_argument("--once", action="store_true", help="run every job once, to the end, and exit")
    parser.add_argument("--limit", type=_positive, default=1000, help="with --once: the most pieces of work per job")
    asked = parser.parse_args(arguments)
    try:
        settings = read_settings()
        require_production(settings, database, bank)
        set_up_logs(settings.process.log_level)
        with open_app(
            settings, name="wallet-scheduler", stopping=stopping, calls_bank=True, webhook_messages=Messages
        ) as app:
            gate = BankStatementGate(app, provides_statement=settings.bank.provides_statement)
            jobs = [job for job in JOBS if job is not reconcile_bank_statement or settings.bank.provides_statement]
            if asked.once:
                _run_once(app, jobs, gate, asked.limit, stopping)
            else:
                _run(app, jobs, gate, settings, stopping)
    except (SettingsError, ServiceError) as error:
        if stopping.is_set():
            return 0
        sys.stderr.write(f"scheduler cannot start: {start_failure(error)}\n")
        return 1
    return 0


def _run_once(app: App, jobs: Sequence[Job], gate: BankStatementGate, limit: int, stopping: threading.Event) -> None:
    for job in jobs:
        if stopping.is_set():
            return
        if job.calls_bank and not gate.is_open():
            print(f"{job.name}: nothing claimed: the bank statement has not been read to its end")  # noqa: T201  # as below
            continue
        worker = job.worker(app)
        _stop_on_signal(worker, stopping)
        print(f"{job.name}: {worker.once(limit)}")  # noqa: T201  # the output of --once


def _stop_on_signal(worker: Worker, stopping: threading.Event) -> None:
    """Let a round end early: work in progress finishes, and nothing more is claimed."""

    def watch() -> None:
        stopping.wait()
        worker.stop()

    threading.Thread(target=watch, daemon=True).start()


def _run(app: App, jobs: Sequence[Job], gate: BankStatementGate, settings: Settings, stopping: threading.Event) -> None:
    workers = [(job, job.worker(app)) for job in jobs]
    loops = Loops()
    readiness = DatabaseReadiness(app, settings.connections.health_interval_s)
    woken = {job.wakes for job in jobs} | {write_journal.name}
    # No job store: the database has what is due. A tick during a run is skipped: the run ends once nothing is due.
    timer = BackgroundScheduler(
        timezone="UTC",
        executors={"default": ThreadPoolExecutor(len(workers))},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    for job, worker in workers:
        period_s: float = attrgetter(job.period)(settings)
        run = partial(_tick, job, worker, gate, readiness, loops.wake)
        if job.name in woken:
            loops.add(job.name, worker, run, period_s)
        else:
            timer.add_job(run, "interval", seconds=period_s, id=job.name)
    timer.start()
    loops.start()
    # The first read runs at once, because payments wait for it; not by the timer, whose shutdown fails with a job that
    # runs once.
    first_reads = [
        threading.Thread(target=_tick, args=(job, worker, gate, readiness, loops.wake), name="first-read", daemon=True)
        for job, worker in workers
        if job is reconcile_bank_statement
    ]
    for thread in first_reads:
        thread.start()
    if settings.checkpoints.signing_key is None and settings.process.mode == "production":
        _log.warning("no checkpoints are signed", why="WALLET_CHECKPOINTS_SIGNING_KEY is not set")
    _log.info("running", jobs=[job.name for job in jobs], parallelism=app.payouts.parallelism)
    # Events of any process, and records that another scheduler has written.
    with (
        app.on_events(lambda: loops.wake(write_journal.name)),
        app.on_records(lambda: loops.wake(queue_webhooks.name)),
    ):
        stopping.wait()
    _log.info("stopping")
    timer.shutdown(wait=False)
    loops.stop()
    for _, worker in workers:
        worker.close()
    for thread in first_reads:
        thread.join()


class Loops:
    """Jobs that run at their interval, and at once when another has work for them, which the timer cannot in a run."""

    def __init__(self) -> None:
        self._loops: dict[str, Loop] = {}

    def add(self, name: str, worker: Worker, run: Callable[[], None], period_s: float) -> None:
        """Add a job."""
        self._loops[name] = Loop(name, run, period_s)
        if isinstance(worker, WorkerPool):
            worker.on_done = self._loops[name].wake

    def wake(self, name: str) -> None:
        """Run a job now, or once more after its present run."""
        if name in self._loops:
            self._loops[name].wake()

    def start(self) -> None:
        """Start all."""
        for loop in self._loops.values():
            loop.start()

    def stop(self) -> None:
        """Start no further run."""
        for loop in self._loops.values():
            loop.stop()


def _tick(
    job: Job, worker: Worker, gate: BankStatementGate, readiness: DatabaseReadiness, wake: Callable[[str], None]
) -> None:
    try:
        readiness.require()
        if (not job.calls_bank or gate.is_open()) and worker.drain() and job.wakes != job.name:
            wake(job.wakes)
    except ServiceError as error:
        _log.warning("cannot claim", job=job.name, why=cause_of(error))
    except Exception:  # noqa: BLE001  # the next tick tries again
        _log.error("job failed", job=job.name, exc_info=True)  # structlog's own form


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
