"""Load and store: the two halves of every movement of money, each one round trip.

``load`` locks all wallets that a batch touches with one statement, in key order, and reads from that statement columns
of ``wallets`` only: everything else is read by later statements, whose snapshots are taken with the locks held. Folded
into the lock statement they would show what was true before the wait.

``store`` writes everything that was decided, set by set, in the lock order: wallets, what hangs on them, requests.
"""

import json
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import LockSet, OpenedWallet, Request
from wallet_core.domain.deciding.ledger_state import LedgerState, PendingWrites
from wallet_core.domain.deciding.records import Record
from wallet_core.domain.model.bank import BankStatement
from wallet_core.domain.model.errors import Refusal, TransactionConflict
from wallet_core.domain.model.payment_order import OrderKind, bank_key
from wallet_core.domain.model.stored_refusals import from_record, to_record
from wallet_core.domain.model.transaction import Transaction
from wallet_core.domain.model.wallet import Labels, Role, Wallet, WalletDetails, WalletId, WalletState, system_wallet
from wallet_core.storage.connections.engine import Cursor, Expected, Tx, pipelined
from wallet_core.storage.connections.session import is_own
from wallet_core.storage.errors import BatchRefused, DatabaseLost
from wallet_core.storage.posting.arrays import plain, texts, times
from wallet_core.storage.posting.bank_statement import (
    EXECUTED,
    FOLLOWED,
    LINES,
    line_of,
    store_bank_statement,
    store_bank_statement_lines,
)
from wallet_core.storage.posting.holds import HOLDS, hold_of, store_holds
from wallet_core.storage.posting.in_progress import ENTER
from wallet_core.storage.posting.outbox import store_events
from wallet_core.storage.posting.payment_orders import Reading, read_orders, store_orders
from wallet_core.storage.posting.rules import (
    LOCK_RULES_EXCLUSIVE,
    LOCK_RULES_SHARED,
    RULES,
    RULES_OF,
    rule_of,
    store_rules,
)
from wallet_core.storage.posting.totals import store_totals
from wallet_core.storage.posting.transactions import TRANSACTIONS, transaction_of

# Which wallets something hangs on never changes, so that is looked up unlocked. A transaction has those of its entries,
# and its two ends even where nothing was left for one of them.
WALLETS_OF = """
SELECT dependents.id, wallets.id, wallets.currency
FROM (
    SELECT id, wallet FROM withdrawals WHERE id = ANY(%(orders)s)
    UNION ALL SELECT id, wallet FROM scheduled_deposits WHERE id = ANY(%(orders)s)
    UNION ALL SELECT id, wallet FROM holds WHERE id = ANY(%(holds)s)
    UNION SELECT transaction, wallet FROM entries WHERE transaction = ANY(%(transactions)s)
    UNION SELECT id, source FROM transactions WHERE id = ANY(%(transactions)s)
    UNION SELECT id, destination FROM transactions WHERE id = ANY(%(transactions)s)
) AS dependents (id, wallet)
JOIN wallets ON wallets.key = dependents.wallet
"""

# Locks the wallets, in key order so that no two batches wait for each other in a ring. Where a currency has a rule that
# is live or yet to come, its commission wallet is one of them.
LOCK_WALLETS = """
SELECT key, id, role, currency, state, balance, held, overdraft_limit, sequence, last_time, owner,
    nullif(labels, '{}')
FROM wallets
WHERE id = ANY(%s::text[] || ARRAY(
    SELECT 'system:commission:' || charged.currency
    FROM unnest(%s::text[]) AS charged (currency)
    WHERE EXISTS (
        SELECT
        FROM commission_rules
        WHERE commission_rules.currency = charged.currency
            AND coalesce(commission_rules.end_time, 'infinity') > clock_timestamp()
    )
))
ORDER BY key
FOR NO KEY UPDATE
"""

