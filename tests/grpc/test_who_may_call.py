"""Who may call: tokens, what they allow, and by which name their callers are known. Nothing passes without."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any, cast
from uuid import uuid4

import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives import serialization
from jwt.algorithms import ECAlgorithm
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support.asking import Asking
from tests.support.callers import everything
from tests.support.issuer import ISSUER, Issuer, bearer, standard
from tests.support.requests import money
from tests.support.together import together
from tests.support.wire import Answer, all_methods, path_of
from wallet_core.domain.errors import cause_of
from wallet_core.settings import Settings, SettingsError
from wallet_core.usecases.app import App
from wallet_grpc.access import SCOPES, Scope
from wallet_grpc.client import CallFailed, WalletClient
from wallet_grpc.errors import CredentialsInvalid
from wallet_grpc.keys import KeysUnreadable
from wallet_grpc.process import authentication, require_production, server_limits
from wallet_grpc.server import serving
from wallet_grpc.tokens import Tokens

CALLERS = {"shop": {"clients": ["shop-client"]}, "billing": {"clients": ["billing-client", "billing-old"]}}
SECRET = "a-secret-of-more-than-32-characters"
METHODS = [path_of(method) for method in all_methods()]
ALL = " ".join(Scope)


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    """Return an issuer with a key of every kind."""
    issuer = Issuer()
    for algorithm in ("RS256", "ES256", "EdDSA"):
        issuer.add(algorithm)
    return issuer


@pytest.fixture
def guarded(settings: Settings, issuer: Issuer, tmp_path: Path) -> Settings:
    """Return settings that want a token of the issuer's."""
    keys = tmp_path / "keys.json"
    keys.write_text(issuer.key_set())
    found = {"auth_keys": str(keys), "auth_issuer": ISSUER, "callers": CALLERS, "auth_keys_retry_s": 0.1}
    return Settings(**{**settings.model_dump(), **found})


@pytest.fixture
def target(app: App, guarded: Settings) -> Iterator[str]:
    """Serve with those settings; return the address."""
    with serving(app, server_limits(guarded), authentication(guarded)) as port:
        yield f"127.0.0.1:{port}"


def ask(target: str, method: str, request: Any = b"", metadata: Any = ()) -> Answer:  # noqa: ANN401  # bytes or any message
    """Call a method, as whoever the metadata says."""
    with Asking(target, metadata=metadata) as asking:
        return asking.call(method, request)


def test_every_call_takes_a_scope_and_no_scope_is_for_a_call_that_is_not_there() -> None:
    """A call that somebody forgets is nobody's, and the build fails."""

    assert set(SCOPES) == {f"/wallet.v1.{method}" for method in METHODS}
    assert set(SCOPES.values()) == set(Scope)


@pytest.mark.parametrize("method", METHODS)
def test_nobody_calls_anything_without_credentials(target: str, owner: psycopg.Connection, method: str) -> None:
    """D4: UNAUTHENTICATED, before the request is read, and nothing has changed."""

    before = everything(owner)
    answer = ask(target, method, b"\xff\xfe")

    assert (answer.code, answer.reason, answer.metadata) == ("UNAUTHENTICATED", "CREDENTIALS_INVALID", {})
    assert "authorization: Bearer" in answer.message
    assert everything(owner) == before


@pytest.mark.parametrize("method", METHODS)
def test_a_call_takes_its_own_scope_and_no_other_will_do(
    target: str, issuer: Issuer, owner: psycopg.Connection, method: str
) -> None:
    """L5: PERMISSION_DENIED names what is missing, before the request is read; with it the request is."""

    takes = SCOPES[f"/wallet.v1.{method}"]
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


def in_an_hour(hours: float) -> datetime:
    """Return a time so many hours from now."""
    return datetime.now(UTC) + timedelta(hours=hours)  # noqa: TID251  # a token's times are of whoever makes it


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
    """Return a token that nobody has signed."""
    claims = {"client_id": "shop-client", "scope": ALL, **standard()}
    return jwt.encode(claims, "", algorithm="none", headers={"kid": "key-RS256"})


def tampered(issuer: Issuer) -> str:
    """Return a token whose claims were changed after it was signed."""
    head, _, signature = issuer.token("wallet.read").split(".")
    return f"{head}.{issuer.token(ALL).split('.')[1]}.{signature}"


def stranger() -> Issuer:
    """Return another issuer that uses the same names."""
    other = Issuer()
    other.add("RS256")
    return other


