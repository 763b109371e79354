"""How many decimals amounts have: the service's answer, requested once, when the first amount is parsed or shown."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from wallet_client import CallError, NotConnected, WalletClient

_service: list[WalletClient] = []
_exponents: dict[str, int] = {}


@contextmanager
def exponents_of(client: WalletClient) -> Iterator[None]:
    """Use the currencies of a client's service."""
    _service[:] = [client]
    _exponents.clear()
    try:
        yield
    finally:
        _service.clear()


def exponent(code: str) -> int | None:
    """Return a currency's decimals, None if the service does not know it. Raises what a call raises."""
    if not _exponents and _service:
        _exponents.update((one.code, one.exponent) for one in _service[0].list_currencies())
    return _exponents.get(code)


def exponent_to_show(code: str) -> int | None:
    """Return a currency's decimals, None if they are not available: a result is shown all the same."""
    with suppress(CallError, NotConnected):
        return exponent(code)
    _service.clear()  # do not try again
    return None