# The same, leaving out what somebody else has locked.
LOCK_WALLETS_SKIP_LOCKED = LOCK_WALLETS.rstrip() + " SKIP LOCKED\n"

# Tells wallets that are locked by somebody else from those that do not exist.
EXISTING_WALLETS = "SELECT id FROM wallets WHERE id = ANY(%s::text[])"

DETAILS = "SELECT id, display_name, create_time, revision FROM wallets WHERE id = ANY(%s::text[])"

# What is open in a wallet: as many as this batch could end, and one more.
OPEN_ITEMS = """
SELECT wallets.id, open.name
FROM wallets
CROSS JOIN LATERAL (
    (SELECT 'withdrawals/' || id FROM withdrawals
     WHERE wallet = wallets.key AND state IN ('SCHEDULED', 'PROCESSING', 'IN_DOUBT') LIMIT %(most)s)
    UNION ALL
    (SELECT 'scheduledDeposits/' || id FROM scheduled_deposits
     WHERE wallet = wallets.key AND state IN ('SCHEDULED', 'PROCESSING', 'IN_DOUBT') LIMIT %(most)s)
    UNION ALL
    (SELECT 'holds/' || id FROM holds WHERE wallet = wallets.key AND state = 'ACTIVE' LIMIT %(most)s)
) AS open (name)
WHERE wallets.id = ANY(%(wallets)s::text[])
"""

NOW = "SELECT clock_timestamp()"

RECORDS = """
SELECT r.caller, r.request_id, r.method, r.fingerprint, r.subject, r.available, r.refusal, r.told
FROM unnest(%s::text[], %s::uuid[]) AS asked (caller, request_id)
JOIN requests AS r ON r.caller = asked.caller AND r.request_id = asked.request_id
"""

FRESH_KEYS = "SELECT nextval('wallet_keys') FROM generate_series(1, %s)"

# Whoever comes second, of another release perhaps, keeps to what the first has written down.
INSERT_CURRENCIES = """
INSERT INTO currencies (code, exponent)
SELECT * FROM unnest(%s::text[], %s::smallint[])
ON CONFLICT DO NOTHING
"""

INSERT_WALLETS = """
INSERT INTO wallets (key, id, role, currency, owner, display_name, state, balance, held, overdraft_limit, sequence,
    last_time, create_time, labels)
SELECT key, id, role, currency, owner, display_name, state, 0, 0, overdraft_limit, 0, time, time, labels::jsonb
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[],
    %s::timestamptz[], %s::text[])
    AS opened (key, id, role, currency, owner, display_name, state, overdraft_limit, time, labels)
"""

# Sets what the wallet ends up with, money too: a limit that was raised and then used, or a wallet that was emptied and
# then closed, would break its floor or its state in between.
CHANGE_WALLET = """
UPDATE wallets
SET state = %s, display_name = %s, overdraft_limit = %s, labels = %s::jsonb, revision = %s, balance = %s, held = %s
WHERE key = %s
"""

# The sequence seen under the lock must still be there: if not, somebody wrote past the lock.
UPDATE_WALLETS = """
UPDATE wallets
SET balance = moved.balance, held = moved.held, sequence = moved.sequence, last_time = moved.last_time
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[])
    AS moved (key, seen, balance, held, sequence, last_time)
WHERE wallets.key = moved.key AND wallets.sequence = moved.seen
"""

INSERT_TRANSACTIONS = """
INSERT INTO transactions (id, type, source, destination, amount, description, external_reference, cause, time,
    commission, commission_rule, commission_payer, labels, batch, batch_item)
SELECT id, type, source, destination, amount, description, external_reference, cause, time, commission,
    commission_rule, commission_payer, labels::jsonb, batch, batch_item
FROM unnest(%s::uuid[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::uuid[],
    %s::timestamptz[], %s::bigint[], %s::uuid[], %s::text[], %s::text[], %s::uuid[], %s::integer[])
    AS moved (id, type, source, destination, amount, description, external_reference, cause, time, commission,
        commission_rule, commission_payer, labels, batch, batch_item)
"""