WRONG: dict[str, tuple[Callable[[Issuer], str], str]] = {
    "expired": (lambda i: i.token(ALL, exp=in_an_hour(-1)), "expired"),
    "not yet": (lambda i: i.token(ALL, nbf=in_an_hour(1)), "not valid"),
    "for ever": (lambda i: i.token(ALL, exp=None), "not valid"),
    "of another issuer": (lambda i: i.token(ALL, iss="https://other.example"), "another issuer"),
    "of no issuer": (lambda i: i.token(ALL, iss=None), "not valid"),
    "for another service": (lambda i: i.token(ALL, aud="shop"), "another service"),
    "for no service": (lambda i: i.token(ALL, aud=None), "not valid"),
    "of an unknown client": (lambda i: i.token(ALL, "nobody"), "client is not known"),
    "of a client that is no name": (lambda i: i.token(ALL, client_id=["shop-client"]), "client is not known"),
    "of a subject whose client is another": (
        lambda i: i.token(ALL, "nobody", sub="shop-client"),
        "client is not known",
    ),
    "signed by a stranger": (lambda _: stranger().token(ALL), "not valid"),
    "with an unknown key": (lambda _: unknown_key(), "key is not known"),
    "signed with the public key": (forged, "not valid"),
    "unsigned": (lambda _: unsigned(), "not valid"),
    "tampered with": (tampered, "not valid"),
    "by a secret where none is set": (lambda _: by_secret(), "key is not known"),
    "no token": (lambda _: "abc", "not valid"),
    "nothing": (lambda _: "", "not valid"),
}


def unknown_key() -> str:
    """Return a token by a key that the set does not have."""
    other = Issuer()
    other.add("ES256", "key-of-nobody")
    return other.token(ALL)


def by_secret() -> str:
    """Return a token for development."""
    return jwt.encode({"client_id": "shop-client", "scope": ALL, **standard()}, SECRET, algorithm="HS256")


@pytest.mark.parametrize("name", WRONG)
def test_a_token_that_is_wrong_is_refused_and_tells_nothing_of_itself(target: str, issuer: Issuer, name: str) -> None:
    """Whatever is wrong with it, nobody is let in, and no part of it comes back."""

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


def test_no_scope_in_a_token_is_nothing_at_all(target: str, issuer: Issuer) -> None:
    """Default is deny, whatever form the claim has."""

    for scope in (None, "", [*Scope], 7, "wallet.reader WALLET.READ *"):
        answer = ask(target, "WalletService/ListWallets", b"", bearer(issuer.token(scope=scope)))  # type: ignore[arg-type]  # wrong on purpose
        assert answer.reason == "PERMISSION_MISSING"


