"""Payment orders with their attempts."""

from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Connection, Row

from wallet_core.domain.model.errors import ResourceNotFound
from wallet_core.domain.model.payment_order import OrderKind, PaymentOrder, ScheduledDeposit, Withdrawal, order_name
from wallet_core.domain.model.wallet import WalletId
from wallet_core.domain.queries.filter import Condition
from wallet_core.domain.queries.lists import SCHEDULED_DEPOSIT_FIELDS, Page
from wallet_core.storage.connections.reader import Reader, wallet_key
from wallet_core.storage.posting.payment_orders import read_orders
from wallet_core.storage.reads.pages import Listing, Place, narrowed, where

_COLUMNS = {name: f"o.{name}" for name in SCHEDULED_DEPOSIT_FIELDS}


class OrderReads(Reader):
    """Reads of orders."""

    def withdrawal(self, withdrawal: UUID) -> Withdrawal:
        """Return one withdrawal with its attempts."""
        return cast("Withdrawal", self._order(OrderKind.WITHDRAWAL, withdrawal))

    def scheduled_deposit(self, deposit: UUID) -> ScheduledDeposit:
        """Return one scheduled deposit with its attempts."""
        return cast("ScheduledDeposit", self._order(OrderKind.SCHEDULED_DEPOSIT, deposit))

    def list_withdrawals(
        self, *, wallet: WalletId | None, size: int, before: Place | None, conditions: Sequence[Condition]
    ) -> Page[Withdrawal]:
        """Return withdrawals of one wallet or of all, newest first, from below the create time and id *before*."""
        return cast("Page[Withdrawal]", self._list("withdrawals", wallet, size, before, conditions))

    def list_scheduled_deposits(
        self, *, wallet: WalletId | None, size: int, before: Place | None, conditions: Sequence[Condition]
    ) -> Page[ScheduledDeposit]:
        """Return scheduled deposits of one wallet or of all, newest first, from below *before*."""
        return cast("Page[ScheduledDeposit]", self._list("scheduled_deposits", wallet, size, before, conditions))

    def _order(self, kind: OrderKind, order: UUID) -> PaymentOrder:
        found = self.read(lambda tx: _orders(tx, [order]))
        if not found or found[0].kind is not kind:
            raise ResourceNotFound(order_name(kind, order))
        return found[0]

    def _list(
        self, table: str, wallet: WalletId | None, size: int, before: Place | None, conditions: Sequence[Condition]
    ) -> Page[PaymentOrder]:
        def read(tx: Connection) -> Page[PaymentOrder]:
            page = page_by_create_time(
                tx, table, _COLUMNS, wallet=wallet, size=size, before=before, conditions=conditions
            )
            return page.showing(_orders(tx, [row[0] for row in page.items]))

        return self.read(read)


def page_by_create_time(  # all but the first three by name
    tx: Connection,
    table: str,
    columns: Mapping[str, str],
    *,
    wallet: WalletId | None,
    size: int,
    before: Place | None,
    conditions: Sequence[Condition],
    joins: str = "",
) -> Page[Row[Any]]:
    """Return a page of the ids in *table*, newest first: of one wallet or of all, below the position *before*.

    *columns* has the SQL of the fields of the conditions, for the table as ``o`` and what *joins* adds.
    """
    by = [field for field in ("external_reference", "caller") if field in columns and wallet is None]
    narrow = narrowed(conditions, by=by, time="create_time", before=before)
    parameters = narrow.parameters
    known = [narrow.by.field] if narrow.by is not None else []
    parts = [f"{column} <> ''" for column in known]  # the index has no others
    if wallet is not None:
        parts.append("wallet = :wallet")
        parameters["wallet"] = wallet_key(tx, wallet)
    parts.append(narrow.keyset("create_time", "id", *known))
    listing = Listing(
        scan_window=f"SELECT {', '.join([*known, 'create_time', 'id'])} FROM {table} WHERE {' AND '.join(parts)}",
        columns="o.id, scan_window.create_time, scan_window.id",
        # Each row by itself, as in the list of transactions.
        joins=f"CROSS JOIN LATERAL (SELECT * FROM {table} WHERE id = scan_window.id LIMIT 1) AS o {joins}",
        position=("create_time", "id"),
        known=known,
    )
    return listing.page(tx, size=size, where=where(narrow.others, columns), parameters=parameters)


def _orders(tx: Connection, ids: Sequence[UUID]) -> list[PaymentOrder]:
    found = read_orders(tx.exec_driver_sql, ids).rows()
    return [found[id_] for id_ in ids if id_ in found]
