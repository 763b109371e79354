"""Load and store: the two halves of every movement of money, each one round trip.

``load`` locks all wallets that a batch touches with one statement, in key order, and reads from that statement columns
of ``wallets`` only: everything else is read by later statements, whose snapshots are taken with the locks held. Folded
into the lock statement they would show what was true before the wait.

``store`` writes everything that was decided, set by set, in the lock order: wallets, what hangs on them, requests.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from wallet_core.domain.books import Books, Record, Written
from wallet_core.domain.command import Command, Request
from wallet_core.domain.errors import TransactionConflict, refusal_from_record
from wallet_core.domain.transaction import Transaction
from wallet_core.domain.wallet import NewWallet, Role, Wallet, WalletId, WalletState
from wallet_core.storage.arrays import plain, texts, times
from wallet_core.storage.engine import Tx
from wallet_core.storage.errors import BatchRefused
from wallet_core.storage.withdrawals import Expected, read_withdrawals, store_withdrawals

# Which wallet a withdrawal hangs on never changes, so it is looked up unlocked.
WALLETS_OF_WITHDRAWALS = """
SELECT withdrawals.id, wallets.id
FROM withdrawals
JOIN wallets ON wallets.key = withdrawals.wallet
WHERE withdrawals.id = ANY(%s)
"""

# Locks the wallets, in key order so that no two batches wait for each other in a ring.
LOCK_WALLETS = """
SELECT key, id, role, currency, state, balance, held, overdraft_limit, sequence, last_time
FROM wallets
WHERE id = ANY(%s::text[])
ORDER BY key
FOR NO KEY UPDATE
"""

# The same, leaving out what somebody else has locked.
LOCK_FREE_WALLETS = LOCK_WALLETS.rstrip() + " SKIP LOCKED\n"

# Tells wallets that are locked by somebody else from those that do not exist.
EXISTING_WALLETS = "SELECT id FROM wallets WHERE id = ANY(%s::text[])"

NOW = "SELECT clock_timestamp()"

RECORDS = """
SELECT r.caller, r.request_id, r.method, r.fingerprint, r.subject, r.available, r.refusal, r.told
FROM unnest(%s::text[], %s::uuid[]) AS asked (caller, request_id)
JOIN requests AS r ON r.caller = asked.caller AND r.request_id = asked.request_id
"""

FRESH_KEYS = "SELECT nextval('wallet_keys') FROM generate_series(1, %s)"

INSERT_WALLETS = """
INSERT INTO wallets (key, id, role, currency, owner, display_name, state, balance, held, overdraft_limit, sequence,
    last_time, create_time)
SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::timestamptz[])
"""

# The sequence seen under the lock must still be there: if not, somebody wrote past the lock.
UPDATE_WALLETS = """
UPDATE wallets
SET balance = moved.balance, sequence = moved.sequence, last_time = moved.last_time
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[])
    AS moved (key, seen, balance, sequence, last_time)
WHERE wallets.key = moved.key AND wallets.sequence = moved.seen
"""

INSERT_TRANSACTIONS = """
INSERT INTO transactions (id, type, source, destination, amount, description, external_reference, withdrawal, time)
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[],
    %s::uuid[], %s::timestamptz[])
