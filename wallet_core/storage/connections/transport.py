"""Transport security to the database: whether a third party could read the traffic or impersonate the server."""

from itertools import zip_longest

from psycopg.pq import Conninfo

from wallet_core.addresses import is_loopback
from wallet_core.storage.connections.engine import parse_url


def is_private(url: str) -> bool:
    """Return whether connections to *url* are TLS with a verified server, or stay on this machine.

    As libpq sees it: what the URL leaves out comes from its variables, ``PGSSLMODE`` for one. Raises ValueError as
    ``parse_url`` does.
    """
    named = parse_url(url)
    if "service" in named:  # whose file may have any setting but this
        return named.get("sslmode") == "verify-full"
    defaults = {one.keyword.decode(): one.val.decode() for one in Conninfo.get_defaults() if one.val is not None}
    found = defaults | named
    if found.get("sslmode") == "verify-full":
        return True
    hosts, addresses = (found.get(name, "").split(",") for name in ("host", "hostaddr"))
    return all(_is_here(address or host or "") for host, address in zip_longest(hosts, addresses))


def _is_here(host: str) -> bool:
    """Return whether a host is this machine; a path is a socket, and an empty host is the default socket."""
    return host == "" or host.startswith(("/", "@")) or is_loopback(host)
