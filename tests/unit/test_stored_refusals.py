"""Refusals as they are stored: one golden value each."""

from dataclasses import replace

import pytest

from wallet_core.domain.model import errors
from wallet_core.domain.model.errors import Because, Refusal, StateTransitionForbidden
from wallet_core.domain.model.stored_refusals import BECAUSE_CODES, StoredDetails, from_record, to_record

STATE = StateTransitionForbidden("wallets/a", "FROZEN")

GOLDEN: list[tuple[Refusal, str, StoredDetails]] = [
    (errors.ResourceNotFound("wallets/a"), "RESOURCE_NOT_FOUND", {"resource": "wallets/a"}),
    (errors.ResourceExists("wallets/a"), "RESOURCE_EXISTS", {"resource": "wallets/a"}),
    (
        errors.CurrencyMismatch("wallets/a", "USD"),
        "CURRENCY_MISMATCH",
        {"resource": "wallets/a", "currency": "USD"},
    ),
    (
        errors.WalletNotActive("wallets/a", "FROZEN"),
        "WALLET_NOT_ACTIVE",
        {"resource": "wallets/a", "state": "FROZEN"},
    ),
    (
        errors.InsufficientFunds("wallets/a", "USD", 1, 2),
        "INSUFFICIENT_FUNDS",
        {"wallet": "wallets/a", "currency": "USD", "available": 1, "required": 2},
    ),
    (
        errors.LimitExceeded("wallets/a", 7),
        "LIMIT_EXCEEDED",
        {"resource": "wallets/a", "limit": 7},
    ),
    (
        STATE,
        "STATE_TRANSITION_FORBIDDEN",
        {"resource": "wallets/a", "state": "FROZEN", "because": ""},
    ),
    (
        errors.ExternalReferenceReused("r-1", "transactions/1"),
        "EXTERNAL_REFERENCE_REUSED",
        {"reference": "r-1", "resource": "transactions/1"},
    ),
    (errors.EtagMismatch("wallets/a"), "ETAG_MISMATCH", {"resource": "wallets/a"}),
]


def recorded(base: type[Refusal] = Refusal) -> set[type[Refusal]]:
    """Return the refusals that are recorded."""
    kinds = base.__subclasses__()
    return {kind for kind in kinds if kind.recorded and kind.__module__ == errors.__name__}.union(*map(recorded, kinds))


def test_every_refusal_that_is_recorded_has_a_golden_value() -> None:
    """One that had none could be renamed unseen."""

    assert recorded() == {type(refusal) for refusal, *_ in GOLDEN}


@pytest.mark.parametrize(("refusal", "code", "stored"), GOLDEN)
def test_a_refusal_is_stored_by_a_code_and_names_of_its_own(refusal: Refusal, code: str, stored: StoredDetails) -> None:
    """By a code and stored names; read back it is the same."""

    refusal.item = 3

    assert to_record(refusal) == (code, {**stored, "item": 3})
    back = from_record(code, {**stored, "item": 3})
    assert (type(back), back.fields()) == (type(refusal), refusal.fields())


@pytest.mark.parametrize("because", Because)
def test_a_reason_is_stored_as_a_code(because: Because) -> None:
    """Alone and after a name."""

    code = BECAUSE_CODES[because]
    for text, kept in ((str(because), code), (f"holds/1 {because}", f"holds/1 {code}")):
        refusal = replace(STATE, because=text)
        assert to_record(refusal)[1]["because"] == kept
        assert from_record(*to_record(refusal)) == refusal
    assert len(set(BECAUSE_CODES.values())) == len(Because)