INSERT_ENTRIES = """
INSERT INTO entries (wallet, sequence, transaction, amount, balance_after, time, type)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::uuid[], %s::bigint[], %s::bigint[], %s::timestamptz[],
    %s::text[])
"""

INSERT_RECORDS = """
INSERT INTO requests (caller, request_id, method, fingerprint, subject, available, refusal, told, time)
SELECT caller, request_id, method, decode(fingerprint, 'hex'), subject, available, refusal, told::jsonb, %s
FROM unnest(%s::text[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[])
    AS recorded (caller, request_id, method, fingerprint, subject, available, refusal, told)
"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The books under their locks; which wallets somebody else holds, and of each command whether it needs one."""

    ledger: LedgerState
    held: frozenset[WalletId]
    blocked: tuple[bool, ...]
    """Whether it cannot be decided, because a wallet that it needs was left alone or is held."""


def load(
    tx: Tx, commands: Sequence[Command], *, skip_locked: bool = False, leave: AbstractSet[WalletId] = frozenset()
) -> Loaded:
    """Lock the wallets that *commands* need and read what they decide on.

    Waits for locks up to the connection's ``lock_timeout``; with *skip_locked* not at all, and says whom that concerns.
    A command that needs one of the wallets to *leave* alone is left out, and nothing is locked for it.
    """
    needs = [command.lock_set() for command in commands]
    wanted = _wanted_wallets(tx, needs)
    left = [not leave.isdisjoint(names) for names in wanted]
    kept = [need for need, is_left in zip(needs, left, strict=True) if not is_left]
    locked_for = (names for names, is_left in zip(wanted, left, strict=True) if not is_left)
    names = texts(sorted(frozenset[WalletId]().union(*locked_for)))
    currencies = sorted({currency for need in kept for currency in need.rules_of})
    requests = [command.request for command in commands if command.request is not None]
    asked = [texts(r.caller for r in requests), plain(r.id for r in requests)]
    new_wallets = sum(need.new_wallets for need in needs)
    with pipelined(tx):
        entered = tx.execute(ENTER)  # before the clock is read, and before the wait for anything
        if any(need.changes_rules for need in kept):
            tx.execute(LOCK_RULES_EXCLUSIVE)
        elif currencies:
            tx.execute(LOCK_RULES_SHARED)
        lock = tx.execute(LOCK_WALLETS_SKIP_LOCKED if skip_locked else LOCK_WALLETS, [names, texts(currencies)])
        existing = tx.execute(EXISTING_WALLETS, [names]) if skip_locked else None
        records = tx.execute(RECORDS, asked) if requests else None
        dependents = _read_dependent_rows(tx, needs)
        live = tx.execute(RULES_OF, [texts(currencies), names]) if currencies else None
        keys = tx.execute(FRESH_KEYS, [new_wallets]) if new_wallets else None
        clock = tx.execute(NOW)
    ((mark, _),) = entered
    if not is_own(tx, mark):
        raise DatabaseLost(may_be_stored=False)  # of another's session: nothing may be decided in it
    ((now,),) = clock
    locked = {row[1]: _wallet(*row) for row in lock}
    ledger = LedgerState(
        now=now,
        wallets=locked,
        records={record.request: record for record in (_record(*row) for row in records or ())},
        fresh_keys=[key for (key,) in keys or ()],
    )
    ledger.rules.update((rule.id, rule) for rule in map(rule_of, live or ()))
    dependents.fill(ledger)
    held = frozenset(id_ for (id_,) in existing or ()) - locked.keys()
    if skip_locked:
        # A commission wallet is nobody's wish, and may be held by somebody else like any other.
        charged = {rule.currency: system_wallet(Role.COMMISSION, rule.currency) for rule in ledger.rules.values()}
        wanted = [
            names | {charged[currency] for currency in need.rules_of & charged.keys()}
            for names, need in zip(wanted, needs, strict=True)
        ]
        held |= frozenset(charged.values()) - locked.keys()
    blocked = [is_left or not held.isdisjoint(names) for names, is_left in zip(wanted, left, strict=True)]
    return Loaded(ledger, held, tuple(blocked))


