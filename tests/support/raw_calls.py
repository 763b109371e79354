"""Calls by their requests: the method is the one that takes it, the channel bare, the answer as it came."""

from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from google.protobuf import message_factory
from google.protobuf.message import Message
from wallet.v1 import schedule_service_pb2 as schedule_pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb
from wallet.v1.money_pb2 import Money

from tests.support.wire import Answer, Wire, all_methods, path_of

_METHODS = {method.input_type.full_name: method for method in all_methods()}


def usd(minor_units: int) -> Money:
    """Return an amount of US dollars."""
    return Money(currency_code="USD", minor_units=minor_units)


class RawCaller:
    """One caller on a channel of its own."""

    def __init__(self, target: str) -> None:
        self._wire = Wire(target)

    def __enter__(self) -> Self:
        self._wire.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wire.__exit__(kind, error, trace)

    def answer(self, request: Message) -> Answer:
        """Make the call that takes *request*; return whatever comes back."""
        return self._wire.call(path_of(_METHODS[request.DESCRIPTOR.full_name]), request)

    def ask(self, request: Message) -> Any:  # noqa: ANN401  # the response that belongs to the request
        """Make the call that takes *request*, which must be served; return its response."""
        answer = self.answer(request)
        assert answer.code == "OK", (answer.code, answer.reason, answer.message)
        response = _METHODS[request.DESCRIPTOR.full_name].output_type
        return message_factory.GetMessageClass(response).FromString(answer.body)

    # The few calls that every story here begins or ends with.

    def open(self, wallet: str, balance: int = 0, currency: str = "USD", overdraft_limit: int = 0) -> str:
        """Open a wallet and deposit *balance* minor units; return its name."""
        wanted = wallet_pb.Wallet(
            currency_code=currency, overdraft_limit=Money(currency_code=currency, minor_units=overdraft_limit)
        )
        self.ask(wallet_pb.CreateWalletRequest(wallet_id=wallet, wallet=wanted, request_id=str(uuid4())))
        name = f"wallets/{wallet}"
        if balance:
            amount = Money(currency_code=currency, minor_units=balance)
            self.ask(transaction_pb.DepositRequest(wallet=name, amount=amount, request_id=str(uuid4())))
        return name

    def wallet(self, name: str) -> wallet_pb.Wallet:
        """Return a wallet as it is now."""
        found = self.ask(wallet_pb.GetWalletRequest(name=name)).wallet
        assert isinstance(found, wallet_pb.Wallet)
        return found

    def funds(self, name: str) -> tuple[int, int, int]:
        """Return a wallet's balance, what is held of it, and what is available, in minor units."""
        found = self.wallet(name)
        return found.balance.minor_units, found.held.minor_units, found.available.minor_units

    def transfer(self, source: str, destination: str, minor_units: int) -> Answer:
        """Transfer US dollars, if that is allowed."""
        request = transaction_pb.TransferRequest(
            source=source, destination=destination, amount=usd(minor_units), request_id=str(uuid4())
        )
        return self.answer(request)

    def freeze(self, name: str) -> None:
        """Freeze a wallet."""
        self.ask(wallet_pb.FreezeWalletRequest(name=name, request_id=str(uuid4())))

    def close(self, name: str) -> Answer:
        """Close a wallet, if that is allowed."""
        return self.answer(wallet_pb.CloseWalletRequest(name=name, request_id=str(uuid4())))

    def deposit(self, name: str) -> schedule_pb.ScheduledDeposit:
        """Return a scheduled deposit as it is now."""
        found = self.ask(schedule_pb.GetScheduledDepositRequest(name=name)).scheduled_deposit
        assert isinstance(found, schedule_pb.ScheduledDeposit)
        return found

    def withdrawal(self, name: str) -> schedule_pb.Withdrawal:
        """Return a withdrawal as it is now."""
        found = self.ask(schedule_pb.GetWithdrawalRequest(name=name)).withdrawal
        assert isinstance(found, schedule_pb.Withdrawal)
        return found
