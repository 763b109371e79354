"""Addresses: whether one leads to another machine, and whether events may be sent to one."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

# Not global, although the library says so: deprecated relays, a translator's local prefix, documentation, segment
# routing, and site-local addresses.
_NOT_GLOBAL = tuple(map(ip_network, ("192.88.99.0/24", "64:ff9b:1::/48", "3fff::/20", "5f00::/16", "fec0::/10")))
# IPv4 addresses that are written as IPv6 ones, in the last 32 bits.
_IPV4_IN_IPV6 = tuple(map(IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")))


def is_loopback(host: str) -> bool:
    """Return whether *host*, a name or an address, is this machine and cannot be reached from another."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True, slots=True)
class EndpointPolicy:
    """Where events may be sent."""

    allows_http: bool
    private_networks: tuple[IPv4Network | IPv6Network, ...] = ()

    def wrong_with(self, url: str) -> str:
        """Return what is wrong with a URL, as far as it can be seen without looking its host up; else nothing."""
        try:
            parts = urlsplit(url)
            netloc, host, port = parts.netloc, parts.hostname or "", parts.port
        except ValueError:
            netloc, host, port = "", "", None
        wrong = {
            "must be an absolute URL like https://example.com/events": not host or port == 0,
            "must begin with https://": not url.startswith(("https://", "http://") if self.allows_http else "https://"),
            "must have no user and no password: requests are authenticated by their signature": "@" in netloc,
            "must have no fragment": "#" in url,
            "has an address that webhooks may not be sent to": _is_address(host) and not self.permits(host),
        }
        return next((text for text, is_wrong in wrong.items() if is_wrong), "")

    def permits(self, address: str) -> bool:
        """Return whether events may be sent to an address, also if it is another one in disguise."""
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return all(self._permits(one) for one in _meant(found))

    def _permits(self, address: IPv4Address | IPv6Address) -> bool:
        if any(address in network for network in self.private_networks if network.version == address.version):
            return True
        return (
            address.is_global
            and not address.is_multicast
            and not address.is_reserved
            and not any(address in network for network in _NOT_GLOBAL if network.version == address.version)
        )


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _meant(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    """Yield the IPv4 address that an IPv6 address leads to, or the address itself."""
    if isinstance(address, IPv6Address):
        if address.sixtofour is not None:
            yield address.sixtofour
        elif any(address in network for network in _IPV4_IN_IPV6) and int(address) > 1:
            yield IPv4Address(int(address) & 0xFFFFFFFF)
            return
    yield address