def _wanted_wallets(tx: Tx, needs: Sequence[LockSet]) -> list[frozenset[WalletId]]:
    """Return the wallets that each command needs, with those of what hangs on them."""
    ids = {
        "orders": _all(need.orders for need in needs),
        "holds": _all(need.holds for need in needs),
        "transactions": _all(need.transactions for need in needs),
    }
    if not any(ids.values()):
        return [need.wallets for need in needs]
    wallets_of: dict[UUID, set[WalletId]] = {}
    settlement_wallets_of = frozenset[UUID]().union(*(need.settlement_wallets_of for need in needs))
    for id_, wallet, currency in tx.execute(WALLETS_OF, ids):
        found = wallets_of.setdefault(id_, set())
        found.add(wallet)
        if id_ in settlement_wallets_of:
            found.update(system_wallet(role, currency) for role in (Role.EXTERNAL, Role.IN_TRANSIT))
    return [
        need.wallets.union(*(wallets_of.get(id_, ()) for id_ in need.orders | need.holds | need.transactions))
        for need in needs
    ]


@dataclass(frozen=True, slots=True)
class _DependentRows:
    """What hangs on the wallets, read in statements of its own, sent and not yet looked at."""

    details: Cursor | None
    open_items: Cursor | None
    orders: Reading | None
    lines: Cursor | None
    bank_statement: Cursor | None
    executed: Cursor | None
    holds: Cursor | None
    transactions: Cursor | None
    rules: Cursor | None

    def fill(self, ledger: LedgerState) -> None:
        """Put it into the books."""
        for id_, display_name, create_time, revision in self.details or ():
            ledger.details[id_] = WalletDetails(display_name=display_name, create_time=create_time, revision=revision)
        for wallet, name in self.open_items or ():
            ledger.open_items[wallet] = ledger.open_items.get(wallet, frozenset()) | {name}
        if self.orders is not None:
            ledger.orders.update(self.orders.rows())
        ledger.lines.update((line.number, line) for line in (line_of(*row) for row in self.lines or ()))
        for number, trouble in self.bank_statement or ():
            ledger.bank_statement = BankStatement(number=number, trouble=trouble)
        ledger.executed_keys = frozenset(key for (key,) in self.executed or ())
        ledger.holds.update((hold.id, hold) for hold in map(hold_of, self.holds or ()))
        ledger.transactions.update((one.id, one) for one in map(transaction_of, self.transactions or ()))
        ledger.rules.update((rule.id, rule) for rule in map(rule_of, self.rules or ()))


def _read_dependent_rows(tx: Tx, needs: Sequence[LockSet]) -> _DependentRows:
    details = _all(need.details for need in needs)
    open_items = _all(need.open_items for need in needs)
    orders = _all(need.orders | need.claimed for need in needs)
    holds = _all(need.holds for need in needs)
    transactions = _all(need.transactions for need in needs)
    rules = _all(need.rules for need in needs)
    lines = _all(need.lines for need in needs)
    keys = [bank_key(kind, id_) for id_ in orders for kind in OrderKind]
    return _DependentRows(
        details=tx.execute(DETAILS, [texts(details)]) if details else None,
        open_items=tx.execute(OPEN_ITEMS, {"wallets": texts(open_items), "most": len(needs) + 1})
        if open_items
        else None,
        orders=read_orders(tx.execute, orders) if orders else None,
        lines=tx.execute(LINES, [lines]) if lines else None,
        bank_statement=tx.execute(FOLLOWED) if any(need.bank_statement for need in needs) else None,
        executed=tx.execute(EXECUTED, [texts(keys)]) if keys else None,
        holds=tx.execute(HOLDS, [holds]) if holds else None,
        transactions=tx.execute(TRANSACTIONS, [transactions]) if transactions else None,
        rules=tx.execute(RULES, [rules]) if rules else None,
    )


