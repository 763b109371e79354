"""Authentication: tokens, what they permit, and by which name their callers are known. No call passes without."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives import serialization
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support.api import Api
from tests.support.callers import everything
from tests.support.issuer import (
    ISSUER,
    SECRET,
    Issuer,
    bearer,
    by_secret,
    in_an_hour,
    standard,
    stranger,
    tokens_of,
    unknown_key,
)
from tests.support.requests import money
from tests.support.wire import Answer, all_methods, path_of
from wallet_client import CallFailed, WalletClient
from wallet_core.domain.model.access import Right
from wallet_core.domain.model.errors import cause_of
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.descriptors import SCOPE_WORDS
from wallet_grpc.errors.kinds import CredentialsInvalid
from wallet_grpc.security.access import SCOPES, Scope
from wallet_grpc.server.process import authentication
from wallet_grpc.server.serving import serving

METHODS = [path_of(method) for method in all_methods()]
SCOPED = [method for method in METHODS if SCOPES[f"/wallet.v1.{method}"] is not None]
ALL = " ".join(Scope)


@pytest.fixture
def target(app: App, guarded: Settings) -> Iterator[str]:
    """Serve with those settings; return the address."""
    with serving(app, guarded, authentication(guarded)) as port:
        yield f"127.0.0.1:{port}"


def ask(target: str, method: str, request: Any = b"", metadata: Any = ()) -> Answer:  # noqa: ANN401  # bytes or any message
    """Call a method with this metadata."""
    with Api(target, metadata=metadata) as api:
        return api.call(method, request)


def test_every_scope_is_taken_by_a_call_and_no_scope_is_for_a_call_that_is_not_there() -> None:
    """A scope is both in the protos and here, and is some call's, or beside others'."""

    assert set(SCOPES) == {f"/wallet.v1.{method}" for method in METHODS}
    # Beside the call's own scope, by the request.
    besides = {Scope.WALLET_CREDIT, Scope.WALLET_LABEL}
    assert {SCOPES[f"/wallet.v1.{method}"] for method in SCOPED} == set(Scope) - besides
    assert {right.value for right in Right} <= set(Scope)
    assert set(SCOPE_WORDS) == set(Scope)


@pytest.mark.parametrize("method", METHODS)
def test_no_call_succeeds_without_credentials(target: str, owner: psycopg.Connection, method: str) -> None:
    """D4: UNAUTHENTICATED, before the request is read, and nothing has changed."""

    before = everything(owner)
    answer = ask(target, method, b"\xff\xfe")

    assert (answer.code, answer.reason, answer.metadata) == ("UNAUTHENTICATED", "CREDENTIALS_INVALID", {})
    assert "authorization: Bearer" in answer.message
    assert everything(owner) == before


@pytest.mark.parametrize("method", SCOPED)
def test_a_call_takes_its_own_scope_and_no_other_will_do(
    target: str, issuer: Issuer, owner: psycopg.Connection, method: str
) -> None:
    """L5: PERMISSION_DENIED names what is missing, before the request is read; with it the request is."""

    takes = SCOPES[f"/wallet.v1.{method}"]
    assert takes is not None
    before = everything(owner)
    others = " ".join(scope for scope in Scope if scope is not takes)
    without = ask(target, method, b"\xff\xfe", bearer(issuer.token(others)))
    with_it = ask(target, method, b"\xff\xfe", bearer(issuer.token(takes)))

    assert (without.code, without.reason) == ("PERMISSION_DENIED", "PERMISSION_MISSING")
    assert without.metadata == {"permission": takes}
    assert (with_it.code, with_it.reason) == ("INVALID_ARGUMENT", "INVALID_FIELDS")
    assert everything(owner) == before


@pytest.mark.parametrize("key", ["key-RS256", "key-ES256", "key-EdDSA"])
def test_a_token_by_any_of_the_three_ways_of_signing_is_taken(target: str, issuer: Issuer, key: str) -> None:
    """RS256, ES256 and EdDSA."""

    assert ask(target, "WalletService/ListWallets", b"", bearer(issuer.token(ALL, key=key))).code == "OK"


def forged(issuer: Issuer) -> str:
    """Return a token signed with the public key as if it were a secret."""
    public = issuer.keys["key-RS256"][1].public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head, body, _ = issuer.token(ALL, key="key-RS256").split(".")
    header = jwt.utils.base64url_encode(json.dumps({"alg": "HS256", "kid": "key-RS256"}).encode()).decode()
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(f"{header}.{body}".encode(), pem)
    assert head != header
    return f"{header}.{body}.{jwt.utils.base64url_encode(signature).decode()}"


def unsigned() -> str:
    """Return an unsigned token."""
    claims = {"client_id": "shop-client", "scope": ALL, **standard()}
    return jwt.encode(claims, "", algorithm="none", headers={"kid": "key-RS256"})


def tampered(issuer: Issuer) -> str:
    """Return a token whose claims were changed after it was signed."""
    head, _, signature = issuer.token("wallet.read").split(".")
    return f"{head}.{issuer.token(ALL).split('.')[1]}.{signature}"


WRONG: dict[str, tuple[Callable[[Issuer], str], str]] = {
    "expired": (lambda i: i.token(ALL, exp=in_an_hour(-1)), "expired"),
    "not yet": (lambda i: i.token(ALL, nbf=in_an_hour(1)), "not valid"),
    "for ever": (lambda i: i.token(ALL, exp=None), "not valid"),
    "of another issuer": (lambda i: i.token(ALL, iss="https://other.example"), "another issuer"),
    "of no issuer": (lambda i: i.token(ALL, iss=None), "not valid"),
    "for another service": (lambda i: i.token(ALL, aud="shop"), "another service"),
    "for no service": (lambda i: i.token(ALL, aud=None), "not valid"),
    "of an unknown client": (lambda i: i.token(ALL, "nobody"), "client is unknown"),
    "of a client that is no name": (lambda i: i.token(ALL, client_id=["shop-client"]), "client is unknown"),
    "of a subject whose client is another": (
        lambda i: i.token(ALL, "nobody", sub="shop-client"),
        "client is unknown",
    ),
    "signed by a stranger": (lambda _: stranger().token(ALL), "not valid"),
    "with an unknown key": (lambda _: unknown_key(), "key is unknown"),
    "signed with the public key": (forged, "not valid"),
    "unsigned": (lambda _: unsigned(), "not valid"),
    "tampered with": (tampered, "not valid"),
    "by a secret where none is set": (lambda _: by_secret(), "key is unknown"),
    "no token": (lambda _: "abc", "not valid"),
    "nothing": (lambda _: "", "not valid"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_token_is_refused_and_nothing_of_it_revealed(target: str, issuer: Issuer, name: str) -> None:
    """With any defect in it, no call is let in, and no part of it comes back."""

    make, because = WRONG[name]
    token = make(issuer)
    answer = ask(target, "WalletService/ListWallets", b"", bearer(token))

    assert (answer.code, answer.reason) == ("UNAUTHENTICATED", "CREDENTIALS_INVALID")
    assert because in answer.message
    assert len(token) < 5 or token[-10:] not in answer.message


@pytest.mark.parametrize(
    "metadata",
    [
        (("authorization", "Basic c2hvcDpzaG9w"),),
        (("authorization", "Bearer a"), ("authorization", "Bearer b")),
        (("authorization", ""),),
    ],
)
def test_only_one_bearer_token_is_taken(target: str, metadata: tuple[tuple[str, str], ...]) -> None:
    """Two could be read as either."""

    assert ask(target, "WalletService/ListWallets", b"", metadata).reason == "CREDENTIALS_INVALID"


def test_a_token_that_never_ends_is_not_even_read(guarded: Settings) -> None:
    """Any value that gRPC accepts."""

    with pytest.raises(CredentialsInvalid) as refused:
        tokens_of(guarded).principal("a." * 10_000)
    assert refused.value.explanation == "the token is too long"


def test_no_scope_in_a_token_is_nothing_at_all(target: str, issuer: Issuer) -> None:
    """Default is deny, with any form of the claim."""

    for scope in (None, "", [], [ALL], 7, dict.fromkeys(Scope, True), "wallet.reader WALLET.READ *"):
        answer = ask(target, "WalletService/ListWallets", b"", bearer(issuer.token(scope=scope)))  # type: ignore[arg-type]  # wrong on purpose
        assert answer.reason == "PERMISSION_MISSING"


def test_request_ids_belong_to_the_calling_system_under_any_token(
    target: str, issuer: Issuer, owner: psycopg.Connection
) -> None:
    """Two clients of one system share them; another system's are its own."""

    def open_and_deposit(token: str, request_id: str) -> Answer:
        ask(target, "WalletService/CreateWallet", a_wallet(), bearer(token))
        request = transaction_pb.DepositRequest(wallet="wallets/alice", amount=money(5), request_id=request_id)
        return ask(target, "TransactionService/Deposit", request, bearer(token))

    same = str(uuid4())
    first, again, other = (
        transaction_pb.DepositResponse.FromString(open_and_deposit(issuer.token(ALL, client), same).body)
        for client in ("billing-client", "billing-old", "shop-client")
    )

    assert (first.replayed, again.replayed, other.replayed) == (False, True, False)
    assert first.transaction.name == again.transaction.name != other.transaction.name
    assert {caller for (caller,) in owner.execute("SELECT caller FROM requests").fetchall()} == {"billing", "shop"}


