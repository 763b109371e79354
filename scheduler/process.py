"""The scheduler process: ``python -m scheduler``; ``--once --limit N`` for one round by cron or by hand.

Run as many as you like: claims are disjoint by ``SKIP LOCKED``. Settings come from the environment.
"""

import argparse
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from scheduler.jobs import (
    collect_due_deposits,
    credit_due_deposits,
    expire_holds,
    pay_due_withdrawals,
    reconcile_bank_statement,
    reconcile_collections,
    reconcile_withdrawals,
    write_journal,
)
from scheduler.worker_pool import SequentialWorker, WorkerPool
from wallet_core.bootstrap import open_app
from wallet_core.domain.model.errors import ServiceError, cause_of
from wallet_core.logs import set_up_logs
from wallet_core.settings import Settings, SettingsError, read_settings
from wallet_core.startup_checks import bank, database, require_production
from wallet_core.usecases.app import App

_log = structlog.get_logger("wallet.scheduler")


@dataclass(frozen=True, slots=True)
class Job:
    """A job of the scheduler, by the name it is logged under."""

    name: str
    worker: Callable[[App], WorkerPool[Any] | SequentialWorker]
    every_s: Callable[[Settings], float] = lambda settings: settings.payouts.poll_s
    asks_bank: bool = False
    """Whether it pays, collects, or asks what became of that."""


RECONCILE_BANK_STATEMENT = Job(
    "follow-bank-statement", reconcile_bank_statement.worker, lambda settings: settings.bank.statement_poll_s
)
JOBS = (
    RECONCILE_BANK_STATEMENT,
    Job("pay-due-withdrawals", pay_due_withdrawals.worker, asks_bank=True),
    Job("reconcile-withdrawals", reconcile_withdrawals.worker, asks_bank=True),
    Job("collect-due-deposits", collect_due_deposits.worker, asks_bank=True),
    Job("reconcile-collections", reconcile_collections.worker, asks_bank=True),
    Job("credit-due-deposits", credit_due_deposits.worker),
    Job("expire-holds", expire_holds.worker),
    Job("write-journal", write_journal.worker, lambda settings: settings.journal.write_s),
)


class BankStatementGate:
    """Keeps the jobs that ask the bank from claiming until its ledger has been read to its end since we started.

    A database that was restored has forgotten what was paid; the bank's ledger has not. So it is read before anything
    is paid. Any scheduler may have read it: the stamp stands in the database.
    """

    def __init__(self, app: App, *, provides_statement: bool) -> None:
        self._app = app
        self._started_at = app.bank_statement_lines.now() if provides_statement else None

    def is_open(self) -> bool:
        """Tell whether the bank may be asked. Raises ``ServiceError``."""
        if self._started_at is not None and self._app.bank_statement_lines.followed_since(self._started_at):
            self._started_at = None  # once is enough
        return self._started_at is None


class DatabaseReadiness:
    """Asks once in a while whether the database can serve: it may be migrated, or fenced off, while we run."""

    def __init__(self, app: App, every_s: float) -> None:
        self._app = app
        self._every_s = every_s
        self._asked_at = monotonic()  # the core asks before it opens

    def require(self) -> None:
        """Raise ``ServiceError`` where it cannot."""
        if monotonic() - self._asked_at >= self._every_s:
            self._app.ping()
            self._asked_at = monotonic()


def main(arguments: Sequence[str], stopping: threading.Event) -> int:
    """Run until *stopping* is set, or one round; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scheduler", description=__doc__)
    parser.add_argument("--once", action="store_true", help="run every job once, to the end, and exit")
    parser.add_argument("--limit", type=_positive, default=1000, help="with --once: pieces of work per job at the most")
    asked = parser.parse_args(arguments)
    try:
        settings = read_settings()
        require_production(settings, database, bank)
        set_up_logs(settings.process.log_level)
        with open_app(settings, name="wallet-scheduler", stopping=stopping, calls_bank=True) as app:
            gate = BankStatementGate(app, provides_statement=settings.bank.provides_statement)
            jobs = [job for job in JOBS if job is not RECONCILE_BANK_STATEMENT or settings.bank.provides_statement]
            if asked.once:
                _run_once(app, jobs, gate, asked.limit, stopping)
            else:
                _run(app, jobs, gate, settings, stopping)
    except (SettingsError, ServiceError) as error:
        if stopping.is_set():
            return 0
        sys.stderr.write(f"scheduler cannot run: {cause_of(error)}\n")
        return 1
    return 0


def _run_once(app: App, jobs: Sequence[Job], gate: BankStatementGate, limit: int, stopping: threading.Event) -> None:
    for job in jobs:
        if stopping.is_set():
            return
        if job.asks_bank and not gate.is_open():
            print(f"{job.name}: nothing claimed: the bank's ledger has not been read to its end")  # noqa: T201  # as below
            continue
        worker = job.worker(app)
        _stop_when_told(worker, stopping)
        print(f"{job.name}: {worker.once(limit)}")  # noqa: T201  # for whoever ran it


def _stop_when_told(worker: WorkerPool[Any] | SequentialWorker, stopping: threading.Event) -> None:
    """Let a round end early: what is under way finishes, and nothing more is claimed."""

    def watch() -> None:
        stopping.wait()
        worker.stop()

    threading.Thread(target=watch, daemon=True).start()


def _run(app: App, jobs: Sequence[Job], gate: BankStatementGate, settings: Settings, stopping: threading.Event) -> None:
    workers = [(job, job.worker(app)) for job in jobs]
    fit = DatabaseReadiness(app, settings.connections.health_interval_s)
    # No job store: what is due stands in the database. A tick that comes while a job still runs is left out, because
    # the job goes on until nothing is due.
    bell = BackgroundScheduler(
        timezone="UTC",
        executors={"default": ThreadPoolExecutor(len(workers))},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    for job, worker in workers:
        bell.add_job(_tick, "interval", args=(job, worker, gate, fit), seconds=job.every_s(settings), id=job.name)
    bell.start()
    # The first time at once, for others wait for it; not by the bell, which ends badly with a job that runs once.
    first_reads = [
        threading.Thread(target=_tick, args=(job, worker, gate, fit), name="first-read", daemon=True)
        for job, worker in workers
        if job is RECONCILE_BANK_STATEMENT
    ]
    for thread in first_reads:
        thread.start()
    _log.info("running", jobs=[job.name for job in jobs], parallelism=app.payouts.parallelism)
    stopping.wait()
    _log.info("stopping")
    bell.shutdown(wait=False)
    for _, worker in workers:
        worker.close()
    for thread in first_reads:
        thread.join()


def _tick(
    job: Job, worker: WorkerPool[Any] | SequentialWorker, gate: BankStatementGate, fit: DatabaseReadiness
) -> None:
    try:
        fit.require()
        if not job.asks_bank or gate.is_open():
            worker.drain()
    except ServiceError as error:
        _log.warning("cannot claim", job=job.name, why=cause_of(error))
    except Exception:  # noqa: BLE001  # the job is tried again at its next turn
        _log.error("job failed", job=job.name, exc_info=True)  # structlog's own form


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
