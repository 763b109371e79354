"""Payment orders with their attempts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import Connection

from wallet_core.domain.model.errors import ResourceNotFound
from wallet_core.domain.model.payment_order import OrderKind, PaymentOrder, ScheduledDeposit, Withdrawal, order_name
from wallet_core.domain.model.wallet import WalletId
from wallet_core.domain.queries.filter import Condition
from wallet_core.domain.queries.lists import ORDER_FIELDS, Page
from wallet_core.storage.connections.reader import Reader, wallet_key
from wallet_core.storage.posting.payment_orders import read_orders
from wallet_core.storage.reads.pages import Listing, where

_COLUMNS = {name: f"o.{name}" for name in ORDER_FIELDS}

# Where a page begins: below the last row of the page before.
Before = tuple[datetime, UUID]


class OrderReads(Reader):
    """Reads of orders."""

    def withdrawal(self, withdrawal: UUID) -> Withdrawal:
        """Return one withdrawal with its attempts."""
        return cast("Withdrawal", self._order(OrderKind.WITHDRAWAL, withdrawal))

    def scheduled_deposit(self, deposit: UUID) -> ScheduledDeposit:
        """Return one scheduled deposit with its attempts."""
        return cast("ScheduledDeposit", self._order(OrderKind.SCHEDULED_DEPOSIT, deposit))

    def list_withdrawals(
        self, *, wallet: WalletId | None, size: int, before: Before | None, conditions: Sequence[Condition]
    ) -> Page[Withdrawal]:
        """Return withdrawals of one wallet or of all, newest first, from below the create time and id *before*."""
        return cast("Page[Withdrawal]", self._list("withdrawals", wallet, size, before, conditions))

    def list_scheduled_deposits(
        self, *, wallet: WalletId | None, size: int, before: Before | None, conditions: Sequence[Condition]
    ) -> Page[ScheduledDeposit]:
        """Return scheduled deposits of one wallet or of all, newest first, from below *before*."""
        return cast("Page[ScheduledDeposit]", self._list("scheduled_deposits", wallet, size, before, conditions))

    def _order(self, kind: OrderKind, order: UUID) -> PaymentOrder:
        found = self.read(lambda tx: _orders(tx, [order]))
        if not found or found[0].kind is not kind:
            raise ResourceNotFound(order_name(kind, order))
        return found[0]

    def _list(
        self, table: str, wallet: WalletId | None, size: int, before: Before | None, conditions: Sequence[Condition]
    ) -> Page[PaymentOrder]:
        def read(tx: Connection) -> Page[PaymentOrder]:
            parameters: dict[str, object] = {}
            if wallet is not None:
                parameters["wallet"] = wallet_key(tx, wallet)
            if before is not None:
                parameters["time"], parameters["id"] = before
            page = by_create_time(table, parameters, columns="o.id").page(
                tx, size=size, where=where(conditions, _COLUMNS), parameters=parameters
            )
            return page.showing(_orders(tx, [row[0] for row in page.items]))

        return self.read(read)


def by_create_time(table: str, parameters: Mapping[str, object], *, columns: str, joins: str = "") -> Listing:
    """Return a listing of *table* by creation, newest first, narrowed as the parameters say."""
    narrowed = ["wallet = :wallet"] if "wallet" in parameters else []
    narrowed += ["(create_time, id) < (:time, :id)"] if "time" in parameters else []
    condition = f"WHERE {' AND '.join(narrowed)}" if narrowed else ""
    return Listing(
        scan_window=f"SELECT create_time, id FROM {table} {condition} ORDER BY create_time DESC, id DESC",
        columns=f"{columns}, scan_window.create_time, scan_window.id",
        joins=f"JOIN {table} AS o ON o.id = scan_window.id {joins}",
        position=("create_time", "id"),
    )


def _orders(tx: Connection, ids: Sequence[UUID]) -> list[PaymentOrder]:
    found = read_orders(tx.exec_driver_sql, ids).rows()
    return [found[id_] for id_ in ids if id_ in found]
