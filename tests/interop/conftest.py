"""One server process for callers of all languages: with TLS, tokens, and a wallet that has a long history."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests.conftest import FAST
from tests.interop import clients
from tests.interop.clients import CLIENTS, SERVICE_CONFIG, Seen
from tests.support.database import Cluster, Database
from tests.support.issuer import SECRET
from tests.support.loaded_server import events, server_process
from tests.support.long_history import write_history
from tests.support.processes import environment
from tests.support.watching import writing_journal
from wallet_client import Tls, WalletClient
from wallet_core.bootstrap import open_app
from wallet_core.settings import read_settings

# Enough entries for a statement of them to be long in progress when its first part has come.
HISTORY = 20_000
_LONGEST_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The server's address and credentials, as its callers get them."""

    target: str
    ca: Path
    log: Path
    database: Database

    def variables(self, language: str) -> dict[str, str]:
        """Return what a caller in a language is given: where to call, whom to trust, its own token, what to call."""
        return {
            "WALLET_TARGET": self.target,
            "WALLET_CA": str(self.ca),
            "WALLET_TOKEN": token(language),
            "WALLET_SERVICE_CONFIG": str(SERVICE_CONFIG),
            "INTEROP_PREFIX": language,
            "INTEROP_HISTORY": "wallets/alice",
        }

    def codes(self, caller: str, method: str) -> list[object]:
        """Return what the calls of a method by one caller ended with, by the server's own account."""
        calls = [event for event in events(self.log) if event["event"] == "call" and event.get("caller") == caller]
        return [call["code"] for call in calls if call["method"] == f"/wallet.v1.{method}"]


@pytest.fixture(scope="module")
def service(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serve until all callers are done; the ledger is verified at the end."""
    folder = tmp_path_factory.mktemp("interop")
    walletctl("certs", str(folder))
    settings = {
        **FAST,
        "log_level": "INFO",
        "tls_certificate": folder / "server.pem",
        "tls_key": folder / "server-key.pem",
        "auth_dev_secret": SECRET,
    }
    with cluster.clone(f"interop_{uuid4().hex[:8]}") as database:
        log, ca = folder / "server.log", folder / "ca.pem"
        with server_process(log, database.url, **environment(settings)) as served:
            target = served.target.replace("127.0.0.1", "localhost")
            with WalletClient(target, tls=Tls(ca=ca.read_bytes()), token=token("python")) as client:
                for name in ("alice", "bob"):
                    client.create_wallet(name, "USD")
            with psycopg.connect(database.url, autocommit=True) as owner:
                write_history(owner, HISTORY)
            with open_app(read_settings(database_url=database.url), name="journal") as app, writing_journal(app):
                yield Service(target=target, ca=ca, log=log, database=database)
        assert database.broken_rules() == []


@pytest.fixture(scope="session", params=CLIENTS)
def language(request: pytest.FixtureRequest) -> str:
    """Build the caller in a language; return its name."""
    clients.build(request.param)
    return str(request.param)


@pytest.fixture(scope="module")
def seen(language: str, service: Service) -> Seen:
    """Run the caller in a language; return what it saw."""
    return clients.run(language, service.variables(language))


def token(client: str) -> str:
    """Return a token that may do everything."""
    return walletctl("token", client, WALLET_AUTH_DEV_SECRET=SECRET).strip()


def walletctl(*arguments: str, **variables: str) -> str:
    """Run a command of ``walletctl``, as a developer does; return what it prints."""
    command = [sys.executable, "-m", "walletctl", *arguments]
    ran = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=_LONGEST_S, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
