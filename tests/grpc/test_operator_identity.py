"""Operators' identity: an operator's decision is stored with the person; and a rejected caller is logged."""

import logging
from collections.abc import Mapping
from typing import Any, cast

import grpc
import psycopg
import pytest
import structlog
import trustme
from structlog.testing import capture_logs

from tests.support.api import Api
from tests.support.issuer import Issuer, bearer
from tests.support.requests import a_transfer, an_item, changed, each, new_id
from tests.support.world import World, bases
from wallet_core.domain.model.access import Person
from wallet_grpc.interceptors import request_log
from wallet_grpc.interceptors.authentication import Authentication
from wallet_grpc.security import rejections as kept_out
from wallet_grpc.security.access import Principal, Scope, principal_of

ALL = " ".join(Scope)

# Where a decision is stored, and in which field of the answer it is returned.
DECISIONS = {
    "ResolveWithdrawal": ("SELECT person, token_id FROM resolutions WHERE subject LIKE 'withdrawals/%'", "withdrawal"),
    "ResolveScheduledDeposit": (
        "SELECT person, token_id FROM resolutions WHERE subject LIKE 'scheduledDeposits/%'",
        "scheduled_deposit",
    ),
    "ResolveDiscrepancy": (
        "SELECT person, token_id FROM bank_statement_lines WHERE resolution <> ''",
        "bank_statement_line",
    ),
    "AcceptBankStatement": ("SELECT person, token_id FROM bank_statements WHERE number = 3", "bank_statement"),
}


def by(world: World, issuer: Issuer, scope: str = ALL, **claims: Any) -> Api:  # noqa: ANN401  # any claim
    """Return a channel of a caller with this token."""
    return Api(world.callers["operator"].target, metadata=bearer(issuer.token(scope, **claims)))


def persons_in(answer: Any) -> list[tuple[str, str]]:  # noqa: ANN401  # an order, a line or a ledger
    """Return the deciding person, from the answer."""
    decisions = answer.resolutions if hasattr(answer, "resolutions") else [answer]
    return [(one.person, one.token_id) for one in decisions]


@pytest.mark.parametrize("call", DECISIONS)
def test_an_operators_decision_is_stored_with_the_person(
    world: World, issuer: Issuer, owner: psycopg.Connection, call: str
) -> None:
    """As its token names them.

    A repeat by another operator decides nothing, and a validated call is attributed to no one.
    """

    select, result = DECISIONS[call]
    request = changed(bases(world.names)[f"OperationsService/{call}"], request_id=new_id())
    tried = changed(request, request_id=new_id(), validate_only=True)
    with by(world, issuer, sub="ada@bank", jti="t-1") as ada, by(world, issuer, sub="bob@bank") as bob:
        assert persons_in(getattr(bob.ok(tried), result))[-1:] == [("bob@bank", "")]
        first, again = ada.ok(request), bob.ok(request)

    assert (first.replayed, again.replayed) == (False, True)
    assert persons_in(getattr(first, result)) == persons_in(getattr(again, result)) == [("ada@bank", "t-1")]
    assert owner.execute(cast("Any", select)).fetchall() == [("ada@bank", "t-1")]


def test_the_deciding_person_is_shown_to_operators_only(world: World, issuer: Issuer) -> None:
    """An order's owner reads what was decided, and why, not by whom of the staff."""

    request = changed(bases(world.names)["OperationsService/ResolveWithdrawal"], request_id=new_id())
    with by(world, issuer, sub="ada@bank", jti="t-1") as ada:
        ada.ok(request)
    name = world.names["unapplied withdrawal"]
    seen = {who: world.callers[who].withdrawal(name) for who in ("operator", "clerk", "anna")}

    assert {who: persons_in(found) for who, found in seen.items()} == {
        "operator": [("ada@bank", "t-1")],
        "clerk": [("", "")],
        "anna": [("", "")],
    }
    assert {found.resolutions[0].reason for found in seen.values()} == {"r"}


def test_a_decision_by_credentials_without_a_person_is_the_systems(world: World, owner: psycopg.Connection) -> None:
    """Empty, and never taken from anything else."""

    request = changed(bases(world.names)["OperationsService/AcceptBankStatement"], request_id=new_id())
    accepted = world.callers["operator"].ok(request).bank_statement

    assert (accepted.accepted_by, accepted.person, accepted.token_id) == ("shop", "", "")
    assert owner.execute(cast("Any", DECISIONS["AcceptBankStatement"][0])).fetchall() == [("", "")]


def refusals(logged: list[Any]) -> list[Mapping[str, Any]]:
    """Return the lines about those that were kept out."""
    return [entry for entry in logged if entry["log_level"] == "warning"]


def test_a_rejected_caller_is_logged_with_address_and_name_and_without_the_token(
    world: World, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without credentials, with wrong ones, without the scope, and at another owner's wallet."""

    claims = {"owner": "bert", "sub": "bert-7", "jti": "t-2"}
    spoilt = issuer.token(ALL)[:-5]
    # Loggers of the tests are deaf to warnings, and stay as they were first used.
    loud = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    monkeypatch.setattr(request_log, "_log", loud)
    monkeypatch.setattr(kept_out, "_log", loud)
    with capture_logs() as logged:
        world.callers["stranger"].refused(a_transfer("alice", "bob", 1))
        with Api(world.callers["operator"].target, metadata=bearer(spoilt)) as wrong:
            wrong.refused(a_transfer("alice", "bob", 1))
        world.callers["reader"].refused(a_transfer("alice", "bob", 1))
        with by(world, issuer, **claims) as bert:
            bert.refused(a_transfer("alice", "bob", 1))
            batch = each([an_item("alice", "bob", 1), an_item("bob", "alice", 1)])
            bert.ok(batch)

    lines = refusals(logged)
    assert [line["event"] for line in lines] == ["call"] * 4 + ["items refused"]
    assert all(line["peer"].startswith(("ipv4:127.0.0.1:", "ipv6:")) for line in lines)
    assert [line.get("code") for line in lines] == ["UNAUTHENTICATED"] * 2 + ["PERMISSION_DENIED"] * 2 + [None]
    assert ["caller" in line for line in lines] == [False, False, True, True, True]
    assert lines[2]["permission"] == "money.transfer"
    for line in lines[3:]:
        who = {key: line.get(key) for key in ("caller", "owner", "person", "token_id", "permission")}
        assert who == {"caller": "shop", "owner": "bert", "person": "bert-7", "token_id": "t-2", "permission": "owner"}
    assert lines[4]["items"] == 2
    assert "eyJ" not in repr(logged)


def test_the_name_in_a_certificate_is_the_person_where_no_token_names_one() -> None:
    """Of several that are the same system's, all."""

    authority = trustme.CA()
    principal = Principal("shop", frozenset({Scope.WALLET_READ}))
    names = {"shop.internal": principal, "spiffe://shop": principal}
    issued = authority.issue_cert("shop.internal").cert_chain_pems[0].bytes()
    context = cast("grpc.ServicerContext", Called(issued))
    with Authentication(certificates=names).permitted("/wallet.v1.WalletService/ListWallets", context):
        found = principal_of(context)

    assert (found.caller, found.person) == ("shop", Person("shop.internal"))


class Called:
    """What is known of a call that comes with a certificate and nothing else."""

    def __init__(self, certificate: bytes) -> None:
        self._certificate = certificate

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """Return none."""
        return ()

    def auth_context(self) -> dict[str, list[bytes]]:
        """Return the certificate."""
        return {"x509_pem_cert": [self._certificate]}