def _all(sets: Iterable[frozenset[Any]]) -> list[Any]:
    return sorted(frozenset[Any]().union(*sets))


def wait_for(tx: Tx, commands: Sequence[Command]) -> None:
    """Wait until the wallets that *commands* need are free, up to the ``lock_timeout``, and let go of them again.

    Holds nothing else meanwhile: whoever waits with the rules in hand keeps everybody out who changes them.
    """
    wanted = _wanted_wallets(tx, [command.lock_set() for command in commands])
    tx.execute(LOCK_WALLETS, [texts(sorted(frozenset[WalletId]().union(*wanted))), texts(())])
    tx.rollback()


def store(tx: Tx, ledger: LedgerState) -> None:
    """Write what has been decided; the caller commits."""
    written = ledger.pending
    with pipelined(tx):
        expected = [
            *_store_wallets(tx, ledger, written),
            *store_orders(tx, ledger),
            *store_holds(tx, ledger),
            *store_rules(tx, ledger),
            *store_bank_statement_lines(tx, ledger),
            *store_bank_statement(tx, ledger),
        ]
        store_totals(tx, ledger)
        if written.records:
            _store_records(tx, written.records, ledger.now)
        store_events(tx, ledger)
    if any(cursor.rowcount != count for cursor, count in expected):
        # Somebody wrote past our locks, or claimed a piece of work in the middle: nothing of this batch may stand.
        raise BatchRefused(TransactionConflict())


def _store_wallets(tx: Tx, ledger: LedgerState, written: PendingWrites) -> Expected:
    expected: Expected = []
    if written.currencies:
        # Before any wallet, and in order: two batches that open the first wallets of the same wait for each other here.
        currencies = sorted(written.currencies, key=lambda one: one.code)
        codes, exponents = texts(one.code for one in currencies), plain(one.exponent for one in currencies)
        tx.execute(INSERT_CURRENCIES, [codes, exponents])
    if written.opened:
        _insert_wallets(tx, written.opened, ledger.now)
    for id_ in sorted(written.changed, key=lambda one: ledger.wallets[one].key):
        expected.append((_change_wallet(tx, ledger.wallets[id_], ledger.details[id_]), 1))
    opened = {new.wallet.id for new in written.opened}
    touched = [(ledger.wallets[id_], 0 if id_ in opened else seen) for id_, seen in written.touched.items()]
    if touched:
        columns = [
            plain(w.key for w, _ in touched),
            plain(seen for _, seen in touched),
            plain(w.balance for w, _ in touched),
            plain(w.held for w, _ in touched),
            plain(w.sequence for w, _ in touched),
            times(w.last_time for w, _ in touched),
        ]
        expected.append((tx.execute(UPDATE_WALLETS, columns), len(touched)))
    if written.transactions:
        _insert_transactions(tx, ledger, written.transactions)
    return expected


def _insert_wallets(tx: Tx, opened: list[OpenedWallet], now: datetime) -> None:
    """Insert wallets, empty; what has come in and been held since is written like that of any other."""
    # Sorted by id, because two batches that open the same wallets wait for each other on that index.
    opened = sorted(opened, key=lambda new: new.wallet.id)
    rows = [new.wallet for new in opened]
    tx.execute(
        INSERT_WALLETS,
        [
            plain(w.key for w in rows),
            texts(w.id for w in rows),
            texts(w.role for w in rows),
            texts(w.currency for w in rows),
            texts(w.owner for w in rows),
            texts(new.details.display_name for new in opened),
            texts(w.state for w in rows),
            plain(w.overdraft_limit for w in rows),
            times(now for _ in rows),
            texts(_json(w.labels) for w in rows),
        ],
    )


