"""Reads: what callers are shown. Each is of one instant and locks nothing."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from sqlalchemy import Connection, Engine, Row, Select, func, select, tuple_
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from wallet_core.domain.errors import LedgerBroken, NotServed, ResourceNotFound, ServerOverloaded
from wallet_core.domain.money import Money
from wallet_core.domain.transaction import Entry, Transaction, TransactionType, transaction_name
from wallet_core.domain.wallet import Role, WalletId, WalletState, WalletView, wallet_name
from wallet_core.domain.withdrawal import Withdrawal, WithdrawalState, withdrawal_name
from wallet_core.storage.errors import batch_error
from wallet_core.storage.tables import entries, page_token_keys, transactions, wallets, withdrawals
from wallet_core.storage.withdrawals import read_withdrawals

Result = TypeVar("Result")

_SOURCE = wallets.alias("source")
_DESTINATION = wallets.alias("destination")


@dataclass(frozen=True, slots=True)
class Reads:
    """Everything that can be looked up. Raises ``ResourceNotFound``, or ``NotServed`` where the database fails."""

    engine: Engine

    def page_token_key(self) -> str:
        """Return the secret that page tokens are signed with, the same for all processes."""
        return str(self._read(lambda tx: tx.execute(select(page_token_keys.c.secret)).scalar_one()))

    def wallets(self, ids: Sequence[WalletId]) -> list[WalletView]:
        """Return wallets in the order asked for; raise for the first one that does not exist."""
        rows = self._read(lambda tx: tx.execute(select(wallets).where(wallets.c.id.in_(ids))).all())
        found = {row.id: _wallet(row) for row in rows}
        for wallet in ids:
            if wallet not in found:
                raise ResourceNotFound(wallet_name(wallet))
        return [found[wallet] for wallet in ids]

    def list_wallets(
        self, *, limit: int, before: int | None, state: WalletState | None, currency: str | None
    ) -> list[tuple[int, WalletView]]:
        """Return callers' wallets, newest first, from below the key *before*; each with its key."""
        query = select(wallets).where(wallets.c.role == Role.ORDINARY).order_by(wallets.c.key.desc()).limit(limit)
        if before is not None:
            query = query.where(wallets.c.key < before)
        if state is not None:
            query = query.where(wallets.c.state == state)
        if currency is not None:
            query = query.where(wallets.c.currency == currency)
        return [(row.key, _wallet(row)) for row in self._read(lambda tx: tx.execute(query).all())]

    def transaction(self, transaction: UUID) -> Transaction:
        """Return one transaction with its entries."""
        query = _transactions().where(transactions.c.id == transaction)
        found = self._read(lambda tx: _with_entries(tx, tx.execute(query).all()))
        if not found:
            raise ResourceNotFound(transaction_name(transaction))
        return found[0]

    def list_transactions(
        self, wallet: WalletId, *, limit: int, before: int | None, type_: TransactionType | None
    ) -> list[tuple[int, Transaction]]:
        """Return a wallet's transactions, newest first, from below its sequence *before*; each with its sequence."""

        def read(tx: Connection) -> list[tuple[int, Transaction]]:
            key = _wallet_key(tx, wallet)
            query = (
                _transactions()
                .add_columns(entries.c.sequence)
                .join(entries, entries.c.transaction == transactions.c.id)
                .where(entries.c.wallet == key)
                .order_by(entries.c.sequence.desc())
                .limit(limit)
            )
            if before is not None:
                query = query.where(entries.c.sequence < before)
            if type_ is not None:
                query = query.where(transactions.c.type == type_)
            rows = tx.execute(query).all()
            return list(zip((row.sequence for row in rows), _with_entries(tx, rows), strict=True))

        return self._read(read)

    def withdrawal(self, withdrawal: UUID) -> Withdrawal:
        """Return one withdrawal with its attempts."""
        found = self._read(lambda tx: _withdrawals(tx, [withdrawal]))
        if not found:
            raise ResourceNotFound(withdrawal_name(withdrawal))
        return found[0]

    def list_withdrawals(
        self,
        *,
        wallet: WalletId | None,
        limit: int,
        before: tuple[datetime, UUID] | None,
        state: WithdrawalState | None,
    ) -> list[Withdrawal]:
        """Return withdrawals, newest first, from below the create time and id *before*."""

        def read(tx: Connection) -> list[Withdrawal]:
            position = tuple_(withdrawals.c.create_time, withdrawals.c.id)
            query = (
                select(withdrawals.c.id)
                .order_by(withdrawals.c.create_time.desc(), withdrawals.c.id.desc())
                .limit(limit)
            )
            if wallet is not None:
                query = query.where(withdrawals.c.wallet == _wallet_key(tx, wallet))
            if before is not None:
                query = query.where(position < tuple_(*before))
            if state is not None:
                query = query.where(withdrawals.c.state == state)
            return _withdrawals(tx, tx.execute(query).scalars().all())

        return self._read(read)

    def ping(self) -> None:
        """Ask the database whether it is there."""
        self._read(lambda tx: tx.execute(select(func.now())).scalar_one())

    def _read(self, read: Callable[[Connection], Result]) -> Result:
        """Run a read; once more where the pool's connection turns out to be of a server that went away."""
        try:
            return self._read_once(read)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise _told(error) from error.orig
        try:
            return self._read_once(read)
        except DBAPIError as error:
            raise _told(error) from error.orig

    def _read_once(self, read: Callable[[Connection], Result]) -> Result:
        try:
            with self.engine.connect() as tx:
                # One snapshot for all statements of a read.
                tx.execution_options(isolation_level="REPEATABLE READ")
                return read(tx)
        except PoolTimeout:
            raise ServerOverloaded from None


