"""Ledger in memory, for rules that are decided without a database."""

from collections.abc import Sequence
from datetime import UTC, datetime

from tests.support import commands
from tests.support.commands import Fields
from wallet_core.domain.commands.transfers.deposit import Deposit
from wallet_core.domain.commands.transfers.transfer import Transfer
from wallet_core.domain.commands.wallets.create_wallet import CreateWallet
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decide import decide
from wallet_core.domain.deciding.decision import Done, Outcome, Refused
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.errors import Refusal
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.wallet import (
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
a_request = commands.request
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


def books_of(*wallets: Wallet, now: datetime = NOW) -> LedgerState:
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
    return LedgerState(now=now, wallets={w.id: w for w in [*wallets, *system]}, fresh_keys=[101, 102, 103])


def alice_and_bob(alice: int = 100, bob: int = 0) -> LedgerState:
    """Return books with two wallets in USD."""
    return books_of(wallet(ALICE, alice, key=1), wallet(BOB, bob, key=2))


def balances(books: LedgerState, ids: Sequence[WalletId] = (ALICE, BOB)) -> list[int]:
    """Return the balances of some wallets."""
    return [books.wallets[id_].balance for id_ in ids]


def a_transfer(
    amount: int, source: WalletId = ALICE, destination: WalletId = BOB, *, currency: str = "USD", **fields: Fields
) -> Transfer:
    """Return a transfer."""
    return commands.a_transfer(source, destination, Money(currency, amount), **fields)


def a_deposit(amount: int, into: WalletId = ALICE, **fields: Fields) -> Deposit:
    """Return a deposit of USD."""
    return commands.a_deposit(into, Money("USD", amount), **fields)


def a_new_wallet(id_: WalletId = CAROL, currency: str = "USD", **fields: Fields) -> CreateWallet:
    """Return the opening of a wallet."""
    return commands.a_new_wallet(id_, currency, **fields)


def one(books: LedgerState, command: Command) -> Outcome:
    """Decide on one command."""
    return decide(books, [command])[0]


def refusal(books: LedgerState, command: Command) -> Refusal:
    """Decide on a command that must be refused."""
    outcome = one(books, command)
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.refusal, Refusal)
    return outcome.refusal


def done(outcome: Outcome) -> Done:
    """Return the outcome of a command that must not be refused."""
    assert isinstance(outcome, Done), outcome
    return outcome
