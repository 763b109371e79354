"""Load and store: the two halves of every posting, each one round trip.

``load`` locks all wallets of a batch with one statement, in key order, and reads columns of ``wallets`` alone in that
statement. Later statements read everything else: their snapshots are taken after the locks. In the lock statement, a
read would show the rows as they were before the wait for the lock.

``store`` writes everything that was decided with one statement for each table, in the lock order: wallets, the rows
that they protect, records.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import LockSet, Request, UniqueReference
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.errors import TransactionConflict
from wallet_core.domain.model.wallet import Role, WalletId, system_wallet
from wallet_core.storage.connections.engine import Cursor, Tx, pipelined
from wallet_core.storage.connections.session import is_own
from wallet_core.storage.errors import BatchRefused, DatabaseLost
from wallet_core.storage.posting.arrays import plain, texts
from wallet_core.storage.posting.bank_statement import store_bank_statement, store_bank_statement_lines
from wallet_core.storage.posting.dependents import DependentRows, read_dependent_rows, wallets_to_lock
from wallet_core.storage.posting.holds import store_holds
from wallet_core.storage.posting.in_progress import ENTER
from wallet_core.storage.posting.outbox import store_events
from wallet_core.storage.posting.payment_orders import store_orders
from wallet_core.storage.posting.references import read_references, references_of, store_references
from wallet_core.storage.posting.requests import RECORDS, record_of, store_records
from wallet_core.storage.posting.rules import (
    LOCK_RULES_EXCLUSIVE,
    LOCK_RULES_SHARED,
    RULES_OF,
    rule_of,
    store_rules,
)
from wallet_core.storage.posting.totals import store_totals
from wallet_core.storage.posting.transactions import store_transactions
from wallet_core.storage.posting.wallets import (
    EXISTING_WALLETS,
    FRESH_KEYS,
    LOCK_WALLETS,
    LOCK_WALLETS_SKIP_LOCKED,
    store_wallets,
    wallet_of,
)
from wallet_core.storage.posting.webhooks import LOCK_CREATION, store_webhooks

NOW = "SELECT clock_timestamp()"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The state of the ledger under its locks."""

    ledger: LedgerState
    locked_by_others: frozenset[WalletId]
    blocked: tuple[bool, ...]
    """For each command, whether it cannot be decided: a wallet of it was left alone, or is locked by others."""


