"""The database itself stops a second step of one order, should the service ever try."""

from uuid import uuid4

import psycopg
import pytest

from tests.support.rows import insert_transaction, insert_wallet

ONCE = (
    *("WITHDRAWAL", "WITHDRAWAL_SETTLEMENT", "WITHDRAWAL_RELEASE", "WITHDRAWAL_RETURN", "RETURN_APPLICATION"),
    *("DEPOSIT", "COLLECTION", "COLLECTION_APPLICATION"),
)


@pytest.fixture
def owner(owner: psycopg.Connection) -> psycopg.Connection:
    """Return the owner's connection, with two wallets there."""
    insert_wallet(owner, 1)
    insert_wallet(owner, 2)
    return owner


@pytest.mark.parametrize("type_", ONCE)
def test_an_order_has_each_of_its_steps_once(owner: psycopg.Connection, type_: str) -> None:
    """A second release, settlement, credit, return or placement of one order is refused; another order's is not."""

    order = uuid4()
    insert_transaction(owner, uuid4(), type=type_, cause=order)
    insert_transaction(owner, uuid4(), type=type_, cause=uuid4())

    with pytest.raises(psycopg.errors.UniqueViolation, match="transactions_once_per_order"):
        insert_transaction(owner, uuid4(), type=type_, cause=order)


def test_a_withdrawal_is_settled_or_released_and_not_both(owner: psycopg.Connection) -> None:
    """Money that the bank has paid does not come back by a second end."""

    order = uuid4()
    insert_transaction(owner, uuid4(), type="WITHDRAWAL_SETTLEMENT", cause=order)

    with pytest.raises(psycopg.errors.UniqueViolation, match="transactions_once_per_order"):
        insert_transaction(owner, uuid4(), type="WITHDRAWAL_RELEASE", cause=order)


@pytest.mark.parametrize("type_", ["REVERSAL", "HOLD_CAPTURE"])
def test_what_may_be_done_in_parts_may_be_done_again(owner: psycopg.Connection, type_: str) -> None:
    """Reversals of one transaction and captures of one hold."""

    cause = uuid4()
    for _ in range(2):
        insert_transaction(owner, uuid4(), type=type_, cause=cause)

    assert owner.execute("SELECT count(*) FROM transactions WHERE cause = %s", [cause]).fetchone() == (2,)
