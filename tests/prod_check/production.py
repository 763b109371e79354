"""A production on one machine: every process with TLS, certificates, keys, tokens and a database login of its own."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import trustme

from tests.support.issuer import ISSUER, Issuer
from tests.support.processes import environment
from wallet_client import Tls
from walletctl.local.child import spawn
from walletctl.local.cluster import log_tail
from walletctl.local.waiting import wait_until

SERVED_BY = "wallet_app"
CALLER, CLIENT = "shop", "shop-client"
_READY_S = 30.0
_STOP_S = 30.0


class CheckFailed(Exception):
    """The production is not as it should be; the message has the difference."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """All that is shown and believed, in files of one folder."""

    folder: Path
    issuer: Issuer = field(default_factory=Issuer)
    authority: trustme.CA = field(default_factory=trustme.CA)
    password: str = field(default_factory=secrets.token_urlsafe)

    def write(self) -> None:
        """Make them."""
        self.issuer.add("ES256")
        self.file("keys.json").write_text(self.issuer.key_set())
        self.authority.cert_pem.write_to_path(self.file("ca.pem"))
        for name in ("server", "bank"):
            issued = self.authority.issue_cert("localhost", "127.0.0.1")
            issued.private_key_pem.write_to_path(self.file(f"{name}-key.pem"))
            issued.cert_chain_pems[0].write_to_path(self.file(f"{name}.pem"))
        self.file("bank-token").write_text(secrets.token_urlsafe())

    def file(self, name: str) -> Path:
        """Return where one of them lies."""
        return self.folder / name

    def tls(self) -> Tls:
        """Return how a caller speaks TLS."""
        return Tls(ca=self.file("ca.pem").read_bytes())

    def token(self) -> str:
        """Return a token of the caller's."""
        return self.issuer.token("wallet.read wallet.write money.deposit money.transfer money.withdraw", CLIENT)


@dataclass(slots=True)
class Production:
    """The processes, and the variables that they are started with."""

    secrets: Secrets
    owner_url: str
    without: str | None
    bank_url: str = ""
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def database_url(self) -> str:
        """The database by the login that serves."""
        parts = urlsplit(self.owner_url)
        netloc = f"{SERVED_BY}:{quote(self.secrets.password)}@127.0.0.1:{parts.port}"
        return urlunsplit(parts._replace(netloc=netloc))

    def run(self, name: str, *arguments: str, **more: object) -> None:
        """Run a process that ends by itself; raise ``CheckFailed`` where it ends badly."""
        process, log = self._spawn(name, *arguments, **more)
        if process.wait(_READY_S) != 0:
            raise CheckFailed(f"{name} ended with {process.returncode}:\n{log_tail(log)}")

    def start(self, name: str, *arguments: str, ready: str, **more: object) -> str:
        """Start a process that keeps running.

        Return the text after *ready* in the line that reports that it is ready.
        """
        process, log = self._spawn(name, *arguments, **more)

        def readiness() -> re.Match[str] | None:
            return re.search(ready, log.read_text(errors="replace"))

        wait_until(lambda: readiness() is not None or process.poll() is not None, timeout_s=_READY_S)
        found = readiness()
        if found is None:
            raise CheckFailed(f"{name} did not start:\n{log_tail(log)}")
        return found[1]

    def stop(self) -> dict[str, int]:
        """End running processes by SIGTERM, the last first; return the exit codes."""
        codes = {}
        for name, process in reversed(self._running.items()):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                codes[name] = process.wait(_STOP_S)
        return codes

    def kill(self) -> None:
        """Check that nothing is left."""
        for process in self._running.values():
            process.kill()
            process.wait()

    def _spawn(self, name: str, *arguments: str, **more: object) -> tuple[subprocess.Popen[bytes], Path]:
        log = self.secrets.file(f"{name}.log")
        log.touch()
        all_of_them = {**self._settings(), **environment(more)}
        ours = {key: value for key, value in all_of_them.items() if key != self.without}
        # Nothing that the shell has set.
        others = {key: value for key, value in os.environ.items() if not key.startswith("WALLET")}  # noqa: TID251
        process = spawn(
            [sys.executable, "-m", *arguments],
            death_signal=signal.SIGKILL,
            env=others,
            extra_env={"WALLET_MODE": "production", **ours},
            log=log,
            takes_stop_signals=True,
        )
        self._running[name] = process
        return process, log

    def _settings(self) -> Mapping[str, str]:
        file = self.secrets.file
        return {
            "WALLET_DATABASE_URL": self.database_url,
            "WALLET_GRPC_PORT": "0",
            "WALLET_TLS_CERTIFICATE": str(file("server.pem")),
            "WALLET_TLS_KEY": str(file("server-key.pem")),
            "WALLET_AUTH_ISSUER": ISSUER,
            "WALLET_AUTH_KEYS": str(file("keys.json")),
            "WALLET_CALLERS": json.dumps({CALLER: {"clients": [CLIENT]}}),
            "WALLET_BANK_TOKEN_FILE": str(file("bank-token")),
            "WALLET_BANK_CA": str(file("ca.pem")),
            **({"WALLET_BANK_URL": self.bank_url} if self.bank_url else {}),
        }


@contextmanager
def running_production(folder: Path, owner_url: str, without: str | None) -> Iterator[Production]:
    """Make all secrets; at the end nothing is left running."""
    made = Secrets(folder)
    made.write()
    production = Production(made, owner_url, without)
    try:
        yield production
    finally:
        production.kill()
