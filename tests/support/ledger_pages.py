"""Books in memory, for rules that are decided without a database."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from wallet_core.domain.books import Books
from wallet_core.domain.command import Request
from wallet_core.domain.create_wallet import CreateWallet
from wallet_core.domain.deposit import Deposit
from wallet_core.domain.money import Money
from wallet_core.domain.transfer import Transfer
from wallet_core.domain.wallet import (
    SYSTEM_ROLES,
    Role,
    Wallet,
    WalletId,
    WalletState,
    system_wallet,
    system_wallet_key,
)

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
ALICE, BOB, CAROL = WalletId("alice"), WalletId("bob"), WalletId("carol")
EXTERNAL = system_wallet(Role.EXTERNAL, "USD")
IN_TRANSIT = system_wallet(Role.IN_TRANSIT, "USD")


def wallet(  # noqa: PLR0913  # a wallet's columns
    id_: WalletId,
    balance: int = 0,
    *,
    key: int = 1,
    role: Role = Role.ORDINARY,
    currency: str = "USD",
    state: WalletState = WalletState.ACTIVE,
) -> Wallet:
    """Return a wallet as it would have been locked."""
    return Wallet(
        key=key,
        id=id_,
        role=role,
        currency=currency,
        state=state,
        balance=balance,
        held=0,
        overdraft_limit=0,
        sequence=1 if balance else 0,
        last_time=NOW,
    )


def books_of(*wallets: Wallet, now: datetime = NOW) -> Books:
    """Return books with these wallets and with the service's own in USD, which balance them."""
    outside = -sum(w.balance for w in wallets if w.currency == "USD")
    system = [
        wallet(
            system_wallet(role, "USD"),
            outside if role is Role.EXTERNAL else 0,
            key=system_wallet_key(role, "USD"),
            role=role,
        )
        for role in SYSTEM_ROLES
    ]
    return Books(now=now, wallets={w.id: w for w in [*wallets, *system]}, fresh_keys=[101, 102, 103])


def alice_and_bob(alice: int = 100, bob: int = 0) -> Books:
    """Return books with two wallets in USD."""
    return books_of(wallet(ALICE, alice, key=1), wallet(BOB, bob, key=2))


def balances(books: Books, ids: Sequence[WalletId] = (ALICE, BOB)) -> list[int]:
    """Return the balances of some wallets."""
    return [books.wallets[id_].balance for id_ in ids]


def a_request(id_: UUID | None = None, caller: str = "tests") -> Request:
    """Return a request, new unless an id is given."""
    return Request(caller, id_ or uuid4())


def a_transfer(  # noqa: PLR0913  # a transfer's fields
    amount: int,
    source: WalletId = ALICE,
    destination: WalletId = BOB,
    *,
    request: Request | None = None,
    currency: str = "USD",
    validate_only: bool = False,
) -> Transfer:
    """Return a transfer with an id and, unless given, a request of its own."""
    return Transfer(
        request=request or a_request(),
        validate_only=validate_only,
        id=uuid4(),
        source=source,
        destination=destination,
        amount=Money(currency, amount),
        description="",
    )


def a_deposit(amount: int, into: WalletId = ALICE, *, validate_only: bool = False) -> Deposit:
    """Return a deposit of USD with an id and a request of its own."""
    return Deposit(
        request=a_request(),
        validate_only=validate_only,
        id=uuid4(),
        wallet=into,
        amount=Money("USD", amount),
        description="",
        external_reference="",
    )


def a_new_wallet(id_: WalletId = CAROL, currency: str = "USD", *, validate_only: bool = False) -> CreateWallet:
    """Return the opening of a wallet with a request of its own."""
    return CreateWallet(
        request=a_request(),
        validate_only=validate_only,
        id=id_,
        asked_id=id_,
        currency=currency,
        owner="",
        display_name="",
    )
