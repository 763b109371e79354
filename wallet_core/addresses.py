"""Addresses: whether one leads to another machine."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Tell whether *host*, a name or an address, is this machine and cannot be reached from another."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
