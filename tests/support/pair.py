"""Two servers of one database, over TLS: what is restarted in turn."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from tests.conftest import FAST
from tests.support.loaded_server import Served, events, server_process
from tests.support.ports import free_ports
from tests.support.processes import environment
from wallet_client import Tls
from wallet_core.settings import Settings, read_settings

HOSTS = ("127.0.0.1", "127.0.0.2")
NAME = "wallet.internal"


@dataclass
class Pair:
    """Two servers on addresses of their own with one certificate, and how they are started again."""

    database_url: str
    logs: Path
    stack: ExitStack
    authority: trustme.CA = field(default_factory=trustme.CA)
    addresses: dict[str, int] = field(default_factory=lambda: dict(zip(HOSTS, free_ports(2), strict=True)))
    servers: dict[str, Served] = field(default_factory=dict)
    starts: int = 0

    def __post_init__(self) -> None:
        issued = self.authority.issue_cert(NAME)
        issued.cert_chain_pems[0].write_to_path(self.logs / "server.pem")
        issued.private_key_pem.write_to_path(self.logs / "server-key.pem")

    @property
    def settings(self) -> Settings:
        """Of their database."""
        return read_settings(database_url=self.database_url)

    @property
    def target(self) -> str:
        """Both, as gRPC names several addresses."""
        return "ipv4:" + ",".join(f"{host}:{port}" for host, port in self.addresses.items())

    @property
    def tls(self) -> Tls:
        """How their callers speak TLS."""
        return Tls(ca=self.authority.cert_pem.bytes(), server_name=NAME)

    def start(self, host: str) -> None:
        """Start the server of a host; it serves when this returns."""
        self.starts += 1
        settings = {
            **FAST,
            "grpc_host": host,
            "grpc_port": self.addresses[host],
            "log_level": "INFO",
            "drain_delay_s": 0.2,
            "drain_grace_s": 30.0,
            "lock_timeout_s": 3.0,
            "tls_certificate": self.logs / "server.pem",
            "tls_key": self.logs / "server-key.pem",
        }
        log = self.logs / f"{host}-{self.starts}"
        self.servers[host] = self.stack.enter_context(server_process(log, self.database_url, **environment(settings)))

    def restart(self, host: str) -> None:
        """End a server as an orchestrator does, and start it again once it has ended."""
        process = self.servers[host].process
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        self.start(host)

    def kill(self, host: str) -> None:
        """End a server at once, in any state."""
        self.servers[host].process.kill()
        self.servers[host].process.wait()

    def calls(self, host: str) -> int:
        """Return how many calls of ours its server has answered."""
        return sum(event["event"] == "call" for event in events(self.servers[host].log))


@contextmanager
def running_pair(database_url: str, logs: Path) -> Iterator[Pair]:
    """Start both; they are there when this returns."""
    with ExitStack() as stack:
        pair = Pair(database_url, logs, stack)
        for host in HOSTS:
            pair.start(host)
        yield pair
