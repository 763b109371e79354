"""Settings of who may call: contradictions and gaps do not start."""

from pathlib import Path
from typing import Any

import pytest

from wallet_core.settings import Settings, SettingsError, read_settings
from wallet_grpc.server.process import authentication


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
def test_partly_configured_authentication_is_refused_at_start(changes: dict[str, Any]) -> None:
    """What contradicts itself would let in the wrong ones."""

    with pytest.raises(SettingsError, match=r"WALLET_"):
        read_settings(**changes)


def test_a_scope_that_there_is_not_is_refused_at_start(settings: Settings) -> None:
    """A typing error would otherwise be a permission without a holder."""

    callers = {"shop": {"certificates": ["shop"], "certificate_scopes": ["wallet.reed"]}}
    found = {"tls_certificate": Path("a"), "tls_key": Path("b"), "tls_client_ca": Path("c"), "callers": callers}
    with pytest.raises(SettingsError, match=r"wallet\.reed"):
        authentication(settings.replaced(**found))
