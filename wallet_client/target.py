"""The target: one host, or several addresses like ``ipv4:10.0.0.1:50051,10.0.0.2:50051``."""

from wallet_client.security import Tls

_LISTS = ("ipv4:", "ipv6:")


def authority(target: str, tls: Tls | None) -> str | None:
    """Return the server name for TLS; None: the host of *target*.

    gRPC takes a whole list of addresses for one name, which no certificate has. Raises ``ValueError`` where a list of
    several hosts has no name.
    """
    hosts = _hosts(target)
    if tls is None:
        return None
    if tls.server_name is not None:
        return tls.server_name
    if len(set(hosts)) > 1:
        raise ValueError(f"{target} has several hosts: give the name in their certificate, Tls(server_name=...)")
    return hosts[0] if len(hosts) > 1 else None


def _hosts(target: str) -> list[str]:
    """Return the hosts of a list of addresses; none for another target."""
    scheme = next((scheme for scheme in _LISTS if target.startswith(scheme)), None)
    if scheme is None:
        if "," in target:
            raise ValueError(f"{target} is not an address: write several as ipv4:HOST:PORT,HOST:PORT")
        return []
    return [address.rpartition(":")[0] for address in target.removeprefix(scheme).split(",")]
