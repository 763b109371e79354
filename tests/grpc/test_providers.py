"""Tokens of the identity providers that are known here: which claims name the caller, and what it may do."""

import asyncio
from typing import Any, get_args

import jwt
import pytest

from tests.support.issuer import ISSUER, SECRET, Issuer, bearer, standard, tokens_of
from tests.support.wire import Wire
from wallet_client import AsyncWalletClient, WalletClient
from wallet_core.settings import Settings, SettingsError, read_settings
from wallet_core.settings.access import Provider
from wallet_core.usecases.app import App
from wallet_grpc.errors.kinds import CredentialsInvalid
from wallet_grpc.security.access import Principal, Scope
from wallet_grpc.security.claims import PROVIDERS
from wallet_grpc.server.process import authentication
from wallet_grpc.server.serving import serving

READ, PAY = Scope.WALLET_READ, Scope.MONEY_TRANSFER
CLIENT = "0oa1shop"

KEYCLOAK = {
    "jti": "trrtcc:8f9e0c6e",
    "sub": "f2b5a4f1-6c1e-4f5e-9a55-0c2f4a3d1b77",
    "typ": "Bearer",
    "azp": CLIENT,
    "acr": "1",
    "realm_access": {"roles": ["offline_access", "operations"]},
    "scope": "profile wallet.read email",
    "preferred_username": "service-account-shop",
}
AUTH0 = {"sub": f"{CLIENT}@clients", "gty": "client-credentials", "azp": CLIENT, "scope": "wallet.read"}
OKTA = {"ver": 1, "jti": "AT.8f9e0c6e", "cid": CLIENT, "scp": ["wallet.read", "openid"], "sub": CLIENT}
ENTRA = {
    "azp": CLIENT,
    "azpacr": "1",
    "oid": "5a7f-oid",
    "roles": ["wallet.read", "Directory.Read"],
    "sub": "5a7f-sub",
    "tid": "9c1e-tenant",
    "uti": "8f9e0c6e",
    "ver": "2.0",
}
ROLES = {"wallet": {"roles": ["money.transfer"]}, "account": {"roles": ["operations"]}}

TOKENS: list[tuple[str, dict[str, Any], set[Scope]]] = [
    ("standard", {"client_id": CLIENT, "azp": "other", "sub": "u", "scope": "wallet.read openid"}, {READ}),
    ("standard", {"azp": CLIENT, "sub": "u", "scope": ["wallet.read", "money.transfer", 7]}, {READ, PAY}),
    ("standard", {"sub": CLIENT, "scp": ["operations"], "roles": ["operations"]}, set()),
    ("keycloak", KEYCLOAK, {READ}),
    ("keycloak", {**KEYCLOAK, "client_id": "other", "resource_access": ROLES}, {PAY}),
    ("keycloak", {**KEYCLOAK, "resource_access": {"account": {"roles": ["operations"]}}}, {READ}),
    ("auth0", AUTH0, {READ}),
    ("auth0", {**AUTH0, "sub": "auth0|5f7c", "scope": "openid operations", "permissions": ["money.transfer"]}, {PAY}),
    ("auth0", {**AUTH0, "permissions": []}, set()),
    ("okta", OKTA, {READ}),
    ("okta", {**OKTA, "uid": "00u1", "sub": "ada@example.com", "groups": ["operations"]}, {READ}),
    ("entra", ENTRA, {READ}),
    # For a user: what the client may do in the user's name, and not what the user may do elsewhere.
    ("entra", {**ENTRA, "scp": "money.transfer", "roles": ["operations"]}, {PAY}),
    ("entra", {**ENTRA, "scp": "", "roles": ["operations"]}, set()),
    ("entra", {**{k: v for k, v in ENTRA.items() if k != "azp"}, "appid": CLIENT, "ver": "1.0"}, {READ}),
]


def principal(settings: Settings, claims: dict[str, Any], **changes: object) -> Principal:
    """Return the principal of a token with these claims."""
    callers = {"shop": {"clients": [CLIENT]}}
    tokens = tokens_of(settings, auth_dev_secret=SECRET, auth_issuer=ISSUER, callers=callers, **changes)
    return tokens.principal(jwt.encode({**standard(), **claims}, SECRET, algorithm="HS256"))


