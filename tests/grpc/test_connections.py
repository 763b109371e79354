"""Connections: how many calls one may have and how long it lasts, with any caller."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.api import Api
from tests.support.raw_http2 import RawHttp2
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.server.serving import serving
from walletctl.local.waiting import wait_until

WATCH = "/grpc.health.v1.Health/Watch"
LONG_S = 3600.0


@contextmanager
def served(app: App, settings: Settings, **changes: object) -> Iterator[str]:
    """Serve with other limits."""
    with serving(app, settings.replaced(**changes)) as port:
        yield f"127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("limits", "calls"),
    [
        ({"grpc_connection_idle_s": 1.0}, 0),
        ({"grpc_connection_age_s": 1.0, "grpc_connection_age_grace_s": 1.0}, 1),
    ],
    ids=["idle", "old, with a call that does not end"],
)
def test_connection_is_closed_in_time(app: App, settings: Settings, limits: dict[str, float], calls: int) -> None:
    """And not sooner than its limits: within them it stays."""

    with served(app, settings, **limits) as target, RawHttp2(target) as raw:
        for _ in range(calls):
            raw.call(WATCH)
        assert wait_until(lambda: raw.is_closed, timeout_s=30)
        with Api(target) as api:
            assert api.call("WalletService/ListWallets", b"").code == "OK"
    with served(app, settings) as target, RawHttp2(target) as raw:
        for _ in range(calls):
            raw.call(WATCH)
        assert not wait_until(lambda: raw.is_closed, timeout_s=2)


def test_the_calls_at_once_of_one_connection_are_bounded(app: App, settings: Settings) -> None:
    """A client that heeds it lets the others wait; one that does not is refused those."""

    limits = {"grpc_connection_streams_max": 4, "grpc_receive_timeout_s": LONG_S}
    with served(app, settings, **limits) as target, RawHttp2(target) as raw:
        begun = [raw.call(WATCH, request=None) for _ in range(10)]
        assert wait_until(lambda: len(raw.ended) == 6, timeout_s=30)
        assert raw.ended == set(begun[4:])
