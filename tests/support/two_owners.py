"""A service with the wallets of two owners, and callers confined to one of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import Message
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import schedule_service_pb2 as order_pb
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support.api import Api
from tests.support.issuer import Issuer, bearer
from tests.support.requests import money, new_id, stamp
from tests.support.sample_ledger import LATER
from tests.support.wire import Answer
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.security.access import Scope
from wallet_grpc.server.process import authentication
from wallet_grpc.server.serving import serving

ALL = " ".join(Scope)
LONG_AGO, THEN = datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)


@dataclass
class TwoOwners:
    """A service with a wallet of Anna's and one of Bert's, a hold and payment orders in each."""

    target: str
    issuer: Issuer
    names: dict[str, str]

    def ask(self, request: Message, scope: str = ALL, **claims: Any) -> Answer:  # noqa: ANN401  # any claim
        """Call with a token of this scope and these claims."""
        with Api(self.target, metadata=bearer(self.issuer.token(scope, **claims))) as api:
            return api.answer(request)

    def as_anna(self, request: Message, scope: str = ALL) -> Answer:
        """Call as a caller that is confined to Anna's wallets."""
        return self.ask(request, scope, owner="anna")

    def get(self, request: Message, kind: Any, scope: str = ALL, **claims: Any) -> Any:  # noqa: ANN401  # any message
        """Call, and return the response, which must be OK."""
        answer = self.ask(request, scope, **claims)
        assert answer.code == "OK", answer
        return kind.FromString(answer.body)


@contextmanager
def two_owners(app: App, settings: Settings, issuer: Issuer) -> Iterator[TwoOwners]:
    """Serve *app*; yield the service with a funded wallet of each owner."""
    with serving(app, settings, authentication(settings)) as port:
        owners = TwoOwners(f"127.0.0.1:{port}", issuer, {})
        for owner in ("anna", "bert"):
            wallet = wallet_pb.Wallet(currency_code="USD", owner=owner, labels={"plan": "gold"})
            request = wallet_pb.CreateWalletRequest(wallet_id=f"{owner}s", wallet=wallet, request_id=new_id())
            assert owners.ask(request).code == "OK"
            _fund(owners, owner)
        yield owners


def _fund(owners: TwoOwners, owner: str) -> None:
    """Deposit into an owner's wallet, and open a hold and one of each payment order in it."""
    wallet = f"wallets/{owner}s"
    deposit = owners.get(pb.DepositRequest(wallet=wallet, amount=money(1000), request_id=new_id()), pb.DepositResponse)
    hold = owners.get(
        hold_pb.PlaceHoldRequest(wallet=wallet, amount=money(10), expire_time=stamp(LATER), request_id=new_id()),
        hold_pb.PlaceHoldResponse,
    )
    later: dict[str, Any] = {"wallet": wallet, "amount": money(10), "execute_time": stamp(LATER)}
    withdrawal = owners.get(
        order_pb.ScheduleWithdrawalRequest(**later, request_id=new_id()), order_pb.ScheduleWithdrawalResponse
    )
    scheduled = owners.get(
        order_pb.ScheduleDepositRequest(**later, request_id=new_id()), order_pb.ScheduleDepositResponse
    )
    owners.names |= {
        f"{owner} deposit": deposit.transaction.name,
        f"{owner} hold": hold.hold.name,
        f"{owner} withdrawal": withdrawal.withdrawal.name,
        f"{owner} scheduled": scheduled.scheduled_deposit.name,
    }
