"""How many decimals amounts have: the service's word, asked for once, when the first amount is typed or shown."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from wallet_client import CallError, NotConnected, WalletClient
from wallet_core.domain.model.money import Currency

_asked: list[WalletClient] = []
_known: dict[str, Currency] = {}


@contextmanager
def told_by(client: WalletClient) -> Iterator[None]:
    """Go by what the service of *client* says."""
    _asked[:] = [client]
    _known.clear()
    try:
        yield
    finally:
        _asked.clear()


def currency(code: str) -> Currency | None:
    """Return a currency, None where the service knows none of that code. Raises what a call raises."""
    if not _known and _asked:
        _known.update((one.code, Currency(one.code, one.exponent)) for one in _asked[0].list_currencies())
    return _known.get(code)


def exponent_to_show(code: str) -> int | None:
    """Return a currency's decimals, None where they cannot be had: what was done is shown all the same."""
    with suppress(CallError, NotConnected):
        found = currency(code)
        return found.exponent if found is not None else None
    _asked.clear()  # once is enough
    return None
