"""One storm from the first process to the last comparison."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from uuid import UUID

from tests.storm.bank import StormyBank
from tests.storm.books import LedgerState, read_books
from tests.storm.calls import call_of
from tests.storm.comparison import findings
from tests.storm.coverage import too_little
from tests.storm.injector import InjectionLog, inject
from tests.storm.journal import Journal
from tests.storm.load import Load, before_the_storm
from tests.storm.plan import OPENING_MINOR, WALLETS, Step, Verb
from tests.storm.quiescence import Quiescence, wait_for_orders, wait_for_service
from tests.storm.system import System, running_system
from tests.storm.timetable import injections
from wallet_client import Payer, WalletClient

# One currency has a commission, so that a third wallet is in every transfer and every reversal.
_CHARGED = "EUR"
_RATE_MILLIONTHS = 10_000

# The callers before the storm.
_NO_ONE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Observes the storm's progress."""

    log: Callable[[float, str], None]
    """An event, by seconds since the storm's begin."""
    tick: Callable[[float, Load], None]
    """Called several times a second."""
    phase: Callable[[str], None]
    """What is being done now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a storm came to."""

    seed: int
    seconds: float
    journals: list[Journal]
    injected: InjectionLog
    quiet: Quiescence
    books: LedgerState
    faults: dict[str, int]
    repeated: int
    took_s: dict[str, float]
    findings: list[str]
    root: Path
    """Where data and logs are kept, where something was found."""


def storm(seed: int, seconds: float, watcher: Watcher) -> Report:
    """Inject faults for this many seconds, then recover, wait, and compare all ledgers.

    Call it from the main thread.
    """
    root = Path(tempfile.mkdtemp(prefix="wallet-storm-"))
    try:
        with running_system(root, seed) as system:
            report = _run(system, root, seed, seconds, watcher)
    except BaseException as error:
        error.add_note(f"seed {seed}; data and logs are in {root}")
        raise
    if not report.findings:
        shutil.rmtree(root, ignore_errors=True)
    return report


def _run(system: System, root: Path, seed: int, seconds: float, watcher: Watcher) -> Report:
    took_s: dict[str, float] = {}

    @contextmanager
    def phase(what: str) -> Iterator[None]:
        watcher.phase(what)
        begun = monotonic()
        yield
        took_s[what] = monotonic() - begun

    bank = StormyBank(system.bank_url)
    with phase("starting"):
        _must_serve(system, bank)
        before = _open_wallets(system)
        bank.inject()
    load = Load(seed, system.target)
    try:
        with phase("raging"):
            injected = inject(
                system,
                injections(seed, seconds),
                seconds,
                log=watcher.log,
                tick=lambda at_s: watcher.tick(at_s, load),
            )
            load.stop()
        with phase("starting again"):
            _must_serve(system, bank)
            faults = bank.faults()
            bank.forgive()
        with phase("asking again what was left open"):
            load.settle()
        with phase("waiting for all that is due"):
            quiet = wait_for_orders(system, bank, seed)
        with phase("repeating calls"):
            repeated = load.repeat()
    finally:
        load.close()
    journals = [before, *load.journals]
    with phase("comparing"):
        books = read_books(system, bank)
        found = [
            *injected.crashed,
            *system.errors(),
            *quiet.left,
            *findings(journals, books),
            *too_little(seconds, journals, injected, books),
        ]
    return Report(
        seed=seed,
        seconds=seconds,
        journals=journals,
        injected=injected,
        quiet=quiet,
        books=books,
        faults=faults,
        repeated=repeated,
        took_s=took_s,
        findings=found,
        root=root,
    )


def _must_serve(system: System, bank: StormyBank) -> None:
    if not wait_for_service(system, bank):
        raise RuntimeError("the service did not come up; see its logs")


def _open_wallets(system: System) -> Journal:
    """Open the wallets and the rule of the storm, and give each wallet something to begin with."""
    with WalletClient(system.target) as client:
        for wallet, currency in WALLETS.items():
            client.create_wallet(wallet, currency)
        client.create_commission_rule(_CHARGED, Payer.SOURCE, rate_millionths=_RATE_MILLIONTHS)
    return before_the_storm(
        system.target, [call_of(_NO_ONE, _first_deposit(number, wallet), "") for number, wallet in enumerate(WALLETS)]
    )


def _first_deposit(number: int, wallet: str) -> Step:
    return Step(
        number=number,
        verb=Verb.DEPOSIT,
        request_id=str(UUID(int=number, version=4)),
        wallet=wallet,
        other="",
        amount=OPENING_MINOR,
        about=None,
        delay_s=None,
        flag=False,
        twice=False,
        looks=False,
        pause_s=0.0,
    )
