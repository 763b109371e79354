"""Addresses to listen on: how gRPC is given one, and why one cannot be listened on."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

_WHY = {
    errno.EADDRINUSE: "another process listens there: end that one, or choose another port",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "this process may not: ports below 1024 take a right of their own",
    errno.EPERM: "this process may not",
    errno.EAFNOSUPPORT: "this machine does not speak that kind of address (IPv6?)",
}
_UNKNOWN = "gRPC could not, and does not say why; try again"


class CannotListen(Exception):
    """An address cannot be listened on; the message says why."""

    def __init__(self, host: str, port: int, error: Exception | None = None) -> None:
        super().__init__(f"{address(host, port)} cannot be listened on: {_why(error)}")


def address(host: str, port: int) -> str:
    """Return an address as gRPC and people write it: IPv6 has brackets before a port."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextmanager
def bound(host: str, port: int, *, shared: bool = False) -> Iterator[int]:
    """Hold a port without listening, *shared* with those that share it too; yield its number.

    Raises ``CannotListen``.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        held = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise CannotListen(host, port, error) from None
    with held:
        if shared:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            held.bind(where)
        except (OSError, OverflowError) as error:
            raise CannotListen(host, port, error) from None
        yield held.getsockname()[1]


def cannot_listen(host: str, port: int) -> CannotListen:
    """Return why gRPC, which does not say it, cannot listen on an address."""
    try:
        with bound(host, port):
            return CannotListen(host, port)
    except CannotListen as error:
        return error


def _why(error: Exception | None) -> str:
    match error:
        case socket.gaierror() | UnicodeError():
            return f"it is not an address, and no host has that name ({error})"
        case OverflowError():
            return "ports end at 65535"
        case OSError(errno=int(number)):
            return _WHY.get(number, os.strerror(number))
        case _:
            return _UNKNOWN