"""

INSERT_ENTRIES = """
INSERT INTO entries (wallet, sequence, transaction, amount, balance_after, time)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::uuid[], %s::bigint[], %s::bigint[], %s::timestamptz[])
"""

INSERT_RECORDS = """
INSERT INTO requests (caller, request_id, method, fingerprint, subject, available, refusal, told, time)
SELECT caller, request_id, method, decode(fingerprint, 'hex'), subject, available, refusal, told::jsonb, %s
FROM unnest(%s::text[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[])
    AS recorded (caller, request_id, method, fingerprint, subject, available, refusal, told)
"""

INSERT_FACTS = """
INSERT INTO outbox (kind, subject, time)
SELECT * FROM unnest(%s::text[], %s::text[], %s::timestamptz[])
"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The books under their locks; which wallets somebody else holds, and of each command whether it needs one."""

    books: Books
    held: frozenset[WalletId]
    blocked: tuple[bool, ...]


def load(tx: Tx, commands: Sequence[Command], *, skip_locked: bool = False) -> Loaded:
    """Lock the wallets that *commands* need and read what they decide on.

    Waits for locks up to the connection's ``lock_timeout``; with *skip_locked* not at all, and says whom that concerns.
    """
    needs = [command.needs() for command in commands]
    withdrawals = sorted({id_ for need in needs for id_ in need.withdrawals})
    wallet_of: dict[UUID, WalletId] = {}
    if withdrawals:
        wallet_of = dict(tx.execute(WALLETS_OF_WITHDRAWALS, [withdrawals]).fetchall())
    wanted = [need.wallets | {wallet_of[id_] for id_ in need.withdrawals if id_ in wallet_of} for need in needs]
    names = texts(sorted(frozenset[WalletId]().union(*wanted)))
    requests = [command.request for command in commands if command.request is not None]
    asked = [texts(r.caller for r in requests), plain(r.id for r in requests)]
    new_wallets = sum(need.new_wallets for need in needs)
    with tx.pipeline():
        lock = tx.execute(LOCK_FREE_WALLETS if skip_locked else LOCK_WALLETS, [names])
        existing = tx.execute(EXISTING_WALLETS, [names]) if skip_locked else None
        records = tx.execute(RECORDS, asked) if requests else None
        found = read_withdrawals(tx.execute, withdrawals) if withdrawals else None
        keys = tx.execute(FRESH_KEYS, [new_wallets]) if new_wallets else None
        clock = tx.execute(NOW)
    ((now,),) = clock
    locked = {row[1]: _wallet(*row) for row in lock}
    books = Books(
        now=now,
        wallets=locked,
        records={record.request: record for record in (_record(*row) for row in records or ())},
        withdrawals=found.rows() if found else {},
        fresh_keys=[key for (key,) in keys or ()],
    )
    held = frozenset(id_ for (id_,) in existing or ()) - locked.keys()
    return Loaded(books, held, tuple(not held.isdisjoint(names) for names in wanted))


def store(tx: Tx, books: Books) -> None:
    """Write what has been decided; the caller commits."""
    written = books.written
    with tx.pipeline():
        expected = [*_store_wallets(tx, books, written), *store_withdrawals(tx, books)]
        if written.records:
            _store_records(tx, written.records, books.now)
        if written.facts:
            facts = written.facts
            tx.execute(
                INSERT_FACTS,
                [texts(f.kind for f in facts), texts(f.subject for f in facts), times(f.time for f in facts)],
            )
    for cursor, rows in expected:
        if cursor.rowcount != rows:
            # A claim moved the fence after it was read, or an answer was there already: decide again on what is now.
            raise BatchRefused(TransactionConflict())


def _store_wallets(tx: Tx, books: Books, written: Written) -> Expected:
    opened = {new.wallet.id for new in written.opened}
    if written.opened:
        _insert_wallets(tx, written.opened, books.now)
    if not written.transactions:
        return []
    expected: Expected = []
    moved = [(books.wallets[id_], seen) for id_, seen in written.moved.items() if id_ not in opened]
    if moved:
        columns = [
            plain(w.key for w, _ in moved),
            plain(seen for _, seen in moved),
            plain(w.balance for w, _ in moved),
            plain(w.sequence for w, _ in moved),
            times(w.last_time for w, _ in moved),
        ]
        expected.append((tx.execute(UPDATE_WALLETS, columns), len(moved)))
    _insert_transactions(tx, books, written.transactions)
    return expected


def _insert_wallets(tx: Tx, opened: list[NewWallet], now: datetime) -> None:
    # Sorted by id, because two batches that open the same wallets wait for each other on that index.
    opened = sorted(opened, key=lambda new: new.wallet.id)
    rows = [new.wallet for new in opened]
    tx.execute(
        INSERT_WALLETS,
        [
            [w.key for w in rows],
            [w.id for w in rows],
            [w.role for w in rows],
            [w.currency for w in rows],
            [new.owner for new in opened],
            [new.display_name for new in opened],
            [w.state for w in rows],
            [w.balance for w in rows],
            [w.held for w in rows],
            [w.overdraft_limit for w in rows],
            [w.sequence for w in rows],
            [w.last_time for w in rows],
            [now] * len(rows),
        ],
    )


def _insert_transactions(tx: Tx, books: Books, transactions: list[Transaction]) -> None:
    tx.execute(
        INSERT_TRANSACTIONS,
        [
            plain(t.id for t in transactions),
            texts(t.type for t in transactions),
            plain(books.wallets[t.source].key for t in transactions),
            plain(books.wallets[t.destination].key for t in transactions),
            plain(t.amount.minor for t in transactions),
            texts(t.description for t in transactions),
            texts(t.external_reference for t in transactions),
            plain(t.withdrawal for t in transactions),
            times(t.time for t in transactions),
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
        ],
    )


def _store_records(tx: Tx, records: list[Record], now: datetime) -> None:
    # Sorted by (caller, id): two batches with the same ids in another order would wait for each other in a ring.
    records = sorted(records, key=lambda r: (r.request.caller, r.request.id))
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
            texts(type(r.refusal).__name__ if r.refusal is not None else None for r in records),
            texts(json.dumps(r.refusal.fields()) if r.refusal is not None else None for r in records),
        ],
    )


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
        refusal=refusal_from_record(refusal, told or {}) if refusal is not None else None,
    )
