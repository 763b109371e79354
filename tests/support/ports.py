"""Ports for processes that must be given theirs."""

import random
import socket

# Below those that the kernel hands out: none may be taken while its owner is down.
_PORTS = range(20_000, 32_000)
_TRIES = 100


def free_ports(count: int) -> list[int]:
    """Return free neighbouring ports."""
    for first in random.SystemRandom().sample(_PORTS, k=_TRIES):
        ports = list(range(first, first + count))
        if all(map(_is_free, ports)):
            return ports
    raise OSError(f"no {count} neighbouring ports are free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
