"""The synchronous client: one method per call, request ids made up where none is given, errors typed."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc
from wallet.v1 import money_pb2
from wallet.v1 import schedule_service_pb2 as schedule_pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb
from wallet.v1.schedule_service_pb2_grpc import ScheduleServiceStub
from wallet.v1.transaction_service_pb2_grpc import TransactionServiceStub
from wallet.v1.wallet_service_pb2_grpc import WalletServiceStub

from wallet_grpc.client.errors import call_failed

Response = TypeVar("Response", bound=Message)

_PAGE = 200


@dataclass(frozen=True, slots=True)
class Amount:
    """So many minor units of a currency: 10.05 USD is ``Amount("USD", 1005)``."""

    currency_code: str
    minor_units: int

    def message(self) -> money_pb2.Money:
        """Return it as the protos have it."""
        return money_pb2.Money(currency_code=self.currency_code, minor_units=self.minor_units)


class WalletClient:
    """Calls one wallet service over one channel.

    Every method raises ``CallFailed``. A method that changes something takes a ``request_id``; without one it makes one
    up, keeps it across the channel's own retries, and tells it in ``CallFailed.request_id``: ask again with that.
    """

    def __init__(self, target: str, *, timeout_s: float = 10.0) -> None:
        self._timeout_s = timeout_s
        self._channel = grpc.insecure_channel(
            target,
            options=[
                ("grpc.service_config", _service_config()),
                # A connection of its own: clients that are to spread over servers do not share one.
                ("grpc.use_local_subchannel_pool", 1),
            ],
        )
        self._wallets = WalletServiceStub(self._channel)
        self._transactions = TransactionServiceStub(self._channel)
        self._schedules = ScheduleServiceStub(self._channel)
        self._health = health_pb2_grpc.HealthStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def is_serving(self, timeout_s: float = 1.0) -> bool:
        """Ask whether the service is there and reaches its database."""
        try:
            answer = self._health.Check(  # type: ignore[attr-defined]  # its stubs leave it out
                health_pb2.HealthCheckRequest(), timeout=timeout_s
            )
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    # Wallets.

    def create_wallet(
        self,
        wallet_id: str,
        currency_code: str,
        *,
        owner: str = "",
        display_name: str = "",
        request_id: str | None = None,
    ) -> wallet_pb.CreateWalletResponse:
        """Create an empty wallet; an empty id lets the service choose one."""
        wallet = wallet_pb.Wallet(currency_code=currency_code, owner=owner, display_name=display_name)
        return self._change(
            self._wallets.CreateWallet,
            wallet_pb.CreateWalletRequest(wallet_id=wallet_id, wallet=wallet, request_id=request_id or str(uuid4())),
        )

    def get_wallet(self, name: str) -> wallet_pb.Wallet:
        """Return one wallet."""
        return self._call(self._wallets.GetWallet, wallet_pb.GetWalletRequest(name=name)).wallet

    def batch_get_wallets(self, names: list[str]) -> list[wallet_pb.Wallet]:
        """Return several wallets of one instant."""
        return list(self._call(self._wallets.BatchGetWallets, wallet_pb.BatchGetWalletsRequest(names=names)).wallets)

    def list_wallets(self, *, currency_code: str = "", page_size: int = _PAGE) -> Iterator[wallet_pb.Wallet]:
        """Go through all wallets, newest first, page by page."""
        request = wallet_pb.ListWalletsRequest(currency_code=currency_code, page_size=page_size)
        for page in self._pages(self._wallets.ListWallets, request):
            yield from page.wallets

    # Money.

    def deposit(
        self,
        wallet: str,
        amount: Amount,
        *,
        description: str = "",
        external_reference: str = "",
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> transaction_pb.DepositResponse:
        """Put money from outside into a wallet."""
        return self._change(
            self._transactions.Deposit,
            transaction_pb.DepositRequest(
                wallet=wallet,
                amount=amount.message(),
                description=description,
                external_reference=external_reference,
                validate_only=validate_only,
                request_id=request_id or str(uuid4()),
            ),
        )

    def transfer(
        self,
        source: str,
        destination: str,
        amount: Amount,
        *,
        description: str = "",
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> transaction_pb.TransferResponse:
        """Move money from one wallet to another."""
        return self._change(
            self._transactions.Transfer,
            transaction_pb.TransferRequest(
                source=source,
                destination=destination,
                amount=amount.message(),
                description=description,
                validate_only=validate_only,
                request_id=request_id or str(uuid4()),
            ),
        )

    def get_transaction(self, name: str) -> transaction_pb.Transaction:
        """Return one transaction."""
        request = transaction_pb.GetTransactionRequest(name=name)
        return self._call(self._transactions.GetTransaction, request).transaction

    def list_transactions(
        self,
        wallet: str,
        *,
        type_: "transaction_pb.Transaction.Type.ValueType" = transaction_pb.Transaction.TYPE_UNSPECIFIED,
        page_size: int = _PAGE,
    ) -> Iterator[transaction_pb.Transaction]:
        """Go through a wallet's transactions, newest first, page by page."""
        request = transaction_pb.ListTransactionsRequest(wallet=wallet, type=type_, page_size=page_size)
        for page in self._pages(self._transactions.ListTransactions, request):
            yield from page.transactions

    # Payouts.

    def schedule_withdrawal(
        self,
        wallet: str,
        amount: Amount,
        *,
        execute_time: datetime | None = None,
        bank_account: str = "",
        description: str = "",
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> schedule_pb.ScheduleWithdrawalResponse:
        """Schedule a payout; without a time it is due now. The time must carry a zone."""
        return self._change(
            self._schedules.ScheduleWithdrawal,
            schedule_pb.ScheduleWithdrawalRequest(
                wallet=wallet,
                amount=amount.message(),
                execute_time=_timestamp(execute_time) if execute_time is not None else None,
                bank_account=bank_account,
                description=description,
                validate_only=validate_only,
                request_id=request_id or str(uuid4()),
            ),
        )

    def get_withdrawal(self, name: str) -> schedule_pb.Withdrawal:
        """Return one withdrawal."""
        return self._call(self._schedules.GetWithdrawal, schedule_pb.GetWithdrawalRequest(name=name)).withdrawal

    def list_withdrawals(
        self,
        wallet: str = "",
        *,
        state: "schedule_pb.Withdrawal.State.ValueType" = schedule_pb.Withdrawal.STATE_UNSPECIFIED,
        page_size: int = _PAGE,
    ) -> Iterator[schedule_pb.Withdrawal]:
        """Go through withdrawals, of one wallet or of all, newest first, page by page."""
        request = schedule_pb.ListWithdrawalsRequest(wallet=wallet, state=state, page_size=page_size)
        for page in self._pages(self._schedules.ListWithdrawals, request):
            yield from page.withdrawals

    def cancel_withdrawal(self, name: str, *, request_id: str | None = None) -> schedule_pb.CancelWithdrawalResponse:
        """Cancel a payout that is still scheduled."""
        return self._change(
            self._schedules.CancelWithdrawal,
            schedule_pb.CancelWithdrawalRequest(name=name, request_id=request_id or str(uuid4())),
        )

    # How calls are made.

    def _change(self, call: Callable[..., Response], request: Any) -> Response:  # noqa: ANN401  # any request with an id
        try:
            return call(request, timeout=self._timeout_s, wait_for_ready=True)
        except grpc.RpcError as error:
            raise call_failed(error, request.request_id) from None

    def _call(self, call: Callable[..., Response], request: Message) -> Response:
        try:
            return call(request, timeout=self._timeout_s, wait_for_ready=True)
        except grpc.RpcError as error:
            raise call_failed(error, None) from None

    def _pages(self, call: Callable[..., Response], request: Any) -> Iterator[Response]:  # noqa: ANN401  # any list request
        while True:
            page = self._call(call, request)
            yield page
            request.page_token = page.next_page_token  # type: ignore[attr-defined]  # every list response has one
            if not request.page_token:
                return


def as_dict(message: Message) -> dict[str, Any]:
    """Return a message as a program reads it: the protos' field names, defaults included, amounts as text."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def _timestamp(time: datetime) -> Timestamp:
    if time.tzinfo is None:
        raise ValueError("execute_time needs a time zone")
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp


def _service_config() -> str:
    """Return the retry policy that ships beside the protos."""
    text = resources.files("wallet.v1").joinpath("wallet_grpc_service_config.json").read_text()
    return json.dumps(json.loads(text))
