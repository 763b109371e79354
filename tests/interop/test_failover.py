"""Callers in Go, TypeScript and Java use two servers over TLS: one is restarted or dies, and none of them notices."""

from pathlib import Path

import pytest

from tests.interop.clients import SERVICE_CONFIG, failing_over
from tests.support.callers import balance, open_funded
from tests.support.database import Database
from tests.support.pair import HOSTS, NAME, running_pair
from wallet_client import WalletClient
from walletctl.local.waiting import wait_until

pytestmark = [pytest.mark.alone, pytest.mark.timeout(600)]


def test_servers_that_are_restarted_and_killed_in_turn_fail_no_call(
    language: str, own_database: Database, tmp_path: Path
) -> None:
    """By the service config and the name in the certificate alone; every transfer is in the books once."""

    with running_pair(own_database.url, tmp_path) as pair, WalletClient(pair.target, tls=pair.tls) as client:
        open_funded(client, **{f"{language}-alice": 1_000_000, f"{language}-bob": 0})
        (tmp_path / "ca.pem").write_bytes(pair.authority.cert_pem.bytes())
        variables = {
            "WALLET_TARGET": pair.target,
            "WALLET_CA": str(tmp_path / "ca.pem"),
            "WALLET_SERVER_NAME": NAME,
            "WALLET_SERVICE_CONFIG": str(SERVICE_CONFIG),
            "WALLET_TOKEN": "none is asked for",
            "INTEROP_PREFIX": language,
        }

        def until_paid(more: int) -> None:
            paid = balance(client, f"{language}-bob") + more
            assert wait_until(lambda: balance(client, f"{language}-bob") >= paid, timeout_s=30)

        with failing_over(language, variables) as seen:
            until_paid(100)
            assert wait_until(lambda: all(pair.calls(host) > 0 for host in HOSTS), timeout_s=10)
            for host in HOSTS:
                pair.restart(host)
                until_paid(100)
            for host in HOSTS:
                pair.kill(host)
                until_paid(100)
                pair.start(host)
        assert seen["failover"] == {"done": balance(client, f"{language}-bob"), "failed": []}