@pytest.mark.parametrize(("provider", "claims", "scopes"), TOKENS)
def test_a_providers_token_names_the_caller_and_its_rights(
    settings: Settings, provider: str, claims: dict[str, Any], scopes: set[Scope]
) -> None:
    """The client's name is the one in the settings; a right counts only where the provider puts it."""

    found = principal(settings, claims, auth_provider=provider)

    assert (found.caller, set(found.scopes), found.owner) == ("shop", scopes, None)


def test_every_provider_that_can_be_set_is_known_and_tried() -> None:
    """One that is only in the settings would stop the start."""

    assert set(get_args(Provider)) == set(PROVIDERS) == {provider for provider, _, _ in TOKENS}


def test_own_claims_replace_the_providers(settings: Settings) -> None:
    """Names with any characters in them, and ways into a claim; those that are not set stay the provider's."""

    claims = {
        "app": {"id": CLIENT},
        "realm_access": {"roles": ["operations"]},
        "scp": ["wallet.read"],
        "https://wallet.example/owner": "ada",
        "owner": "bob",
    }
    own: dict[str, Any] = {"auth_provider": "okta", "auth_client_claims": ["client", ["app", "id"]]}
    confined = principal(settings, claims, **own, auth_owner_claims=["https://wallet.example/owner"])
    own |= {"auth_owner_claims": ["nobody"], "auth_scope_claims": [["realm_access", "roles"]]}
    operator = principal(settings, claims, **own)

    assert (confined.caller, set(confined.scopes), confined.owner) == ("shop", {READ}, "ada")
    assert (set(operator.scopes), operator.owner) == ({Scope.OPERATIONS}, None)


@pytest.mark.parametrize(
    ("provider", "claims"),
    [
        ("okta", {"client_id": CLIENT, "scp": ["wallet.read"]}),
        ("keycloak", {"azp": {"id": CLIENT}}),
        ("entra", {"azp": None, "appid": CLIENT}),
        ("auth0", {**AUTH0, "owner": ["ada"]}),
        ("auth0", {**AUTH0, "owner": None}),
    ],
)
def test_a_token_without_the_claim_in_its_place_is_refused(
    settings: Settings, provider: str, claims: dict[str, Any]
) -> None:
    """The first claim that is there decides; an owner that is no valid name is no owner."""

    with pytest.raises(CredentialsInvalid):
        principal(settings, claims, auth_provider=provider)


@pytest.mark.parametrize("claims", ["[]", '["scope", []]', '[""]', '"scope"', '{"scope": 1}'])
def test_claims_that_name_nothing_stop_the_start(monkeypatch: pytest.MonkeyPatch, claims: str) -> None:
    """A list of names is what is wanted."""

    monkeypatch.setenv("WALLET_AUTH_SCOPE_CLAIMS", claims)
    with pytest.raises(SettingsError, match="WALLET_AUTH_SCOPE_CLAIMS"):
        read_settings()
    monkeypatch.setenv("WALLET_AUTH_SCOPE_CLAIMS", '[["resource_access", "wallet", "roles"], "scope"]')
    assert read_settings().auth.scope_claims == (("resource_access", "wallet", "roles"), "scope")


def test_a_long_token_is_taken_every_time(app: App, guarded: Settings, issuer: Issuer) -> None:
    """One of 16 KiB, by any client; gRPC itself would refuse half of those above 8 KiB.

    A longer one is reported as too long.
    """

    def of_size(size: int) -> str:
        bare = issuer.token("wallet.read", groups="")
        return issuer.token("wallet.read", groups="x" * ((size - len(bare)) * 3 // 4 - 2))

    longest, beyond = of_size(guarded.auth.token_max_bytes), of_size(guarded.auth.token_max_bytes + 100)
    assert len(longest) <= guarded.auth.token_max_bytes < len(beyond)
    assert len(longest) > guarded.auth.token_max_bytes - 10

    async def lists(target: str) -> None:
        async with AsyncWalletClient(target, token=longest) as client:
            assert [wallet async for wallet in client.list_wallets()] == []

    with serving(app, guarded, authentication(guarded)) as port:
        target = f"127.0.0.1:{port}"
        asyncio.run(lists(target))
        with WalletClient(target, token=longest) as client:
            for _ in range(20):
                assert list(client.list_wallets()) == []
        with Wire(target, metadata=bearer(longest)) as wire:
            assert wire.call("WalletService/ListWallets", b"").code == "OK"
        with Wire(target, metadata=bearer(beyond)) as wire:
            refused = wire.call("WalletService/ListWallets", b"")
    assert (refused.reason, "the token is too long" in refused.message) == ("CREDENTIALS_INVALID", True)
