"""The withdrawal's life: one table of states, drawn once more as callers see it."""

import pytest
from wallet.v1.schedule_service_pb2 import Withdrawal

from wallet_core.domain.withdrawal import TRANSITIONS, FailureReason, WithdrawalState


def test_every_state_has_its_place_in_the_table() -> None:
    """Also those that lead nowhere."""

    assert set(TRANSITIONS) == set(WithdrawalState)


@pytest.mark.parametrize(
    ("state", "after"),
    [
        ("SCHEDULED", {"PROCESSING", "FAILED", "CANCELLED"}),
        ("PROCESSING", {"SUCCEEDED", "FAILED", "IN_DOUBT"}),
        ("IN_DOUBT", {"SUCCEEDED", "FAILED"}),
        ("SUCCEEDED", set()),
        ("FAILED", set()),
        ("CANCELLED", set()),
    ],
)
def test_a_state_leads_to_these(state: str, after: set[str]) -> None:
    """A doubt never leads back, and what has ended has ended."""

    assert {str(next_state) for next_state in TRANSITIONS[WithdrawalState(state)]} == after


def test_every_state_can_be_reached() -> None:
    """From the first one on."""

    reached, new = set[WithdrawalState](), {WithdrawalState.SCHEDULED}
    while new:
        reached |= new
        new = {after for state in new for after in TRANSITIONS[state]} - reached

    assert reached == set(WithdrawalState)


def test_callers_see_the_same_states() -> None:
    """The enum of the protos is the table's, beside its unset value."""

    told = {name.removeprefix("STATE_") for name in Withdrawal.State.keys()}  # noqa: SIM118  # a wrapper, not a dict

    assert told == {"UNSPECIFIED", *(str(state) for state in WithdrawalState)}


def test_callers_see_the_same_reasons() -> None:
    """Why a withdrawal failed, in the same words."""

    told = {name.removeprefix("FAILURE_REASON_") for name in Withdrawal.FailureReason.keys()}  # noqa: SIM118  # a wrapper, not a dict

    assert told == {"UNSPECIFIED", *(str(reason) for reason in FailureReason)}
