"""Wallets and currencies on the posting path: locked and read, opened, changed, and moved."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from wallet_core.domain.deciding.decision import OpenedWallet
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.money import Currency
from wallet_core.domain.model.wallet import Labels, Role, Wallet, WalletDetails, WalletId, WalletState
from wallet_core.storage.connections.engine import Cursor, Expected, Tx
from wallet_core.storage.posting.columns import Column, Insert, arrays, unnest

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

# The same, without the wallets that another transaction has locked.
LOCK_WALLETS_SKIP_LOCKED = LOCK_WALLETS.rstrip() + " SKIP LOCKED\n"

# Distinguishes wallets that another transaction has locked from those that do not exist.
EXISTING_WALLETS = "SELECT id FROM wallets WHERE id = ANY(%s::text[])"

DETAILS = "SELECT id, display_name, create_time, revision FROM wallets WHERE id = ANY(%s::text[])"

# Open orders and holds of a wallet: as many as the batch could end, and one more.
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

FRESH_KEYS = "SELECT nextval('wallet_keys') FROM generate_series(1, %s)"

# Two releases may know a currency with different decimals: the first that stores it decides.
INSERT_CURRENCIES: Insert[Currency] = Insert(
    "currencies",
    [
        Column("code", "text", "code"),
        Column("exponent", "smallint", "exponent"),
    ],
    clause="ON CONFLICT DO NOTHING",
)

# Opened empty: what has been credited and reserved since is written by UPDATE_WALLETS, like that of any other wallet.
INSERT_WALLETS: Insert[OpenedWallet] = Insert(
    "wallets",
    [
        Column("key", "bigint", "wallet.key"),
        Column("id", "text", "wallet.id"),
        Column("role", "text", "wallet.role"),
        Column("currency", "text", "wallet.currency"),
        Column("owner", "text", "wallet.owner"),
        Column("display_name", "text", "details.display_name"),
        Column("state", "text", "wallet.state"),
        Column("overdraft_limit", "bigint", "wallet.overdraft_limit"),
        Column("labels", "jsonb", "wallet.labels"),
        Column("create_time", "timestamptz", "details.create_time"),
    ],
    fixed={"balance": "0", "held": "0", "sequence": "0", "last_time": "create_time"},
)

# One statement sets all that the batch has made of a wallet, money too: its floor and its state are checked together.
CHANGE_WALLET = """
UPDATE wallets
SET state = %s, display_name = %s, overdraft_limit = %s, labels = %s::jsonb, revision = %s, balance = %s, held = %s
WHERE key = %s
"""


class _Moved(NamedTuple):
    """A wallet as the batch leaves it, and the sequence that it had when it was loaded."""

    wallet: Wallet
    loaded_sequence: int


_MOVED: list[Column[_Moved]] = [
    Column("key", "bigint", "wallet.key"),
    Column("loaded_sequence", "bigint", "loaded_sequence"),
    Column("balance", "bigint", "wallet.balance"),
    Column("held", "bigint", "wallet.held"),
    Column("sequence", "bigint", "wallet.sequence"),
    Column("last_time", "timestamptz", "wallet.last_time"),
]

# The sequence that was read under the lock must still be there: if not, another transaction wrote without the lock.
UPDATE_WALLETS = f"""
UPDATE wallets
SET balance = moved.balance, held = moved.held, sequence = moved.sequence, last_time = moved.last_time
FROM {unnest("moved", _MOVED)}
WHERE wallets.key = moved.key AND wallets.sequence = moved.loaded_sequence
"""


def fill_details(ledger: LedgerState, rows: Iterable[Sequence[Any]]) -> None:
    """Add the rows of ``DETAILS``."""
    for id_, display_name, create_time, revision in rows:
        ledger.details[id_] = WalletDetails(display_name=display_name, create_time=create_time, revision=revision)


def fill_open_items(ledger: LedgerState, rows: Iterable[Sequence[Any]]) -> None:
    """Add the rows of ``OPEN_ITEMS``."""
    for wallet, name in rows:
        ledger.open_items[wallet] = ledger.open_items.get(wallet, frozenset()) | {name}


def store_wallets(tx: Tx, ledger: LedgerState) -> Expected:
    """Write the wallets that were opened, changed or moved."""
    pending = ledger.pending
    # Before any wallet, and in order: two batches that open the first wallets of a currency wait for each other here.
    INSERT_CURRENCIES.write(tx, sorted(pending.currencies, key=lambda one: one.code))
    # By id, because two batches that open the same wallets wait for each other on that index.
    INSERT_WALLETS.write(tx, sorted(pending.opened, key=lambda one: one.wallet.id))
    expected: Expected = []
    for id_ in sorted(pending.changed, key=lambda one: ledger.wallets[one].key):
        expected.append((_change_wallet(tx, ledger.wallets[id_], ledger.details[id_]), 1))
    opened = {new.wallet.id for new in pending.opened}
    moved = [_Moved(ledger.wallets[id_], 0 if id_ in opened else sequence) for id_, sequence in pending.touched.items()]
    if moved:
        expected.append((tx.execute(UPDATE_WALLETS, arrays(_MOVED, moved)), len(moved)))
    return expected


def _change_wallet(tx: Tx, wallet: Wallet, details: WalletDetails) -> Cursor:
    labels = json.dumps(dict(wallet.labels))
    changed = [wallet.state, details.display_name, wallet.overdraft_limit, labels, details.revision]
    return tx.execute(CHANGE_WALLET, [*changed, wallet.balance, wallet.held, wallet.key])


def wallet_of(row: Sequence[Any]) -> Wallet:
    """Return the wallet in a row of ``LOCK_WALLETS``."""
    return _wallet(*row)


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
