"""Signing in: by a token of the service or at a provider; what a session may do, and how it ends."""

import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.support.console import Visitor, hidden, running_console, words
from tests.support.issuer import ISSUER, Issuer, in_an_hour
from tests.support.ports import free_ports
from tests.support.provider import CLIENT, SECRET, Provider, running_provider
from wallet_console.login import own_path
from wallet_console.settings import SettingsError, read_settings
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.security.access import Scope
from wallet_grpc.server.process import authentication
from wallet_grpc.server.serving import serving

ALL = " ".join(Scope)
CONSOLE = Path(__file__).parents[2] / "docs" / "console.md"


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    """Return an issuer of tokens that the service accepts."""
    issuer = Issuer()
    issuer.add("ES256")
    return issuer


@pytest.fixture
def target(app: App, settings: Settings, issuer: Issuer, tmp_path: Path) -> Iterator[str]:
    """Serve with authentication; return the address."""
    keys = tmp_path / "keys.json"
    keys.write_text(issuer.key_set())
    callers = {"shop": {"clients": ["shop-client"]}}
    guarded = settings.replaced(auth_keys=str(keys), auth_issuer=ISSUER, callers=callers)
    with serving(app, guarded, authentication(guarded)) as port:
        yield f"127.0.0.1:{port}"


@contextmanager
def visitor_of(target: str, **settings: object) -> Iterator[Visitor]:
    """Yield a visitor of a console where people sign in."""
    with running_console(target, **{"login": "token", **settings}) as url:
        visitor = Visitor(url)
        yield visitor
        visitor.http.close()


def sign_in(visitor: Visitor, token: str, wanted: str = "/") -> httpx.Response:
    """Sign in with a token, on the page that a visitor is led to."""
    return visitor.post("/login", visitor.fill(visitor.get(wanted), token=token))


def test_nothing_is_shown_before_a_token_was_accepted(target: str, issuer: Issuer) -> None:
    """Every page leads to the sign-in and from there back; a wrong token is refused by the service itself."""

    with visitor_of(target) as visitor:
        for path in ("/", "/wallets/alice", "/live?of=", "/transactions?reference=x"):
            assert visitor.http.get(path).headers["location"] == f"/login?next={quote(path, safe='')}"
        assert visitor.http.get("/static/console.css").status_code == 200
        refused = sign_in(visitor, "no.such.token", "/wallets")
        assert refused.status_code == 401
        assert visitor.get("/wallets").url.path == "/login"

        accepted = sign_in(visitor, issuer.token(ALL, sub="maria"), "/wallets")

        assert accepted.url.path == "/wallets"
        assert "maria" in accepted.text
        assert issuer.token(ALL)[:20] not in accepted.text


def test_the_sessions_cookie_is_confined_and_new(target: str, issuer: Issuer) -> None:
    """No script reads it, no other page sends it, no plain connection carries it; signing in changes it."""

    with visitor_of(target, url="https://console.example") as visitor:
        before = cookie_of(visitor.http.get("/login"))
        form = hidden(visitor.http.get("/login", headers={"cookie": f"{before.key}={before.value}"})) | {
            "token": issuer.token(ALL)
        }
        answer = visitor.http.post("/login", data=form, headers={"cookie": f"{before.key}={before.value}"})
        after = cookie_of(answer)

    assert answer.status_code == 303
    assert after.key == "__Host-wallet_console"
    assert {name: after[name] for name in ("httponly", "secure", "samesite", "path", "domain")} == {
        "httponly": True,
        "secure": True,
        "samesite": "Strict",
        "path": "/",
        "domain": "",
    }
    assert after.value != before.value
    assert "max-age" in answer.headers["strict-transport-security"]


def cookie_of(answer: httpx.Response) -> Any:  # noqa: ANN401  # a Morsel
    """Return the session's cookie that an answer sets."""
    cookies: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        cookies.load(line)
    return next(morsel for name, morsel in cookies.items() if name.endswith("wallet_console"))


def test_a_user_can_do_what_the_token_can_and_nothing_more(target: str, issuer: Issuer) -> None:
    """Parts of a page that the token does not reach say so, and the rest is shown."""

    with visitor_of(target) as visitor:
        sign_in(visitor, issuer.token("wallet.read"))
        overview, attention = visitor.get("/"), visitor.get("/attention")
        verify, freeze = visitor.get("/verify"), visitor.get("/live", of="wallets/nobody")

    assert overview.status_code == 200
    assert "This cannot be shown." in words(overview)
    assert (attention.status_code, verify.status_code, freeze.status_code) == (403, 403, 404)
    assert "You may not see this" in words(attention)


def test_a_session_ends_with_its_user_its_token_and_its_time(target: str, issuer: Issuer) -> None:
    """After that every page leads to the sign-in again, and a form changes nothing."""

    with visitor_of(target) as visitor:
        page = sign_in(visitor, issuer.token(ALL))
        left = visitor.post("/logout", hidden(page))
        assert left.url.path == "/login"
        assert visitor.get("/wallets").url.path == "/login"
        sign_in(visitor, issuer.token(ALL, exp=in_an_hour(-0.002)))  # within the leeway of the service
        assert visitor.get("/wallets").url.path == "/login"
    with visitor_of(target, session_idle_s=0.001) as visitor:
        sign_in(visitor, issuer.token(ALL))
        assert visitor.get("/wallets").url.path == "/login"
    with visitor_of(target, sessions_max=1) as visitor, ExitStack() as stack:
        other = Visitor(visitor.url)
        stack.callback(other.http.close)
        for one in (visitor, other):
            sign_in(one, issuer.token(ALL))
        assert [one.get("/wallets").url.path for one in (visitor, other)] == ["/login", "/wallets"]


