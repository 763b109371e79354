"""Credit, labels and freezing are rights of their own, and no owner's."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from google.protobuf.message import Message
from wallet.v1 import wallet_service_pb2 as pb

from tests.support.api import Api
from tests.support.callers import everything
from tests.support.issuer import Issuer, bearer
from tests.support.requests import a_freeze, a_transfer, an_unfreeze, an_update, changed, money, new_id
from tests.support.wire import Answer
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.security.access import Scope
from wallet_grpc.server.process import authentication
from wallet_grpc.server.serving import serving

ALL = " ".join(Scope)

CallAs = Callable[..., Answer]


@pytest.fixture
def call_as(app: App, guarded: Settings, issuer: Issuer) -> Iterator[CallAs]:
    """Return calls with a token of some scopes; there is a wallet of anna's, and one of hers is frozen."""
    with serving(app, guarded, authentication(guarded)) as port:

        def call_with(request: Message, scope: str = ALL, **claims: Any) -> Answer:  # noqa: ANN401  # any claim
            with Api(f"127.0.0.1:{port}", metadata=bearer(issuer.token(scope, **claims))) as api:
                return api.answer(request)

        for wallet in ("annas", "cold"):
            assert call_with(a_wallet(wallet)).code == "OK"
        assert call_with(a_freeze("cold")).code == "OK"
        yield call_with


def a_wallet(name: str, **fields: Any) -> pb.CreateWalletRequest:  # noqa: ANN401  # any field's
    """Return a request for a wallet of anna's."""
    wallet = pb.Wallet(currency_code="USD", owner="anna", **fields)
    return pb.CreateWalletRequest(wallet_id=name, wallet=wallet, request_id=new_id())


TAKING: dict[str, tuple[Message, str, str]] = {
    "credit from the start": (a_wallet("new", overdraft_limit=money(5)), "wallet.write", "wallet.credit"),
    "credit later": (an_update("annas", overdraft_limit=money(5)), "wallet.write", "wallet.credit"),
    "no credit any more": (an_update("annas", "overdraft_limit"), "wallet.write", "wallet.credit"),
    "credit beside a name": (
        an_update("annas", display_name="x", overdraft_limit=money(5)),
        "wallet.write",
        "wallet.credit",
    ),
    "labels from the start": (a_wallet("new", labels={"plan": "staff"}), "wallet.write", "wallet.label"),
    "labels later": (an_update("annas", labels={"plan": "staff"}), "wallet.write", "wallet.label"),
    "no labels any more": (an_update("annas", "labels"), "wallet.write", "wallet.label"),
    "freezing": (a_freeze("annas"), "", "wallet.freeze"),
    "unfreezing": (an_unfreeze("cold"), "", "wallet.freeze"),
}


@pytest.mark.parametrize("name", TAKING)
def test_a_right_is_refused_by_its_name_and_then_nothing_is_done_nor_recorded(
    call_as: CallAs, owner: psycopg.Connection, name: str
) -> None:
    """All other scopes do not replace it, nor does any at all for a caller that is confined to an owner."""

    request, call, right = TAKING[name]
    others = " ".join(set(Scope) - {right})
    before = everything(owner)
    refused = [
        call_as(request, others),
        call_as(changed(request, validate_only=True), others),
        call_as(request, owner="anna"),
    ]
    unchanged = everything(owner) == before
    done = call_as(request, f"{call} {right}")

    for answer in refused:
        assert (answer.code, answer.reason) == ("PERMISSION_DENIED", "PERMISSION_MISSING")
        assert (answer.metadata, answer.outcome) == ({"permission": right}, "NOT_DONE_RETRY")
    assert unchanged
    assert done.code == "OK"


@pytest.mark.parametrize("name", [name for name, (_, call, _) in TAKING.items() if call])
def test_a_done_request_is_replayed_to_a_caller_that_has_lost_the_right(call_as: CallAs, name: str) -> None:
    """Its repeat needs no new right; the same under a new id does."""

    request, call, right = TAKING[name]
    first, again = call_as(request, f"{call} {right}"), call_as(request, call)
    anew = call_as(changed(request, request_id=new_id()), call)

    assert (first.code, again.code, anew.code) == ("OK", "OK", "PERMISSION_DENIED")
    # In both responses the same field.
    assert pb.UpdateWalletResponse.FromString(again.body).replayed


def test_a_wallet_is_changed_without_further_rights_where_none_are_required(call_as: CallAs) -> None:
    """An empty limit or no labels at the start are nothing, and a name is only a name."""

    plain = a_wallet("plain", overdraft_limit=money(0), display_name="Anna's")
    renamed = an_update("annas", display_name="x")

    assert [call_as(request, "wallet.write", owner="anna").code for request in (plain, renamed)] == ["OK", "OK"]


def test_a_confined_caller_learns_of_another_owners_wallet_nothing_by_lacking_a_right(call_as: CallAs) -> None:
    """Whose it is comes first: one of another's and one that is not there are the same."""

    assert call_as(changed(a_wallet("berts"), wallet=pb.Wallet(currency_code="USD", owner="bert"))).code == "OK"
    answers = [call_as(an_update(name, overdraft_limit=money(5)), owner="anna") for name in ("berts", "nobodys")]

    assert answers[0] == answers[1]
    assert answers[0].metadata == {"permission": "owner"}


def test_a_confined_caller_spends_no_money_that_was_not_paid_in(call_as: CallAs) -> None:
    """It opens a wallet with credit for itself, and moves what it does not have."""

    assert call_as(a_wallet("lent", overdraft_limit=money(10**6)), owner="anna").metadata == {
        "permission": "wallet.credit"
    }
    assert call_as(a_wallet("lent"), owner="anna").code == "OK"
    assert call_as(a_transfer("lent", "annas", 1), owner="anna").reason == "INSUFFICIENT_FUNDS"
