"""The admin port: channelz, which shows this process's channels, sockets and calls, for troubleshooting.

A separate server, so that it responds while the other is overloaded, on an address that clients cannot reach.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
from grpc_channelz.v1 import channelz

from wallet_grpc.runtime.listening import address, cannot_listen
from wallet_grpc.server.reflection import add_reflection

_THREADS = 2

_CHANNELZ = "grpc.channelz.v1.Channelz"


@contextmanager
def admin_port(host: str, port: int | None) -> Iterator[None]:
    """Serve channelz; without a port serve nothing. Raises ``CannotListen``."""
    if port is None:
        yield
        return
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="admin")
    server = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
    channelz.add_channelz_servicer(server)
    add_reflection(server, [_CHANNELZ], pool)
    try:
        given = server.add_insecure_port(address(host, port))
    except RuntimeError:
        given = None
    if given != port:  # gRPC turns an invalid port into another one
        raise cannot_listen(host, port)
    server.start()
    try:
        yield
    finally:
        server.stop(None).wait()
        pool.shutdown(wait=False)
