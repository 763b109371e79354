"""One call over the wire."""

from wallet_client import Amount, WalletClient


def test_a_deposit_into_a_new_wallet_is_its_balance(client: WalletClient) -> None:
    """D1's shortest form."""

    client.create_wallet("alice", "USD")
    client.deposit("wallets/alice", Amount("USD", 250))

    assert client.get_wallet("wallets/alice").balance.minor_units == 250
