"""A service that pays out, as processes: its bank, and the schedulers and servers that a test starts."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

from tests.conftest import FAST
from tests.support.database import Cluster, Database
from tests.support.payouts import Bank, withdrawal
from tests.support.processes import environment, process
from tests.support.three_books import assert_three_books_agree, unfinished
from wallet_core.bootstrap import open_app
from wallet_core.domain.model.payment_order import Withdrawal
from wallet_core.settings import read_settings
from wallet_core.usecases.app import App
from wallet_grpc.convert.webhook_messages import WebhookMessages
from walletctl.local.waiting import wait_until

# Processes that share a machine take longer to answer each other than threads of one.
SETTINGS: dict[str, object] = {
    **FAST,
    "log_level": "INFO",
    "bank_call_deadline_s": 0.75,
    "payout_lease_s": 2.4,
    "payout_send_window_s": 0.8,
    "payout_grace_s": 4.0,
    "payout_parallelism": 4,
}
# They take longer still over their first call.
FOR_FIRST_CALLS: dict[str, object] = {"bank_call_deadline_s": 2.0, "payout_lease_s": 6.0, "payout_grace_s": 9.0}
PAST_LEASE = timedelta(seconds=6.5)

ONE_PIECE = ("scheduler", "--once", "--limit", "1")


@dataclass(frozen=True, slots=True)
class Child:
    """A process of ours, and its output so far."""

    process: subprocess.Popen[bytes]
    log: Path

    def until_logged(self, words: str) -> Self:
        """Wait until its log has this text."""
        until(lambda: words in self.log.read_text(), self.log)
        return self

    def until_event(self, event: str) -> dict[str, Any]:
        """Wait until it has logged this; return the line."""
        named = f'"event": "{event}"'
        lines = self.until_logged(named).log.read_text().splitlines()
        return dict(json.loads(next(line for line in lines if named in line)))

    def until_stopped(self) -> Self:
        """Wait until SIGSTOP has stopped it."""
        until(self._is_stopped, self.log)
        return self

    def _is_stopped(self) -> bool:
        changed = os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
        return changed is not None and changed.si_code == os.CLD_STOPPED


@dataclass(slots=True, kw_only=True)
class PayoutService:
    """A database, a bank, and the processes at work on them; ``app`` is the test's own way to the core."""

    database: Database
    bank: Bank
    bank_port: int
    app: App
    settings: Mapping[str, object]
    folder: Path
    stack: ExitStack
    started: Iterator[int] = field(default_factory=count)

    def start(self, *arguments: str, **settings: object) -> Child:
        """Start ``python -m`` with these arguments, and settings of its own; it is killed at the end."""
        return _start(self.stack, self.folder / f"{next(self.started)}.log", arguments, {**self.settings, **settings})

    def kill_at(self, moment: str, point: str, **settings: object) -> None:
        """Run a scheduler that is killed at this point of the first piece of work that it does.

        It does not read the bank statement first, so that its first call to the bank is the one that is meant.
        """
        alone = {"bank_provides_statement": False, **settings}
        child = self.start("tests.support.kill_at", moment, point, *ONE_PIECE, **alone)
        assert child.process.wait(30) == -signal.SIGKILL, child.log.read_text()

    def stop_at(self, moment: str, point: str, **settings: object) -> Child:
        """Run a scheduler that is stopped at this point of the first piece of work that it does, to be woken later."""
        alone = {"bank_provides_statement": False, **settings}
        return self.start("tests.support.stop_at", moment, point, *ONE_PIECE, **alone).until_stopped()

    @property
    def grace(self) -> timedelta:
        """How long "not found" is not believed."""
        return self.app.payouts.policy.grace

    def now(self, id_: UUID) -> Withdrawal:
        """Return a withdrawal as it is now."""
        return withdrawal(self.app, id_)

    def until_final(self, *ids: UUID) -> None:
        """Wait until nothing can happen to these withdrawals any more."""
        for id_ in ids:
            self.until(partial(self._is_final, id_))

    def _is_final(self, id_: UUID) -> bool:
        return self.now(id_).final

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until this is so."""
        until(condition, *sorted(self.folder.glob("*.log")), database=self.database)

    def assert_books_agree(self, *, but_for: Collection[str] = ()) -> None:
        """Raise unless the bank statement, our withdrawals and our entries agree, but for these keys."""
        assert_three_books_agree(self.database, self.bank, but_for=but_for)


@contextmanager
def payout_service(database: Database, folder: Path, **settings: object) -> Iterator[PayoutService]:
    """Start a bank, and provide for the rest; *settings* are those that differ."""
    with ExitStack() as stack:
        state = ("--state", str(folder / "bank.sqlite"), "--fail-rate", "0", "--seed", "1")
        log = folder / "bank.log"
        _start(stack, log, ("bank_stub", "--port", "0", *state), {}).until_logged("listening on http://127.0.0.1:")
        bank_url = log.read_text().split()[-1]
        chosen = {**SETTINGS, "database_url": database.url, "bank_url": bank_url, **settings}
        yield PayoutService(
            database=database,
            bank=Bank(bank_url),
            bank_port=int(bank_url.rpartition(":")[2]),
            app=stack.enter_context(open_app(read_settings(**chosen), name="tests", webhook_messages=WebhookMessages)),
            settings=chosen,
            folder=folder,
            stack=stack,
        )


@contextmanager
def new_payout_service(cluster: Cluster, folder: Path, **settings: object) -> Iterator[PayoutService]:
    """Do the same on a new database."""
    with (
        cluster.clone(f"payouts_{uuid4().hex[:8]}") as database,
        payout_service(database, folder, **settings) as service,
    ):
        yield service


def end(*children: Child, by: signal.Signals = signal.SIGTERM, code: int = 0) -> None:
    """Send a signal to processes, by default SIGTERM, and wait until they have ended, with this exit code."""
    for child in children:
        child.process.send_signal(by)
    for child in children:
        assert child.process.wait(30) == code, child.log.read_text()


def until(condition: Callable[[], bool], *logs: Path, database: Database | None = None) -> None:
    """Wait until a condition holds; if it does not, show the open withdrawals and what was logged last."""
    if not wait_until(condition, timeout_s=40, poll_s=0.03):
        logged = [f"{log}: {log.read_text()[-1000:]}" for log in logs]
        raise AssertionError("\n".join([*(unfinished(database) if database else []), *logged]))


def _start(stack: ExitStack, log: Path, arguments: tuple[str, ...], settings: Mapping[str, object]) -> Child:
    log.touch()
    return Child(stack.enter_context(process(["-m", *arguments], env=environment(settings), log=log)), log)
