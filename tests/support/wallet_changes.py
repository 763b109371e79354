"""Changes of wallets, and what is open in one while it is changed."""

from wallet.v1 import schedule_service_pb2 as order_pb
from wallet.v1 import wallet_service_pb2 as pb

from tests.support.api import Api
from tests.support.requests import LATE, money, new_id

ACTIVE, FROZEN, CLOSED = pb.Wallet.STATE_ACTIVE, pb.Wallet.STATE_FROZEN, pb.Wallet.STATE_CLOSED

Change = pb.UpdateWalletRequest | pb.FreezeWalletRequest | pb.UnfreezeWalletRequest | pb.CloseWalletRequest
Changed = pb.UpdateWalletResponse | pb.FreezeWalletResponse | pb.UnfreezeWalletResponse | pb.CloseWalletResponse


def payout(wallet: str, units: int = 1) -> order_pb.ScheduleWithdrawalRequest:
    """Return a withdrawal that is not due for long."""
    return order_pb.ScheduleWithdrawalRequest(
        wallet=f"wallets/{wallet}", amount=money(units), execute_time=LATE, request_id=new_id()
    )


def change(api: Api, request: Change) -> Changed:
    """Make a change of a wallet."""
    changed_: Changed = api.ok(request)
    return changed_


def ids_matching(api: Api, filter_: str) -> list[str]:
    """Return the ids of the wallets that a filter lets through."""
    found = api.ok(pb.ListWalletsRequest(filter=filter_)).wallets
    return [wallet.name.removeprefix("wallets/") for wallet in found]
