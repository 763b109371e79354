"""By what name a server is called, and its certificate held to."""

import pytest

from wallet_client import Tls, WalletClient
from wallet_client.target import authority

TLS = Tls()
TWO = "ipv4:10.0.0.1:50051,10.0.0.2:50051"


@pytest.mark.parametrize(
    ("target", "tls", "name"),
    [
        ("wallet.internal:50051", TLS, None),
        ("dns:///wallet.internal:50051", TLS, None),
        ("ipv4:10.0.0.1:50051", TLS, None),
        ("ipv4:10.0.0.1:50051,10.0.0.1:50052", TLS, "10.0.0.1"),
        ("ipv6:[::1]:50051,[::1]:50052", TLS, "[::1]"),
        (TWO, Tls(server_name="wallet.internal"), "wallet.internal"),
        ("10.0.0.1:50051", Tls(server_name="wallet.internal"), "wallet.internal"),
        (TWO, None, None),
    ],
)
def test_a_server_is_called_by_the_name_that_its_certificate_is_for(target: str, tls: Tls | None, name: str) -> None:
    """One that is given, or the one host of a list; else what gRPC takes from the target."""

    assert authority(target, tls) == name


def test_several_hosts_over_tls_need_a_name() -> None:
    """Every call would fail: a client that raises when it is made is corrected at once."""

    with pytest.raises(ValueError, match=r"Tls\(server_name="):
        WalletClient(TWO, tls=TLS)


def test_a_list_of_addresses_needs_its_scheme() -> None:
    """Without it gRPC looks for a host with a comma in its name."""

    with pytest.raises(ValueError, match="ipv4:HOST:PORT,HOST:PORT"):
        WalletClient("10.0.0.1:50051,10.0.0.2:50051")
