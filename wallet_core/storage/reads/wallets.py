"""Wallets, now and at earlier times."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from wallet_core.domain.model.commission_rule import CommissionRule
from wallet_core.domain.model.errors import InvalidField, ResourceNotFound
from wallet_core.domain.model.wallet import SYSTEM_KEYS_FROM, WalletId, WalletState, WalletView, wallet_name
from wallet_core.domain.queries.filter import Condition, Op
from wallet_core.domain.queries.lists import WALLET_FIELDS, Page
from wallet_core.storage.connections.reader import Reader, wallet_key
from wallet_core.storage.posting.rules import RULES_OF, rule_of
from wallet_core.storage.reads.pages import Listing, where
from wallet_core.storage.reads.search import balance_before, first_from

_WALLETS = text("SELECT * FROM wallets WHERE id = ANY(:ids)")
_NOW = text("SELECT clock_timestamp()")

_COLUMNS = {name: f"w.{name}" for name in WALLET_FIELDS} | {"currency_code": "w.currency"}


def _listing(narrow: str) -> Listing:
    """Return a listing of callers' wallets, narrowed by a condition with an index; the newest has the highest key."""
    return Listing(
        scan_window=f"SELECT key FROM wallets AS w WHERE role = 'ORDINARY' AND key < :before{narrow} ORDER BY key DESC",
        columns="w.*, scan_window.key",
        joins="JOIN wallets AS w ON w.key = scan_window.key",
        position=("key",),
    )


class WalletReads(Reader):
    """Reads of wallets."""

    def wallets(self, ids: Sequence[WalletId]) -> list[WalletView]:
        """Return wallets in the requested order; raise for the first one that does not exist."""
        return self.read(lambda tx: _wallets(tx, ids))

    def wallet_at(self, wallet: WalletId, as_of: datetime) -> WalletView:
        """Return a wallet with the balance that it had right before *as_of*, which may not be in the future."""

        def read(tx: Connection) -> WalletView:
            if as_of > tx.execute(_NOW).scalar_one():
                raise InvalidField("as_of", "must not be in the future")
            key = wallet_key(tx, wallet)
            (now,) = _wallets(tx, [wallet])
            return replace(now, balance=balance_before(tx, key, first_from(tx, key, as_of)))

        return self.read(read)

    def list_wallets(self, *, size: int, before: int | None, conditions: Sequence[Condition]) -> Page[WalletView]:
        """Return callers' wallets, newest first, from below the key *before*."""

        def read(tx: Connection) -> Page[WalletView]:
            known = [one for one in conditions if one.op is Op.EQUAL and one.value and one.field in {"owner", "labels"}]
            others = [one for one in conditions if one not in known]
            if any(one.key for one in known):
                tx.exec_driver_sql("SET LOCAL enable_bitmapscan = on")  # an index on labels has no other use
            narrow = where(known, _COLUMNS, prefix="known")
            listing = _listing(f" AND {narrow.sql}" if known else "")
            page = listing.page(
                tx,
                size=size,
                where=where(others, _COLUMNS),
                parameters={"before": before or SYSTEM_KEYS_FROM, **narrow.parameters},
            )
            return page.showing([_wallet(row) for row in page.items])

        return self.read(read)

    def commission_terms(
        self, source: WalletId, destination: WalletId, currency: str
    ) -> tuple[datetime, dict[WalletId, WalletView], list[CommissionRule]]:
        """Return the database's clock, those of both wallets that exist, and the rules that may concern them."""

        def read(tx: Connection) -> tuple[datetime, dict[WalletId, WalletView], list[CommissionRule]]:
            ids = [source, destination]
            rules = [rule_of(row) for row in tx.exec_driver_sql(RULES_OF, ([currency], ids))]
            return tx.execute(_NOW).scalar_one(), _found(tx, ids), rules

        return self.read(read)


def _found(tx: Connection, ids: Sequence[WalletId]) -> dict[WalletId, WalletView]:
    return {row.id: _wallet(row) for row in tx.execute(_WALLETS, {"ids": list(ids)})}


def _wallets(tx: Connection, ids: Sequence[WalletId]) -> list[WalletView]:
    found = _found(tx, ids)
    for wallet in ids:
        if wallet not in found:
            raise ResourceNotFound(wallet_name(wallet))
    return [found[wallet] for wallet in ids]


def _wallet(row: Row[Any]) -> WalletView:
    return WalletView(
        id=row.id,
        currency=row.currency,
        owner=row.owner,
        display_name=row.display_name,
        labels=row.labels,
        state=WalletState(row.state),
        balance=row.balance,
        held=row.held,
        overdraft_limit=row.overdraft_limit,
        create_time=row.create_time,
        revision=row.revision,
    )