def load(
    tx: Tx, commands: Sequence[Command], *, skip_locked: bool = False, leave: AbstractSet[WalletId] = frozenset()
) -> Loaded:
    """Lock the wallets of *commands* and read what they are decided on.

    Waits for locks up to the connection's ``lock_timeout``. With *skip_locked* it does not wait, and returns the
    wallets that others have locked. For a command that needs one of the wallets to *leave* alone, nothing is locked or
    read.
    """
    plan = _plan(tx, commands, leave)
    with pipelined(tx):
        reading = _send(tx, plan, skip_locked=skip_locked)
    ((mark, _),) = reading.session
    if not is_own(tx, mark):
        raise DatabaseLost(may_be_stored=False)  # the session of another connection: nothing may be decided in it
    ledger = _ledger_state(reading)
    if not skip_locked:
        return Loaded(ledger, frozenset(), tuple(not is_kept for is_kept in plan.kept))
    return _loaded_around_locks(ledger, reading, plan)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the commands of a batch need locked and read."""

    all_lock_sets: Sequence[LockSet]
    wallets: Sequence[frozenset[WalletId]]
    """Of each command, with the wallets of its orders, holds and transactions."""
    kept: Sequence[bool]
    """Of each command, whether it needs none of the wallets to leave alone."""
    lock_sets: Sequence[LockSet]
    """Of the commands that are kept."""
    requests: Sequence[Request]
    """Of the commands that are kept."""

    @property
    def wallets_to_lock(self) -> list[WalletId]:
        """All wallets of the commands that are kept."""
        kept = (wallets for wallets, is_kept in zip(self.wallets, self.kept, strict=True) if is_kept)
        return sorted(frozenset[WalletId]().union(*kept))

    @property
    def currencies(self) -> list[str]:
        """Currencies whose commission rules may apply."""
        return sorted({currency for one in self.lock_sets for currency in one.rules_of})

    @property
    def references(self) -> list[UniqueReference]:
        """Unique references that the commands that are kept want to use."""
        return list(frozenset[UniqueReference]().union(*(one.references for one in self.lock_sets)))

    @property
    def changes_rules(self) -> bool:
        """Whether a command changes commission rules."""
        return any(one.changes_rules for one in self.lock_sets)

    @property
    def creates_webhook(self) -> bool:
        """Whether a command creates a webhook."""
        return any(one.creates_webhook for one in self.lock_sets)

    @property
    def new_wallets(self) -> int:
        """How many wallets may be opened."""
        return sum(one.new_wallets for one in self.lock_sets)


def _plan(tx: Tx, commands: Sequence[Command], leave: AbstractSet[WalletId]) -> _Plan:
    lock_sets = [command.lock_set() for command in commands]
    wallets = wallets_to_lock(tx, lock_sets)
    kept = [leave.isdisjoint(names) for names in wallets]
    chosen = [command for command, is_kept in zip(commands, kept, strict=True) if is_kept]
    return _Plan(
        all_lock_sets=lock_sets,
        wallets=wallets,
        kept=kept,
        lock_sets=[one for one, is_kept in zip(lock_sets, kept, strict=True) if is_kept],
        requests=[command.request for command in chosen if command.request is not None],
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """Statements that have been sent in a pipeline."""

    session: Cursor
    wallets: Cursor
    existing: Cursor | None
    records: Cursor | None
    references: Cursor | None
    dependents: DependentRows
    live_rules: Cursor | None
    fresh_keys: Cursor | None
    clock: Cursor


def _send(tx: Tx, plan: _Plan, *, skip_locked: bool) -> _Reading:
    """Send the statements, in an order that matters: see the comments."""
    currencies, new_wallets = plan.currencies, plan.new_wallets
    names, currency_codes = texts(plan.wallets_to_lock), texts(currencies)
    # Before the clock is read, and before the wait for any lock: readers take it for the earliest possible time.
    session = tx.execute(ENTER)
    if plan.changes_rules:
        tx.execute(LOCK_RULES_EXCLUSIVE)
    elif currencies:
        tx.execute(LOCK_RULES_SHARED)
    if plan.creates_webhook:
        tx.execute(LOCK_CREATION)
    wallets = tx.execute(LOCK_WALLETS_SKIP_LOCKED if skip_locked else LOCK_WALLETS, [names, currency_codes])
    existing = tx.execute(EXISTING_WALLETS, [names]) if skip_locked else None
    requests = [texts(one.caller for one in plan.requests), plain(one.id for one in plan.requests)]
    records = tx.execute(RECORDS, requests) if plan.requests else None
    used = plan.references
    references = read_references(tx, used) if used else None
    dependents = read_dependent_rows(tx, plan.lock_sets)
    live_rules = tx.execute(RULES_OF, [currency_codes, names]) if currencies else None
    fresh_keys = tx.execute(FRESH_KEYS, [new_wallets]) if new_wallets else None
    clock = tx.execute(NOW)
    return _Reading(session, wallets, existing, records, references, dependents, live_rules, fresh_keys, clock)


def _ledger_state(reading: _Reading) -> LedgerState:
    ((now,),) = reading.clock
    ledger = LedgerState(now=now, wallets={wallet.id: wallet for wallet in map(wallet_of, reading.wallets)})
    ledger.records.update((record.request, record) for record in map(record_of, reading.records or ()))
    ledger.references.update(references_of(reading.references or ()))
    ledger.fresh_keys.extend(key for (key,) in reading.fresh_keys or ())
    ledger.rules.update((rule.id, rule) for rule in map(rule_of, reading.live_rules or ()))
    reading.dependents.fill(ledger)
    return ledger


def _loaded_around_locks(ledger: LedgerState, reading: _Reading, plan: _Plan) -> Loaded:
    """Return what was loaded with SKIP LOCKED, and the commands that need a wallet that others have locked.

    No command names a commission wallet, so it is added here for commands whose currency has a rule.
    """
    earning = {rule.currency: system_wallet(Role.COMMISSION, rule.currency) for rule in ledger.rules.values()}
    existing = frozenset(id_ for (id_,) in reading.existing or ()) | frozenset(earning.values())
    locked_by_others = existing - ledger.wallets.keys()
    blocked = []
    for lock_set, wallets, is_kept in zip(plan.all_lock_sets, plan.wallets, plan.kept, strict=True):
        needed = wallets | {earning[currency] for currency in lock_set.rules_of & earning.keys()}
        blocked.append(not is_kept or not locked_by_others.isdisjoint(needed))
    return Loaded(ledger, locked_by_others, tuple(blocked))


def wait_for(tx: Tx, commands: Sequence[Command]) -> None:
    """Wait until the wallets of *commands* are free, up to the ``lock_timeout``, and release them again.

    Holds no other lock while it waits: a wait with the rules locked would keep out all changes of rules.
    """
    wallets = wallets_to_lock(tx, [command.lock_set() for command in commands])
    tx.execute(LOCK_WALLETS, [texts(sorted(frozenset[WalletId]().union(*wallets))), texts(())])
    tx.rollback()


def store(tx: Tx, ledger: LedgerState) -> None:
    """Write what has been decided; the caller commits."""
    with pipelined(tx):
        expected = [*store_wallets(tx, ledger)]
        store_transactions(tx, ledger)
        expected += [
            *store_orders(tx, ledger),
            *store_holds(tx, ledger),
            *store_rules(tx, ledger),
            *store_webhooks(tx, ledger),
            *store_bank_statement_lines(tx, ledger),
            *store_bank_statement(tx, ledger),
        ]
        store_totals(tx, ledger)
        store_references(tx, ledger)
        store_records(tx, ledger)
        store_events(tx, ledger)
    if any(cursor.rowcount != count for cursor, count in expected):
        # A row changed although it was locked, or work was claimed meanwhile: nothing of this batch may be stored.
        raise BatchRefused(TransactionConflict())