@contextmanager
def at_provider(target: str, issuer: Issuer, **settings: object) -> Iterator[tuple[Visitor, Provider]]:
    """Yield a visitor of a console that signs in at a provider, and the provider."""
    (port,) = free_ports(1)
    with running_provider(issuer, ALL) as provider:
        chosen = {
            "login": "oidc",
            "oidc_issuer": provider.url,
            "oidc_client_id": CLIENT,
            "oidc_client_secret": SECRET,
            "url": f"http://127.0.0.1:{port}",
            **settings,
        }
        with running_console(target, port=port, **chosen) as url:
            visitor = Visitor(url)
            yield visitor, provider
            visitor.http.close()


def begin(visitor: Visitor, wanted: str = "/wallets") -> str:
    """Ask to sign in; return where the provider sends the browser."""
    asked = visitor.http.post("/login", data=hidden(visitor.get(wanted)))
    assert asked.status_code == 303
    return str(httpx.get(asked.headers["location"], trust_env=False).headers["location"])


def test_a_user_signs_in_at_the_provider_by_a_code_with_pkce(target: str, issuer: Issuer) -> None:
    """And gets to the page that was wanted; the code is of no use to anybody else, or again."""

    with at_provider(target, issuer) as (visitor, provider):
        back = begin(visitor)
        stranger = httpx.get(back, trust_env=False)
        back = begin(visitor)
        signed_in = visitor.get(back)
        again = visitor.get(back)

        assert provider.asked[-1]["code_challenge_method"] == "S256"
        assert stranger.status_code == 401
        assert 'content="0;url=/wallets"' in signed_in.text
        assert "maria" in visitor.get("/wallets").text
        assert again.status_code == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "of another attempt"},
        {"aud": "another client"},
        {"iss": "https://another.example"},
        {"exp": in_an_hour(-1)},
        {"nonce": None},
    ],
    ids=lambda claims: next(iter(claims)),
)
def test_an_answer_that_is_for_someone_else_signs_nobody_in(
    target: str, issuer: Issuer, claims: dict[str, object]
) -> None:
    """The ID token says for whom, for which attempt, and until when."""

    with at_provider(target, issuer) as (visitor, provider):
        provider.id_claims = claims
        refused = visitor.get(begin(visitor))

        assert refused.status_code == 401
        assert "The sign-in was not completed." in words(refused)
        assert visitor.get("/wallets").url.path == "/login"


def test_a_provider_that_is_not_there_is_named_as_the_cause(target: str, issuer: Issuer) -> None:
    """Nobody is signed in, and the console goes on."""

    (closed,) = free_ports(1)
    with at_provider(target, issuer, oidc_issuer=f"http://127.0.0.1:{closed}") as (visitor, _):
        page = visitor.post("/login", hidden(visitor.get("/")))

        assert page.status_code == 502
        assert "The sign-in provider cannot be reached." in words(page)


def test_a_sign_in_leads_to_pages_of_this_console_only() -> None:
    """Whatever an address asks for."""

    elsewhere = ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "", "/\nx"]
    assert [own_path(one) for one in (*elsewhere, "/wallets?owner=x")] == ["/"] * len(elsewhere) + ["/wallets?owner=x"]


def test_a_console_without_a_login_is_reached_from_this_machine_only() -> None:
    """Unless that is meant."""

    with pytest.raises(SettingsError, match="WALLET_CONSOLE_ALLOW_UNAUTHENTICATED=true if that is meant"):
        read_settings(host="192.0.2.1")
    assert read_settings(host="192.0.2.1", allow_unauthenticated=True).login == "none"
    assert read_settings(host="192.0.2.1", login="token").login == "token"
    assert [read_settings(host=host).host for host in ("127.0.0.1", "::1", "localhost")]


def test_a_production_starts_with_a_login_and_tls_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is missing is named at once; so is a name that sets nothing."""

    monkeypatch.setenv("WALLET_CONSOLE_MODE", "production")
    with pytest.raises(SettingsError) as missing:
        read_settings()
    monkeypatch.setenv("WALLET_CONSOLE_LOGGIN", "token")
    with pytest.raises(SettingsError) as unknown:
        read_settings()

    assert all(name in str(missing.value) for name in ("CONSOLE_LOGIN", "CONSOLE_TARGET_TLS", "CONSOLE_URL"))
    assert str(unknown.value) == "WALLET_CONSOLE_LOGGIN is no setting; did you mean WALLET_CONSOLE_LOGIN?"
    monkeypatch.delenv("WALLET_CONSOLE_LOGGIN")
    complete = read_settings(login="token", target_tls=True, url="https://console.example")
    assert complete.secure


def test_the_documented_production_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its variables are all that the console needs, and start this module."""

    (block,) = re.findall(r"```sh\n(.*?)```", CONSOLE.read_text(), re.DOTALL)
    *variables, python, option, module = shlex.split(block.replace("\\\n", ""))
    for variable in variables:
        monkeypatch.setenv(*variable.split("=", 1))

    assert (python, option, module) == ("python", "-m", "wallet_console")
    settings = read_settings()
    assert (settings.mode, settings.login, settings.secure) == ("production", "oidc", True)
