"""A well-behaved caller beside an attack: how long its transfers and its probes of health take."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import quantiles
from time import monotonic
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.callers import open_funded, usd
from wallet_client import WalletClient

CAROL, DAVE = "wallets/carol", "wallets/dave"
_QUIET_TIMES = 40


@dataclass(slots=True)
class Bystander:
    """Makes transfers and checks health; every one must succeed."""

    client: WalletClient
    health: Any
    """The library's stub."""
    made: int = 0
    transfers_s: list[float] = field(default_factory=list)
    probes_s: list[float] = field(default_factory=list)
    quiet: tuple[float, float] = (0.0, 0.0)
    """95th percentiles of transfers and probes without other load."""

    def once(self) -> Self:
        """Make one transfer and check health."""
        began_at = monotonic()
        self.client.transfer(CAROL, DAVE, usd(1))
        self.transfers_s.append(monotonic() - began_at)
        self.made += 1
        began_at = monotonic()
        status = self.health.Check(health_pb2.HealthCheckRequest(), timeout=5).status
        self.probes_s.append(monotonic() - began_at)
        assert status == health_pb2.HealthCheckResponse.SERVING
        return self

    def forget(self) -> tuple[float, float]:
        """Return the 95th percentiles until now, and start again."""
        found = quantiles(self.transfers_s, n=20)[-1], quantiles(self.probes_s, n=20)[-1]
        self.transfers_s.clear()
        self.probes_s.clear()
        return found

    def assert_not_held_up(self) -> None:
        """Check that the attack was not felt much: ten times the quiet value, or what is short enough anyway."""
        (transfers, probes), (quiet_transfers, quiet_probes) = self.forget(), self.quiet
        assert transfers <= max(0.1, 10 * quiet_transfers), (transfers, self.quiet)
        assert probes <= max(0.05, 10 * quiet_probes), (probes, self.quiet)
        assert self.client.get_wallet(DAVE).balance.minor_units == self.made


@contextmanager
def bystander(target: str) -> Iterator[Bystander]:
    """Yield a bystander that has measured the durations without an attack."""
    with WalletClient(target, timeout_s=10) as client, grpc.insecure_channel(target) as channel:
        open_funded(client, carol=100_000, dave=0)
        found = Bystander(client, health_pb2_grpc.HealthStub(channel))
        for _ in range(_QUIET_TIMES):
            found.once()
        found.quiet = found.forget()
        yield found