def a_wallet() -> wallet_pb.CreateWalletRequest:
    """Return a request for a wallet."""
    wallet = wallet_pb.Wallet(currency_code="USD")
    return wallet_pb.CreateWalletRequest(wallet_id="alice", wallet=wallet, request_id=str(uuid4()))


def test_our_client_sends_the_token_that_is_valid_now(target: str, issuer: Issuer) -> None:
    """A call that returns one is checked every time."""

    tokens = iter([issuer.token(ALL, exp=in_an_hour(-1)), issuer.token(ALL)])
    with WalletClient(target, token=lambda: next(tokens)) as client:
        with pytest.raises(CallFailed) as refused:
            client.create_wallet("alice", "USD")
        client.create_wallet("alice", "USD")

    assert refused.value.reason == "CREDENTIALS_INVALID"


def test_health_is_open_to_all_callers(target: str) -> None:
    """Balancers have no token."""

    with WalletClient(target) as client:
        assert client.is_serving()


@pytest.mark.parametrize(
    "claims",
    [
        {"owner": "a\0b"},
        {"owner": "\ud800"},
        {"owner": "x" * 300},
        {"client_id": ""},
        {"sub": "a\0b"},
        {"jti": "x" * 300},
    ],
)
def test_names_that_are_none_are_refused(settings: Settings, claims: dict[str, str]) -> None:
    """The database cannot even be queried for them."""

    tokens = tokens_of(settings, auth_dev_secret=SECRET, auth_issuer=ISSUER)
    with pytest.raises(CredentialsInvalid):
        tokens.principal(by_secret(**claims))


def test_the_log_has_the_cause_why_credentials_were_refused() -> None:
    """For the operators, as for the caller."""

    assert "the token has expired" in cause_of(CredentialsInvalid("the token has expired"))


def test_a_secret_signs_tokens_for_development_only(settings: Settings) -> None:
    """Where one is set and no client is named, the caller has the token's name."""

    tokens = tokens_of(settings, auth_dev_secret=SECRET, auth_issuer=ISSUER)

    found = tokens.principal(by_secret())
    assert (found.caller, found.scopes) == ("shop-client", frozenset(Scope))