def _told(error: DBAPIError) -> NotServed:
    """Return what a failed read means: the database's trouble, or a defect of ours."""
    return batch_error(error.orig).told if isinstance(error.orig, psycopg.Error) else LedgerBroken()


def _wallet_key(tx: Connection, wallet: WalletId) -> int:
    key = tx.execute(select(wallets.c.key).where(wallets.c.id == wallet)).scalar_one_or_none()
    if key is None:
        raise ResourceNotFound(wallet_name(wallet))
    return int(key)


def _wallet(row: Row[Any]) -> WalletView:
    return WalletView(
        id=row.id,
        currency=row.currency,
        owner=row.owner,
        display_name=row.display_name,
        state=WalletState(row.state),
        balance=row.balance,
        held=row.held,
        overdraft_limit=row.overdraft_limit,
        create_time=row.create_time,
    )


def _transactions() -> Select[Any]:
    return (
        select(
            transactions,
            _SOURCE.c.id.label("source_id"),
            _SOURCE.c.currency.label("currency"),
            _DESTINATION.c.id.label("destination_id"),
        )
        .join(_SOURCE, _SOURCE.c.key == transactions.c.source)
        .join(_DESTINATION, _DESTINATION.c.key == transactions.c.destination)
    )


def _with_entries(tx: Connection, rows: Sequence[Row[Any]]) -> list[Transaction]:
    """Return the transactions of *rows*, in their order, each with its entries as they were booked."""
    legs: dict[UUID, list[Entry]] = {}
    query = (
        select(entries, wallets.c.id.label("wallet_id"))
        .join(wallets, wallets.c.key == entries.c.wallet)
        .where(entries.c.transaction.in_([row.id for row in rows]))
        .order_by(entries.c.amount, entries.c.wallet)
    )
    for leg in tx.execute(query):
        legs.setdefault(leg.transaction, []).append(
            Entry(leg.wallet_id, leg.wallet, leg.sequence, leg.amount, leg.balance_after)
        )
    return [
        Transaction(
            id=row.id,
            type=TransactionType(row.type),
            amount=Money(row.currency, row.amount),
            source=row.source_id,
            destination=row.destination_id,
            entries=tuple(legs[row.id]),
            description=row.description,
            external_reference=row.external_reference,
            withdrawal=row.withdrawal,
            time=row.time,
        )
        for row in rows
    ]


def _withdrawals(tx: Connection, ids: Iterable[UUID]) -> list[Withdrawal]:
    wanted = list(ids)
    found = read_withdrawals(tx.exec_driver_sql, wanted).rows()
    return [found[id_] for id_ in wanted if id_ in found]