def test_request_ids_belong_to_the_system_that_calls_whatever_its_token(
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
    """What returns one is asked at every call."""

    tokens = iter([issuer.token(ALL, exp=in_an_hour(-1)), issuer.token(ALL)])
    with WalletClient(target, token=lambda: next(tokens)) as client:
        with pytest.raises(CallFailed) as refused:
            client.create_wallet("alice", "USD")
        client.create_wallet("alice", "USD")

    assert refused.value.reason == "CREDENTIALS_INVALID"


def test_health_is_open_to_everybody(target: str) -> None:
    """Balancers have no token."""

    with WalletClient(target) as client:
        assert client.is_serving()


class Published:
    """A key set at an address, and how often it was read."""

    def __init__(self, text: str) -> None:
        self.text: str | None = text
        self.reads = 0
        self.delay_s = 0.0
        self.drips = False
        published = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                published.reads += 1
                threading.Event().wait(published.delay_s)
                if published.drips:
                    self.send_response(200)
                    self.end_headers()
                    with suppress(OSError):
                        for _ in range(100):
                            self.wfile.write(b" ")
                            threading.Event().wait(0.1)
                    return
                self.send_response(200 if published.text is not None else 503)
                self.end_headers()
                self.wfile.write((published.text or "").encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/keys"
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def published(issuer: Issuer) -> Iterator[Published]:
    """Publish the issuer's keys."""
    published = Published(issuer.key_set())
    yield published
    published.server.shutdown()
    published.server.server_close()


def tokens_of(settings: Settings, **changes: object) -> Tokens:
    """Return what reads tokens by these settings."""
    found = authentication(Settings(**{**settings.model_dump(), **changes})).tokens
    assert found is not None
    return found


def test_a_new_key_is_taken_at_once_and_one_that_was_withdrawn_is_not(guarded: Settings, published: Published) -> None:
    """An unknown key is looked for; what is known is read anew from time to time."""

    tokens = tokens_of(guarded, auth_keys=published.url, auth_keys_refresh_s=0.2, auth_keys_retry_s=1e-6)
    later = Issuer()
    later.add("ES256", "key-of-tomorrow")
    published.text = later.key_set()
    assert tokens.principal(later.token("wallet.read")).caller == "shop"

    published.text = stranger().key_set()
    assert eventually_refused(tokens, later.token("wallet.read"))


def eventually_refused(tokens: Tokens, token: str) -> bool:
    """Tell whether a token is refused before long."""
    ends_at = in_an_hour(10 / 3600)
    while datetime.now(UTC) < ends_at:  # noqa: TID251  # patience is ours
        try:
            tokens.principal(token)
        except CredentialsInvalid:
            return True
    return False


def test_made_up_keys_do_not_make_us_ask_the_issuer_for_each(guarded: Settings, published: Published) -> None:
    """Not more often than the settings say, however many tokens come."""

    tokens = tokens_of(guarded, auth_keys=published.url, auth_keys_retry_s=60.0)
    for number in range(50):
        other = Issuer()
        other.add("EdDSA", f"made-up-{number}")
        with pytest.raises(CredentialsInvalid):
            tokens.principal(other.token(ALL))

    assert published.reads == 1


def test_while_the_issuer_is_away_its_last_keys_hold_and_not_for_ever(
    guarded: Settings, issuer: Issuer, published: Published
) -> None:
    """Whoever signs tokens may restart; a set that is too old is none."""

    quick = {"auth_keys": published.url, "auth_keys_refresh_s": 0.01, "auth_keys_retry_s": 1e-6}
    patient, impatient = tokens_of(guarded, **quick), tokens_of(guarded, **quick, auth_keys_keep_s=0.05)
    published.text = None

    assert eventually_refused(impatient, issuer.token("wallet.read"))
    assert patient.principal(issuer.token("wallet.read")).caller == "shop"
    assert published.reads > 2


ODD_SETS = [
    '{"keys": 7}',
    '{"keys": [7, {"kty": "RSA", "kid": ["a"]}, {"kty": "EC", "kid": "a", "crv": {}}]}',
    "[" * 10_000,
    '{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]}',
]


@pytest.mark.parametrize("text", [*ODD_SETS, None, "{}", "no json"])
def test_keys_that_cannot_be_read_are_told_at_start(guarded: Settings, published: Published, text: str | None) -> None:
    """A server does not start without a lock, nor with a shared secret in a set that everybody may see."""

    published.text = text
    with pytest.raises(KeysUnreadable, match=published.url):
        tokens_of(guarded, auth_keys=published.url)


def test_a_token_that_never_ends_is_not_even_read(guarded: Settings) -> None:
    """Whatever gRPC lets through."""

    with pytest.raises(CredentialsInvalid) as refused:
        tokens_of(guarded).principal("a." * 5000)
    assert refused.value.because == "the token is too long"


def test_a_set_that_turns_odd_leaves_the_last_one_in_force(
    guarded: Settings, issuer: Issuer, published: Published
) -> None:
    """Whatever the address says, known keys go on and nobody meets a defect."""

    quick = {"auth_keys": published.url, "auth_keys_refresh_s": 0.01, "auth_keys_retry_s": 1e-6}
    tokens = tokens_of(guarded, **quick)
    for odd in ODD_SETS:
        published.text = odd
        reads = published.reads
        while published.reads == reads:
            assert tokens.principal(issuer.token("wallet.read")).caller == "shop"


def test_a_private_key_in_the_set_is_not_used(guarded: Settings, issuer: Issuer, published: Published) -> None:
    """Whoever can read the set could sign with it; the others in it are taken."""

    leaky = Issuer()
    leaky.add("ES256", "leaked")
    leaked = ECAlgorithm.to_jwk(cast("Any", leaky.keys["leaked"][1]), as_dict=True)
    published.text = json.dumps({"keys": [{**leaked, "kid": "leaked"}, *json.loads(issuer.key_set())["keys"]]})
    tokens = tokens_of(guarded, auth_keys=published.url)

    with pytest.raises(CredentialsInvalid):
        tokens.principal(leaky.token(ALL))
    assert tokens.principal(issuer.token(ALL)).caller == "shop"


def test_all_who_bring_a_new_key_wait_for_it_together(guarded: Settings, published: Published) -> None:
    """It is read once; nobody is refused because somebody else was first."""

    tokens = tokens_of(guarded, auth_keys=published.url, auth_keys_retry_s=0.3)
    later = Issuer()
    later.add("ES256", "key-of-tomorrow")
    published.text = later.key_set()
    published.delay_s = 0.5
    threading.Event().wait(0.3)  # the first reading is long enough ago
    token = later.token("wallet.read")
    found = together([partial(tokens.principal, token) for _ in range(6)])

    assert [getattr(one, "caller", one) for one in found] == ["shop"] * 6
    assert published.reads == 2


def test_an_address_that_never_comes_to_an_end_holds_nobody_up_for_long(
    guarded: Settings, issuer: Issuer, published: Published
) -> None:
    """A reading ends in time however slowly bytes come; known keys do not wait for it at all."""

    quick = {"auth_keys": published.url, "auth_keys_timeout_s": 2.0, "auth_keys_retry_s": 0.3}
    tokens = tokens_of(guarded, **quick)
    published.drips = True
    threading.Event().wait(0.3)  # the first reading is long enough ago
    with ThreadPoolExecutor(30) as pool:
        started_at = monotonic()
        strangers = [pool.submit(refused_after, tokens, unknown_key()) for _ in range(29)]
        assert tokens.principal(issuer.token("wallet.read")).caller == "shop"
        known_after = monotonic() - started_at
        waited = sorted(one.result(30) for one in strangers)

    assert known_after < 1
    assert waited[20] < 1
    assert waited[-1] < 10


def refused_after(tokens: Tokens, token: str) -> float:
    """Return how long it took to refuse a token."""
    started_at = monotonic()
    with pytest.raises(CredentialsInvalid):
        tokens.principal(token)
    return monotonic() - started_at


@pytest.mark.parametrize("said", [{"owner": "a\0b"}, {"owner": "\ud800"}, {"owner": "x" * 300}, {"client_id": ""}])
def test_names_that_are_none_are_refused(settings: Settings, said: dict[str, str]) -> None:
    """The database could not even be asked for them."""

    tokens = tokens_of(settings, auth_dev_secret=SECRET, auth_issuer=ISSUER)
    claims = {"client_id": "shop-client", "scope": ALL, **standard(), **said}
    with pytest.raises(CredentialsInvalid):
        tokens.principal(jwt.encode(claims, SECRET, algorithm="HS256"))


def test_the_log_says_why_credentials_were_refused() -> None:
    """For the operators, as for the caller."""

    assert "the token has expired" in cause_of(CredentialsInvalid("the token has expired"))


def test_a_secret_signs_tokens_for_development_only(settings: Settings) -> None:
    """Where one is set, and nobody named, whoever calls is called as the token says."""

    tokens = tokens_of(settings, auth_dev_secret=SECRET, auth_issuer=ISSUER)

    found = tokens.principal(by_secret())
    assert (found.caller, found.scopes) == ("shop-client", frozenset(Scope))


PRODUCTION: dict[str, Any] = {
    "mode": "production",
    "database_url": "postgresql://a@b/c",
    "tls_certificate": Path("a"),
    "tls_key": Path("b"),
    "auth_keys": "https://issuer.example/keys",
    "auth_issuer": ISSUER,
    "callers": CALLERS,
}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"database_url": None}, ["WALLET_DATABASE_URL"]),
        ({"tls_certificate": None, "tls_key": None}, ["WALLET_TLS_CERTIFICATE and WALLET_TLS_KEY"]),
        ({"auth_keys": None}, ["WALLET_AUTH_KEYS"]),
        ({"auth_keys": "http://issuer.example/keys"}, ["https://"]),
        ({"callers": {}}, ["WALLET_CALLERS"]),
        ({"auth_dev_secret": SECRET}, ["WALLET_AUTH_DEV_SECRET"]),
        (
            {"database_url": None, "tls_certificate": None, "tls_key": None, "auth_keys": None, "callers": {}},
            ["WALLET_DATABASE_URL", "WALLET_TLS_CERTIFICATE", "WALLET_AUTH_KEYS", "WALLET_CALLERS"],
        ),
    ],
)
def test_production_does_not_start_without_what_it_needs(changes: dict[str, Any], named: list[str]) -> None:
    """O2: everything that is missing is named at once."""

    require_production(Settings(**PRODUCTION))
    with pytest.raises(SettingsError) as refused:
        require_production(Settings(**{**PRODUCTION, **changes}))

    for name in named:
        assert name in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"tls_certificate": Path("a")},
        {"tls_client_ca": Path("a")},
        {"auth_keys": "keys.json"},
        {"auth_dev_secret": "too short"},
        {"callers": {"a": {"clients": ["x"]}, "b": {"clients": ["x"]}}},
        {"callers": {"a": {"certificates": ["x"]}, "b": {"certificates": ["x"]}}},
        {"callers": {"Not A Name": {}}},
        {"callers": {"a": {"unknown": ["x"]}}},
    ],
)
def test_half_a_way_to_tell_who_calls_is_refused_at_start(changes: dict[str, Any]) -> None:
    """What contradicts itself would let in the wrong ones."""

    with pytest.raises(ValueError, match=r".+"):
        Settings(**changes)


def test_a_scope_that_there_is_not_is_refused_at_start(settings: Settings) -> None:
    """A typing error would otherwise be a permission that nobody has."""

    callers = {"shop": {"certificates": ["shop"], "certificate_scopes": ["wallet.reed"]}}
    found = {"tls_certificate": Path("a"), "tls_key": Path("b"), "tls_client_ca": Path("c"), "callers": callers}
    with pytest.raises(SettingsError, match=r"wallet\.reed"):
        authentication(Settings(**{**settings.model_dump(), **found}))
