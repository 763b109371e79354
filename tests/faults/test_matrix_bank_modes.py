"""Fault matrix: a bank that ignores keys, and one that does not keep them for as long as a doubt lasts."""

from collections.abc import Iterator

import pytest

from tests.support.books import request
from tests.support.database import Cluster
from tests.support.payout_faults import Fault, FaultyPayouts
from tests.support.payout_service import PayoutService, end, new_payout_service
from tests.support.payouts import bank_key
from wallet_core.domain.commands.payments.resolve_order import ResolveWithdrawal
from wallet_core.domain.model.bank import AnswerKind
from wallet_core.domain.model.errors import StateTransitionForbidden
from wallet_core.domain.model.payment_order import FailureReason, OrderState, ResolutionKind
from wallet_core.usecases.app import new_id
from wallet_core.usecases.change_payment_order import change_withdrawal

IN_DOUBT, SUCCEEDED, FAILED = OrderState.IN_DOUBT, OrderState.SUCCEEDED, OrderState.FAILED

SETTINGS = {"bank_idempotent": False, "payout_attention_after_s": 0.5}
NO_STATUS, RESOLVED, FORGOTTEN = "reset, no status", "reset, no status, resolved", "paid and forgotten"

# What the one call runs into, where that ends, and why a person should look.
UNKEYED: dict[str, tuple[list[Fault], OrderState, str]] = {
    "paid": ([], SUCCEEDED, ""),
    "timeout": ([{"fault": "execute_then_silence"}], SUCCEEDED, ""),
    "failed for now": ([{"fault": "declined_retryable"}], FAILED, ""),
    "reset": ([{"fault": "reset"}], IN_DOUBT, "the bank does not know it; not sent again"),
    NO_STATUS: ([{"fault": "reset"}], IN_DOUBT, "in doubt for too long; the bank reports SILENT"),
}

# What the call runs into, and whether the bank has paid.
UNKEPT: dict[str, tuple[Fault, bool]] = {
    FORGOTTEN: ({"fault": "execute_then_silence"}, True),
    "never arrived": ({"fault": "reset"}, False),
}


@pytest.fixture(scope="module")
def unkeyed(service: PayoutService) -> FaultyPayouts:
    """Return payouts of a service whose bank ignores keys."""
    service.bank.mode(idempotent=False)
    return FaultyPayouts(service)


@pytest.fixture(scope="module")
def unkept(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyPayouts]:
    """Return payouts of a service whose bank keeps keys for a second."""
    with new_payout_service(cluster, tmp_path_factory.mktemp("forgetful"), bank_key_retention_s=1.0) as service:
        yield FaultyPayouts(service)


@pytest.fixture(scope="module", autouse=True)
def answer_to_the_hasty(unkeyed: FaultyPayouts, unkept: FaultyPayouts) -> str:
    """Run a scheduler of each service, then resolve by an operator; return how the premature resolution was refused."""
    schedulers = [payouts.service.start("scheduler") for payouts in (unkeyed, unkept)]
    unkeyed.warm_up()
    for name, (faults, _, _) in UNKEYED.items():
        unkeyed.schedule(name, *faults)
    unkeyed.schedule(RESOLVED, {"fault": "reset"})
    unkeyed.until(RESOLVED, AnswerKind.UNKNOWN)
    answer = answer_to_resolve(unkeyed)
    for name in (RESOLVED, NO_STATUS):
        about = {"key": bank_key(unkeyed.ids[name]), "path": "/transfers"}
        unkeyed.service.bank.order("http_error", status=501, match=about)

    bank = unkept.service.bank
    unkept.warm_up()
    # For as long as the bank knows of it, it gives no status; and its statement cannot be read.
    bank.order("pending", match={"account": FORGOTTEN, "path": "/transfers"})
    bank.order("http_error", status=501, match={"path": "/ledger"})
    for name, (fault, _) in UNKEPT.items():
        unkept.schedule(name, fault)
    unkept.service.until(lambda: bank_key(unkept.ids[FORGOTTEN]) in bank.stats()["executions"])
    bank.forget(unkept.ids[FORGOTTEN])

    unkept.service.until(lambda: all(unkept.now(name).attention for name in UNKEPT))
    unkeyed.service.until(
        lambda: all(unkeyed.now(name).attention == result for name, (_, _, result) in UNKEYED.items())
    )
    unkeyed.service.until(lambda: not answer_to_resolve(unkeyed))
    end(*schedulers)
    bank.forgive()
    return answer


def answer_to_resolve(payouts: FaultyPayouts) -> str:
    """Resolve, as an operator who has phoned the bank, that it did not pay; return why that is refused."""
    app = payouts.service.app
    message = ResolveWithdrawal(
        request=request(),
        id=new_id(),
        order=payouts.ids[RESOLVED],
        resolution=ResolutionKind.NOT_EXECUTED,
        reason="asked by telephone",
        bank_evidence="no such payment",
    )
    try:
        change_withdrawal(app, message)
    except StateTransitionForbidden as refusal:
        return str(refusal)
    return ""


@pytest.mark.parametrize("name", UNKEYED, ids=lambda name: f"row 15 / E17: {name}")
def test_bank_that_ignores_keys_is_called_to_pay_once(unkeyed: FaultyPayouts, name: str) -> None:
    """Row 15: with any outcome of the one call; what the bank leaves unknown is for an operator."""

    _, ended, attention = UNKEYED[name]
    found = unkeyed.now(name)

    assert (found.state, found.attention) == (ended, attention)
    assert (len(found.attempts), unkeyed.service.bank.posts(found.id)) == (1, 1)
    unkeyed.service.assert_books_agree()


def test_operator_ends_a_doubt_once_the_call_cannot_be_on_its_way_any_more(
    unkeyed: FaultyPayouts, answer_to_the_hasty: str
) -> None:
    """Row 15 / R5: refused before the grace time is over; then the money is released, and the operator is stored."""

    found = unkeyed.now(RESOLVED)

    assert "may still be in flight" in answer_to_the_hasty
    assert (found.state, found.failure_reason) == (FAILED, FailureReason.RESOLVED)
    assert [(text.operator, text.reason) for text in found.resolutions] == [("tests", "asked by telephone")]
    unkeyed.service.assert_books_agree()


@pytest.mark.parametrize("name", UNKEPT, ids=lambda name: f"row 19 / R4: {name}")
def test_doubt_that_outlasts_the_banks_memory_is_never_sent_again(unkept: FaultyPayouts, name: str) -> None:
    """Row 19: "not found" may then mean that it was paid and is forgotten; an operator must find out."""

    _, paid = UNKEPT[name]
    found = unkept.now(name)

    assert (found.state, found.attention) == (IN_DOUBT, "older than the bank keeps keys; not sent again")
    assert (len(found.attempts), unkept.service.bank.posts(found.id)) == (1, 1)
    assert unkept.service.bank.executions(found.id) == paid
    unkept.service.assert_books_agree()
