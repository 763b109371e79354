"""One client of several servers: calls are shared, and a server that reports NOT_SERVING gets none."""

from contextlib import ExitStack

from tests.support.recording import Recording, recording
from wallet_client import WalletClient
from walletctl.local.waiting import wait_until

CALLS = 20


def come(client: WalletClient, server: Recording) -> int:
    """Make some calls; return how many of them came to a server."""
    before = len(server.came)
    for _ in range(CALLS):
        client.get_wallet("wallets/alice")
    return len(server.came) - before


def test_calls_are_shared_among_the_servers_that_serve() -> None:
    """One that stops serving, e.g. before it ends, gets none though it is still there, and its part when it is back."""

    with ExitStack() as stack:
        (first, one), (second, _) = (stack.enter_context(recording(answers=True)) for _ in range(2))
        client = stack.enter_context(WalletClient(f"ipv4:127.0.0.1:{first},127.0.0.1:{second}"))

        assert wait_until(lambda: come(client, one) == CALLS // 2, timeout_s=30)
        one.serves(is_serving=False)
        assert wait_until(lambda: come(client, one) == 0, timeout_s=30)
        one.serves(is_serving=True)
        assert wait_until(lambda: come(client, one) == CALLS // 2, timeout_s=30)
