"""Settings that say who may call: what contradicts itself, or lacks something, does not start."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.issuer import ISSUER, SECRET
from wallet_core.settings import Settings, SettingsError
from wallet_grpc.process import authentication, require_production

CALLERS = {"shop": {"clients": ["shop-client"]}, "billing": {"clients": ["billing-client", "billing-old"]}}

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
