"""Decide at the limits: numbers that do not fit, money that is not there, and refusals that come back."""

import json
from datetime import timedelta

import pytest

from tests.support.ledger_pages import (
    ALICE,
    BOB,
    CAROL,
    EXTERNAL,
    NOW,
    a_deposit,
    a_new_wallet,
    a_transfer,
    alice_and_bob,
    balances,
    books_of,
    done,
    one,
    refusal,
    wallet,
)
from wallet_core.domain.deciding.decide import decide
from wallet_core.domain.deciding.decision import Done, Refused
from wallet_core.domain.model import errors
from wallet_core.domain.model.errors import (
    CurrencyMismatch,
    EtagMismatch,
    ExternalReferenceReused,
    InsufficientFunds,
    InvalidField,
    LimitExceeded,
    Refusal,
    ResourceExists,
    ResourceNotFound,
    ServiceWalletFull,
    StateTransitionForbidden,
    WalletNotActive,
)
from wallet_core.domain.model.money import INT64_MAX, INT64_MIN
from wallet_core.domain.model.stored_refusals import from_record, to_record
from wallet_core.domain.model.wallet import WalletState


def test_a_wallet_can_be_filled_to_the_last_unit_and_no_further() -> None:
    """Overflow is refused, not wrapped."""

    books = books_of(wallet(ALICE, INT64_MAX - 1), wallet(BOB, key=2))
    outcomes = decide(books, [a_deposit(1), a_deposit(1)])

    assert isinstance(outcomes[0], Done)
    assert outcomes[1] == Refused(LimitExceeded("wallets/alice", INT64_MAX))
    assert books.wallets[ALICE].balance == INT64_MAX


def test_the_external_wallet_owes_no_more_than_64_bits_hold() -> None:
    """Its balance is as far below zero as all others are above."""

    books = alice_and_bob(alice=0)
    outcomes = decide(books, [a_deposit(INT64_MAX), a_deposit(1, BOB), a_deposit(1, BOB)])

    assert [isinstance(outcome, Done) for outcome in outcomes] == [True, True, False]
    assert outcomes[2] == Refused(ServiceWalletFull(f"wallets/{EXTERNAL}", INT64_MIN))


def test_an_overdraft_near_the_limit_does_not_push_available_past_64_bits() -> None:
    """The available amount in the answer has to fit as well."""

    books = books_of(wallet(ALICE, INT64_MAX - 10))
    books.wallets[ALICE].overdraft_limit = 8

    assert isinstance(one(books, a_deposit(2)), Done)
    assert LimitExceeded("wallets/alice", INT64_MAX) == refusal(books, a_deposit(1))


@pytest.mark.parametrize("amount", [0, -1, -100])
def test_an_amount_that_is_not_above_zero_moves_nothing(amount: int) -> None:
    """The edge refuses it first; money must not run backward if the edge forgets to."""

    books = alice_and_bob(alice=100, bob=100)
    try:
        outcome = one(books, a_transfer(amount))
    except errors.ServiceError:
        outcome = Refused(InvalidField("amount", ""))

    assert isinstance(outcome, Refused)
    assert balances(books) == [100, 100]


def test_a_held_amount_cannot_be_transferred() -> None:
    """What is held is still there, and not available."""

    books = alice_and_bob(alice=100)
    books.wallets[ALICE].held = 60

    assert InsufficientFunds("wallets/alice", "USD", 40, 41) == refusal(books, a_transfer(41))
    assert done(one(books, a_transfer(40))).available == 0


@pytest.mark.parametrize(
    "error",
    [
        ResourceNotFound("wallets/alice"),
        ResourceExists("wallets/alice"),
        CurrencyMismatch("wallets/alice", "EUR"),
        WalletNotActive("wallets/alice", WalletState.FROZEN),
        InsufficientFunds("wallets/alice", "USD", -5, INT64_MAX),
        LimitExceeded("wallets/alice", INT64_MIN),
        StateTransitionForbidden("withdrawals/1", "CANCELLED"),
        StateTransitionForbidden("wallets/alice", "ACTIVE", "the balance is not zero"),
        EtagMismatch("wallets/alice"),
        ExternalReferenceReused("invoice-7", "transactions/1"),
    ],
)
def test_a_recorded_refusal_comes_back_as_it_was(error: Refusal) -> None:
    """By its code and fields, through JSON, as the database keeps them."""

    code, about = to_record(error)

    assert from_record(code, json.loads(json.dumps(about))) == error


def test_every_recorded_refusal_is_tried_above() -> None:
    """A new kind of refusal must be able to come back as well."""

    kinds = [kind for kind in Refusal.__subclasses__() if kind.__module__ == Refusal.__module__]

    assert {kind.__name__ for kind in kinds if kind.recorded} == {
        *["CurrencyMismatch", "EtagMismatch", "InsufficientFunds", "LimitExceeded", "ResourceExists"],
        *["ResourceNotFound", "StateTransitionForbidden", "WalletNotActive", "ExternalReferenceReused"],
    }


@pytest.mark.parametrize("name", ["InvalidField", "RequestIdReused", "StaleClaim", "LedgerBroken", "object"])
def test_what_is_never_recorded_cannot_be_brought_back(name: str) -> None:
    """A record naming it is a damaged record."""

    with pytest.raises(KeyError):
        from_record(name, {})


def test_a_new_wallet_is_returned_as_opened_despite_later_changes() -> None:
    """Money that arrives in the same batch, from a wallet whose time is ahead, does not change when it was opened."""

    books = alice_and_bob()
    books.wallets[ALICE].last_time = NOW + timedelta(hours=1)
    opened, _ = decide(books, [a_new_wallet(), a_transfer(5, ALICE, CAROL)])
    found = done(opened).wallet

    assert found is not None
    assert (found.balance, found.create_time) == (0, NOW)
