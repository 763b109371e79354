"""Sessions as operators have them: grpcurl and `buf curl`, in the clear by reflection, and secured without it."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo

from tests.support.issuer import SECRET, by_secret
from tests.support.ports import free_ports
from tests.support.toolchain import grpcurl, installed
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.descriptors import SERVICES
from wallet_grpc.security.tokens import DEVELOPMENT_ISSUER
from wallet_grpc.server.admin import admin_port
from wallet_grpc.server.process import authentication, credentials
from wallet_grpc.server.serving import serving
from walletctl.commands.development import certs

# Where grpcurl is missing and wanted, it is built first.
pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
PROTOSET = ROOT / "gen/wallet/v1/wallet.protoset.binpb"
CREATE = {"wallet_id": "erin", "wallet": {"currency_code": "USD"}, "request_id": "6f2b7c1e-52a4-4d0e-9a55-0000000000f1"}
PAY = {
    "source": "wallets/erin",
    "destination": "wallets/erin-two",
    "amount": {"currency_code": "USD", "minor_units": "1"},
    "request_id": "6f2b7c1e-52a4-4d0e-9a55-0000000000f2",
}


@dataclass
class Tool:
    """A command-line client, with its constant arguments."""

    begin: Sequence[str]

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it."""
        env = {**os.environ, "no_proxy": "*"}  # noqa: TID251  # what else a shell has
        return subprocess.run(
            [*self.begin, *arguments], env=env, capture_output=True, text=True, timeout=60, check=False
        )


def info(failed: subprocess.CompletedProcess[str]) -> ErrorInfo:
    """Return the error that buf received, which it prints unchanged."""
    (packed,) = (one["value"] for one in json.loads(failed.stderr)["details"] if one["type"] == "google.rpc.ErrorInfo")
    return ErrorInfo.FromString(base64.b64decode(packed + "=="))


@dataclass
class Secured:
    """A server that requires tokens, over TLS, without reflection."""

    target: str
    ca: str
    token: str


@pytest.fixture
def secured(app: App, settings: Settings, tmp_path: Path) -> Iterator[Secured]:
    """Serve with certificates and a secret for development."""
    certs(tmp_path, None, None)
    changed = {
        "auth_dev_secret": SECRET,
        "tls_certificate": tmp_path / "server.pem",
        "tls_key": tmp_path / "server-key.pem",
        "grpc_reflection": False,
    }
    mine = settings.replaced(**changed)
    with serving(app, mine, authentication(mine), credentials(mine)) as port:
        yield Secured(f"localhost:{port}", str(tmp_path / "ca.pem"), by_secret(iss=DEVELOPMENT_ISSUER))


def test_grpcurl_lists_describes_and_checks_health(server: str) -> None:
    """Without any file of ours."""

    curl = Tool([grpcurl(), "-plaintext"])
    listed = curl(server, "list").stdout.split()
    described = curl(server, "describe", "wallet.v1.TransferRequest").stdout
    health = curl("-d", '{"service": "wallet.v1.WalletService"}', server, "grpc.health.v1.Health/Check").stdout

    assert {*SERVICES, "grpc.health.v1.Health"} <= set(listed)
    assert ".wallet.v1.Money amount" in described
    assert json.loads(health) == {"status": "SERVING"}


def test_grpcurl_works_secured_with_the_protoset(secured: Secured) -> None:
    """A call is done once, and its repeat replayed; a refusal shows its reason and what it is about."""

    curl = Tool([grpcurl(), "-cacert", secured.ca, "-protoset", str(PROTOSET), "-format-error"])
    token = f"authorization: Bearer {secured.token}"

    def call(method: str, request: dict[str, Any], *more: str) -> subprocess.CompletedProcess[str]:
        return curl(*more, "-d", json.dumps(request), secured.target, f"wallet.v1.{method}")

    made = [call("WalletService/CreateWallet", CREATE, "-H", token) for _ in range(2)]
    second = {**CREATE, "wallet_id": "erin-two", "request_id": "6f2b7c1e-52a4-4d0e-9a55-0000000000f3"}
    assert call("WalletService/CreateWallet", second, "-H", token).returncode == 0
    refused = call("TransactionService/Transfer", PAY, "-H", token)
    stranger = call("TransactionService/Transfer", PAY)

    assert [json.loads(one.stdout).get("replayed", False) for one in made] == [False, True]
    assert '"reason": "INSUFFICIENT_FUNDS"' in refused.stderr
    assert '"available": "0"' in refused.stderr
    assert '"reason": "CREDENTIALS_INVALID"' in stranger.stderr
    assert secured.token not in refused.stderr


def test_buf_curl_works_secured_with_the_protos(secured: Secured) -> None:
    """The same with buf, which reads the schema from the folder of protos."""

    begin = [installed("buf"), "curl", "--schema", str(ROOT), "--protocol", "grpc", "--cacert", secured.ca]
    curl = Tool(begin)

    def call(method: str, request: dict[str, Any], *more: str) -> subprocess.CompletedProcess[str]:
        return curl(*more, "-d", json.dumps(request), f"https://{secured.target}/wallet.v1.{method}")

    token = f"authorization: Bearer {secured.token}"
    made = [call("WalletService/CreateWallet", CREATE, "-H", token) for _ in range(2)]
    missing = call("WalletService/GetWallet", {"name": "wallets/nobody"}, "-H", token)
    stranger = call("WalletService/GetWallet", {"name": "wallets/erin"})

    assert [json.loads(one.stdout).get("replayed", False) for one in made] == [False, True]
    assert (json.loads(missing.stderr)["code"], info(missing).reason) == ("not_found", "RESOURCE_NOT_FOUND")
    assert info(missing).metadata == {"resourceName": "wallets/nobody", "outcome": "NOT_DONE"}
    assert info(stranger).reason == "CREDENTIALS_INVALID"


def test_channelz_shows_the_servers_calls_and_sockets(server: str) -> None:
    """On the port for operators, by its own reflection."""

    (port,) = free_ports(1)
    with admin_port("127.0.0.1", port), grpc.insecure_channel(server) as channel:
        grpc.channel_ready_future(channel).result(timeout=5)
        curl, at = Tool([grpcurl(), "-plaintext"]), f"127.0.0.1:{port}"
        servers = json.loads(curl(at, "grpc.channelz.v1.Channelz/GetServers").stdout)["server"]
        # Of all servers of this process those that listen, but for the one that is called.
        listening = {one["ref"]["server_id"]: one["listen_socket"] for one in servers if "listen_socket" in one}
        others = [id_ for id_, (socket, *_) in listening.items() if not socket["name"].endswith(f":{port}")]
        requests = [json.dumps({"server_id": id_}) for id_ in others]
        output = [curl("-d", one, at, "grpc.channelz.v1.Channelz/GetServerSockets").stdout for one in requests]

    assert any("socket_ref" in json.loads(sockets) for sockets in output)
