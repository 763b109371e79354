"""Reversals for tests: what they reverse, and what they are compared by."""

from wallet.v1 import transaction_service_pb2 as pb

from tests.support.api import Api

POSTED, PARTIALLY_REVERSED, REVERSED = (
    pb.Transaction.STATE_POSTED,
    pb.Transaction.STATE_PARTIALLY_REVERSED,
    pb.Transaction.STATE_REVERSED,
)


def transfer_name(api: Api, source: str, destination: str, units: int) -> str:
    """Transfer; return the transaction's name."""
    return str(api.transfer(source, destination, units).name)


def reversal_summary(api: Api, name: str) -> tuple[int, int, list[str]]:
    """Return a transaction's state, how much of it went back, and by what."""
    found = api.transaction(name)
    return found.state, found.reversed_amount.minor_units, list(found.reversals)
