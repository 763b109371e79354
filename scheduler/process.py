"""The scheduler process: ``python -m scheduler``; ``--once --limit N`` for one round by cron or by hand.

Run as many as you like: claims are disjoint by ``SKIP LOCKED``. Settings come from the environment.
"""

import argparse
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from scheduler.jobs import (
    collect_due_deposits,
    credit_due_deposits,
    expire_holds,
    follow_bank_ledger,
    pay_due_withdrawals,
    reconcile_collections,
    reconcile_withdrawals,
    write_journal,
)
from scheduler.lane import Lane, StepLane
from wallet_core.bootstrap import open_app
from wallet_core.domain.errors import NotServed, cause_of
from wallet_core.logs import set_up_logs
from wallet_core.settings import Settings, SettingsError, read_settings
from wallet_core.usecases.app import App

_log = structlog.get_logger("wallet.scheduler")


@dataclass(frozen=True, slots=True)
class Job:
    """A job of the scheduler, by the name it is logged under."""

    name: str
    lane: Callable[[App], Lane[Any] | StepLane]
    every_s: Callable[[Settings], float] = lambda settings: settings.payout_poll_s


JOBS = (
    Job("pay-due-withdrawals", pay_due_withdrawals.lane),
    Job("reconcile-withdrawals", reconcile_withdrawals.lane),
    Job("collect-due-deposits", collect_due_deposits.lane),
    Job("reconcile-collections", reconcile_collections.lane),
    Job("credit-due-deposits", credit_due_deposits.lane),
    Job("expire-holds", expire_holds.lane),
    Job("follow-bank-ledger", follow_bank_ledger.lane, lambda settings: settings.bank_follow_up_s),
    Job("write-journal", write_journal.lane, lambda settings: settings.journal_write_s),
)


def main(arguments: Sequence[str], stopping: threading.Event) -> int:
    """Run until *stopping* is set, or one round; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scheduler", description=__doc__)
    parser.add_argument("--once", action="store_true", help="run every job once, to the end, and exit")
    parser.add_argument("--limit", type=_positive, default=1000, help="with --once: pieces of work per job at the most")
    asked = parser.parse_args(arguments)
    try:
        settings = read_settings()
        set_up_logs(settings.log_level)
        with open_app(settings, name="wallet-scheduler", stopping=stopping) as app:
            if asked.once:
                _run_once(app, asked.limit, stopping)
            else:
                _run(app, settings, stopping)
    except (SettingsError, NotServed) as error:
        if stopping.is_set():
            return 0
        sys.stderr.write(f"scheduler cannot run: {cause_of(error)}\n")
        return 1
    return 0


def _run_once(app: App, limit: int, stopping: threading.Event) -> None:
    for job in JOBS:
        if stopping.is_set():
            return
        lane = job.lane(app)
        _stop_when_told(lane, stopping)
        print(f"{job.name}: {lane.once(limit)}")  # noqa: T201  # for whoever ran it


def _stop_when_told(lane: Lane[Any] | StepLane, stopping: threading.Event) -> None:
    """Let a round end early: what is under way finishes, and nothing more is claimed."""

    def watch() -> None:
        stopping.wait()
        lane.stop()

    threading.Thread(target=watch, daemon=True).start()


def _run(app: App, settings: Settings, stopping: threading.Event) -> None:
    lanes = [(job, job.lane(app)) for job in JOBS]
    # No job store: what is due stands in the database. A tick that comes while a job still runs is left out, because
    # the job goes on until nothing is due.
    bell = BackgroundScheduler(
        timezone="UTC",
        executors={"default": ThreadPoolExecutor(len(JOBS))},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    for job, lane in lanes:
        bell.add_job(_tick, "interval", args=(job, lane), seconds=job.every_s(settings), id=job.name)
    bell.start()
    _log.info("running", jobs=[job.name for job in JOBS], parallelism=app.payouts.parallelism)
    stopping.wait()
    _log.info("stopping")
    bell.shutdown(wait=False)
    for _, lane in lanes:
        lane.close()


def _tick(job: Job, lane: Lane[Any] | StepLane) -> None:
    try:
        lane.drain()
    except NotServed as error:
        _log.warning("cannot claim", job=job.name, why=cause_of(error))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
