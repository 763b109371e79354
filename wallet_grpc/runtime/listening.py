"""Addresses to listen on, in gRPC's form, and why listening failed."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

_WHY = {
    errno.EADDRINUSE: "another process listens there: stop it, or choose another port",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "permission denied: ports below 1024 need a privilege",
    errno.EPERM: "permission denied",
    errno.EAFNOSUPPORT: "this machine does not support this kind of address (IPv6?)",
}
_UNKNOWN = "gRPC failed without a cause; try again"


class CannotListen(Exception):
    """Listening on an address failed; the message has the cause."""

    def __init__(self, host: str, port: int, error: Exception | None = None) -> None:
        super().__init__(f"cannot listen on {address(host, port)}: {_cause(error)}")


def address(host: str, port: int) -> str:
    """Return HOST:PORT, with brackets for IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextmanager
def bound(host: str, port: int, *, shared: bool = False) -> Iterator[int]:
    """Bind a port without listening, *shared* for SO_REUSEPORT; yield its number.

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
    """Return the cause why gRPC cannot listen on an address, which gRPC does not report."""
    try:
        with bound(host, port):
            return CannotListen(host, port)
    except CannotListen as error:
        return error


def _cause(error: Exception | None) -> str:
    match error:
        case socket.gaierror() | UnicodeError():
            return f"it is neither an address nor a known host name ({error})"
        case OverflowError():
            return "ports end at 65535"
        case OSError(errno=int(number)):
            return _WHY.get(number, os.strerror(number))
        case _:
            return _UNKNOWN