def _change_wallet(tx: Tx, wallet: Wallet, details: WalletDetails) -> Cursor:
    changed = [wallet.state, details.display_name, wallet.overdraft_limit, _json(wallet.labels), details.revision]
    return tx.execute(CHANGE_WALLET, [*changed, wallet.balance, wallet.held, wallet.key])


def _insert_transactions(tx: Tx, ledger: LedgerState, transactions: list[Transaction]) -> None:
    charged = [t.commission for t in transactions]
    tx.execute(
        INSERT_TRANSACTIONS,
        [
            plain(t.id for t in transactions),
            texts(t.type for t in transactions),
            plain(ledger.wallets[t.source].key for t in transactions),
            plain(ledger.wallets[t.destination].key for t in transactions),
            plain(t.amount.minor for t in transactions),
            texts(t.description for t in transactions),
            texts(t.external_reference for t in transactions),
            plain(t.cause for t in transactions),
            times(t.time for t in transactions),
            plain(c.amount.minor if c is not None else 0 for c in charged),
            plain(c.rule if c is not None else None for c in charged),
            texts(c.payer if c is not None else None for c in charged),
            texts(_json(t.labels) for t in transactions),
            plain(t.batch for t in transactions),
            plain(t.batch_item for t in transactions),
        ],
    )
    legs = [(entry, t) for t in transactions for entry in t.entries]
    tx.execute(
        INSERT_ENTRIES,
        [
            plain(entry.wallet_key for entry, _ in legs),
            plain(entry.sequence for entry, _ in legs),
            plain(t.id for _, t in legs),
            plain(entry.amount for entry, _ in legs),
            plain(entry.balance_after for entry, _ in legs),
            times(t.time for _, t in legs),
            texts(t.type for _, t in legs),
        ],
    )


def _json(labels: Labels) -> str:
    return json.dumps(labels) if labels else "{}"


def _store_records(tx: Tx, records: list[Record], now: datetime) -> None:
    # Sorted by (caller, id): two batches with the same ids in another order would wait for each other in a ring.
    records = sorted(records, key=lambda r: (r.request.caller, r.request.id))
    refusals = [_stored_refusal(r.refusal) for r in records]
    tx.execute(
        INSERT_RECORDS,
        [
            now,
            texts(r.request.caller for r in records),
            plain(r.request.id for r in records),
            texts(r.method for r in records),
            texts(r.fingerprint.hex() for r in records),
            texts(r.subject for r in records),
            plain(r.available for r in records),
            texts(code for code, _ in refusals),
            texts(about for _, about in refusals),
        ],
    )


def _stored_refusal(refusal: Refusal | None) -> tuple[str | None, str | None]:
    if refusal is None:
        return None, None
    code, about = to_record(refusal)
    return code, json.dumps(about)


def _wallet(
    key: int,
    id_: str,
    role: str,
    currency: str,
    state: str,
    balance: int,
    held: int,
    overdraft_limit: int,
    sequence: int,
    last_time: datetime,
    owner: str,
    labels: Labels | None,
) -> Wallet:
    return Wallet(
        key=key,
        id=WalletId(id_),
        role=Role(role),
        currency=currency,
        state=WalletState(state),
        balance=balance,
        held=held,
        overdraft_limit=overdraft_limit,
        sequence=sequence,
        last_time=last_time,
        owner=owner,
        labels=labels or {},
    )


def _record(
    caller: str,
    request_id: UUID,
    method: str,
    fingerprint: bytes,
    subject: str | None,
    available: int | None,
    refusal: str | None,
    told: dict[str, str | int] | None,
) -> Record:
    return Record(
        request=Request(caller, request_id),
        method=method,
        fingerprint=fingerprint,
        subject=subject,
        available=available,
        refusal=from_record(refusal, told or {}) if refusal is not None else None,
    )
