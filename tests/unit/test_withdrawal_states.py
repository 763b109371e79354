"""An order's life: one table of states, drawn once more as callers see it."""

from collections.abc import Mapping

import pytest
from google.protobuf.message import Message
from wallet.v1.schedule_service_pb2 import ScheduledDeposit, Withdrawal

from wallet_core.domain.model.payment_order import (
    COLLECTION_TRANSITIONS,
    FINAL_STATES,
    OPEN_STATES,
    TRANSITIONS,
    FailureReason,
    OrderState,
)


def test_every_state_has_its_place_in_the_table() -> None:
    """Also those that lead nowhere."""

    assert set(TRANSITIONS) == set(OrderState)


@pytest.mark.parametrize(
    ("state", "after"),
    [
        ("SCHEDULED", {"PROCESSING", "IN_DOUBT", "FAILED", "CANCELLED"}),
        ("PROCESSING", {"SUCCEEDED", "FAILED", "IN_DOUBT"}),
        ("IN_DOUBT", {"SUCCEEDED", "FAILED"}),
        ("SUCCEEDED", {"RETURNED"}),
        ("FAILED", set()),
        ("CANCELLED", set()),
        ("RETURNED", set()),
    ],
)
def test_a_state_leads_to_these(state: str, after: set[str]) -> None:
    """A doubt never leads back, and what has ended has ended."""

    assert {str(next_state) for next_state in TRANSITIONS[OrderState(state)]} == after


def test_every_state_can_be_reached() -> None:
    """From the first one on."""

    reached, new = set[OrderState](), {OrderState.SCHEDULED}
    while new:
        reached |= new
        new = {after for state in new for after in TRANSITIONS[state]} - reached

    assert reached == set(OrderState)


def words(kind: type[Message], enum: str, prefix: str) -> set[str]:
    """Return the words of an enum in a message."""
    return {name.removeprefix(prefix) for name in kind.DESCRIPTOR.enum_types_by_name[enum].values_by_name}


@pytest.mark.parametrize(("kind", "states"), [(Withdrawal, TRANSITIONS), (ScheduledDeposit, COLLECTION_TRANSITIONS)])
def test_callers_see_the_same_states(kind: type[Message], states: Mapping[OrderState, object]) -> None:
    """The enum of the protos is the table's, beside its unset value."""

    result = words(kind, "State", "STATE_")

    assert result == {"UNSPECIFIED", *(str(state) for state in states)}


def test_what_is_open_is_what_something_is_left_to_be_done_about() -> None:
    """A payout that succeeded has ended; what the bank gives back later is no work of ours."""

    assert {str(state) for state in OPEN_STATES} == {"SCHEDULED", "PROCESSING", "IN_DOUBT"}
    assert set(OrderState) - OPEN_STATES == FINAL_STATES


@pytest.mark.parametrize(
    ("kind", "not_of_it"),
    [
        (Withdrawal, {FailureReason.LIMIT_EXCEEDED}),
        (ScheduledDeposit, {FailureReason.INSUFFICIENT_FUNDS, FailureReason.WALLET_NOT_ACTIVE}),
    ],
)
def test_callers_see_the_same_reasons(kind: type[Message], not_of_it: set[FailureReason]) -> None:
    """Why an order failed, in the same words; some reasons are of one kind only."""

    result = words(kind, "FailureReason", "FAILURE_REASON_")

    assert result == {"UNSPECIFIED", *(str(reason) for reason in set(FailureReason) - not_of_it)}
