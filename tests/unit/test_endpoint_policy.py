"""Where webhooks may lead: public addresses, whatever form they are written in, and what a setting allows."""

from ipaddress import ip_network

import pytest

from wallet_core.addresses import EndpointPolicy

STRICT = EndpointPolicy(allows_http=False)
INSIDE = EndpointPolicy(allows_http=True, private_networks=(ip_network("10.1.0.0/16"), ip_network("fd00:1::/32")))

PUBLIC = ("8.8.8.8", "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8")
REFUSED = (
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),  # noqa: S104  # refused
    *("169.254.169.254", "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.88.99.1"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00::1", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1"),
    # IPv4 in IPv6: mapped, compatible, translated, 6to4, Teredo, NAT64 and its local prefix.
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "::ffff:0:10.0.0.1", "2002:0a00:0001::1", "2002:7f00:1::"),
    *("2001:0:4136:e378:8000:63bf:3fff:fdd2", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::8.8.8.8"),
    *("100::1", "3fff::1", "5f00::1", "not an address", "127.1", "0x7f.1", ""),
)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_permitted(address: str) -> None:
    """Also one that is written as another kind of address."""

    assert STRICT.permits(address)


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_of_no_public_machine_is_refused(address: str) -> None:
    """Private, loopback, link-local, multicast, reserved, and all of them in disguise."""

    assert not STRICT.permits(address)
    assert not INSIDE.permits(address)


def test_a_private_network_can_be_allowed() -> None:
    """That one, also in disguise, and no other."""

    allowed = ("10.1.2.3", "::ffff:10.1.2.3", "fd00:1::5", "8.8.8.8")
    assert all(map(INSIDE.permits, allowed))
    assert not any(map(INSIDE.permits, ("10.2.0.1", "fd00:2::5", "127.0.0.1")))


@pytest.mark.parametrize(
    "url",
    [
        *("http://shop.example/", "ftp://shop.example/", "//shop.example/", "shop.example", "https://", "https:///x"),
        *("https://user@shop.example/", "https://:secret@shop.example/", "https://shop.example/#x"),
        *("https://shop.example:0/", "https://shop.example:99999/", "https://shop.example:x/", "https://[::1"),
        *("https://10.0.0.1/", "https://[::ffff:10.0.0.1]:8443/x", "https://[::1]/"),
    ],
)
def test_a_url_that_is_wrong_by_itself(url: str) -> None:
    """It is refused when it is set; plain http everywhere but in development."""

    assert STRICT.wrong_with(url)


@pytest.mark.parametrize("url", ["https://shop.example", "https://shop.example:8443/a?b=@c", "https://8.8.8.8/x"])
def test_a_url_that_is_right(url: str) -> None:
    """Its host is looked up when something is sent."""

    assert STRICT.wrong_with(url) == ""
    assert INSIDE.wrong_with(url.replace("https", "http")) == ""
