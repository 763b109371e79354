"""Calls by their messages over a bare channel, for tests that hold the service to its protos: no client of ours."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

import psycopg
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import commission_pb2
from wallet.v1 import commission_service_pb2 as rule_pb
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import wallet_service_pb2 as wallet_pb
from wallet.v1.money_pb2 import Money

from tests.support.callers import everything
from tests.support.wire import Answer, Wire, all_methods, path_of

Response = TypeVar("Response", bound=Message)

SOURCE = commission_pb2.COMMISSION_PAYER_SOURCE
DESTINATION = commission_pb2.COMMISSION_PAYER_DESTINATION

LATE = Timestamp(seconds=4_102_444_800)
"""The year 2100."""


class Direct:
    """Callers' calls, each sent once; with shorthands for what many tests begin with."""

    def __init__(self, target: str) -> None:
        self._wire = Wire(target)
        self._paths = {method.input_type.full_name: path_of(method) for method in all_methods()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wire.__exit__(kind, error, trace)

    def answer(self, request: Message) -> Answer:
        """Send a request to its method; return what came back, yes or no."""
        return self._wire.call(self._paths[request.DESCRIPTOR.full_name], request)

    def insist(self, request: Message) -> Answer:
        """Send a request again for as long as other work on the same wallets gets in its way; return the decision."""
        answers = (self.answer(request) for _ in range(20))
        return next(answer for answer in answers if answer.reason != "TRANSACTION_CONFLICT")

    def ask(self, request: Message, kind: type[Response]) -> Response:
        """Send a request that must be served."""
        answer = self.answer(request)
        assert answer.code == "OK", (answer, request)
        return kind.FromString(answer.body)

    def refused(self, request: Message) -> Answer:
        """Send a request that must be refused by the service; return how."""
        answer = self.answer(request)
        assert answer.code != "OK", request
        assert len(answer.infos) == 1, answer
        return answer

    # Wallets.

    def open(self, wallet: str, units: int = 0, currency: str = "USD", **fields: Any) -> wallet_pb.Wallet:  # noqa: ANN401  # a wallet's fields
        """Open a wallet with these *fields* and deposit so much."""
        asked = wallet_pb.Wallet(currency_code=currency, **fields)
        made = self.ask(
            wallet_pb.CreateWalletRequest(wallet_id=wallet, wallet=asked, request_id=new_id()),
            wallet_pb.CreateWalletResponse,
        )
        if units:
            self.deposit(wallet, units, currency)
        return made.wallet

    def wallet(self, wallet: str) -> wallet_pb.Wallet:
        """Return a wallet as it is now."""
        return self.ask(wallet_pb.GetWalletRequest(name=f"wallets/{wallet}"), wallet_pb.GetWalletResponse).wallet

    def balances(self, *wallets: str) -> list[int]:
        """Return what some wallets have at one instant."""
        asked = wallet_pb.BatchGetWalletsRequest(names=[f"wallets/{wallet}" for wallet in wallets])
        return [found.balance.minor_units for found in self.ask(asked, wallet_pb.BatchGetWalletsResponse).wallets]

    def update(self, wallet: str, *paths: str, **fields: Any) -> wallet_pb.Wallet:  # noqa: ANN401  # a wallet's fields
        """Change these *fields* of a wallet, or clear those that are only named."""
        return self.ask(an_update(wallet, *paths, **fields), wallet_pb.UpdateWalletResponse).wallet

    def deposit(self, wallet: str, units: int, currency: str = "USD") -> pb.Transaction:
        """Put money into a wallet."""
        return self.ask(a_deposit(wallet, units, currency), pb.DepositResponse).transaction

    # Commission.

    def transfer(self, source: str, destination: str, units: int, **fields: Any) -> pb.Transaction:  # noqa: ANN401  # a transfer's fields
        """Move money between two wallets."""
        return self.ask(a_transfer(source, destination, units, **fields), pb.TransferResponse).transaction

    def charge(self, **fields: Any) -> rule_pb.CommissionRule:  # noqa: ANN401  # a rule's fields
        """Create a rule."""
        return self.ask(a_rule(**fields), rule_pb.CreateCommissionRuleResponse).rule

    def end(self, rule: str, end_time: Timestamp | None = None) -> rule_pb.CommissionRule:
        """End a rule, now unless a time is given."""
        return self.ask(an_end(rule, end_time), rule_pb.EndCommissionRuleResponse).rule

    def rule(self, rule: str) -> rule_pb.CommissionRule:
        """Return a rule as it is now."""
        return self.ask(rule_pb.GetCommissionRuleRequest(name=rule), rule_pb.GetCommissionRuleResponse).rule

    def quote(self, source: str, destination: str, units: int) -> rule_pb.QuoteCommissionResponse:
        """Ask what a transfer would cost."""
        return self.ask(a_quote(source, destination, units), rule_pb.QuoteCommissionResponse)

    def cost(self, source: str, destination: str, units: int) -> tuple[str, int]:
        """Return by which rule a transfer would be charged how much; neither where none applies."""
        commission = self.quote(source, destination, units).commission
        return commission.rule, commission.amount.minor_units


def new_id() -> str:
    """Return a new request id."""
    return str(uuid4())


def money(units: int, currency: str = "USD") -> Money:
    """Return an amount."""
    return Money(currency_code=currency, minor_units=units)


def a_deposit(wallet: str, units: int, currency: str = "USD") -> pb.DepositRequest:
    """Return a deposit."""
    return pb.DepositRequest(wallet=f"wallets/{wallet}", amount=money(units, currency), request_id=new_id())


def a_transfer(
    source: str,
    destination: str,
    units: int,
    currency: str = "USD",
    **fields: Any,  # noqa: ANN401  # a transfer's fields
) -> pb.TransferRequest:
    """Return a transfer."""
    return pb.TransferRequest(
        source=f"wallets/{source}",
        destination=f"wallets/{destination}",
        amount=money(units, currency),
        **({"request_id": new_id()} | fields),
    )


def a_quote(source: str, destination: str, units: int, currency: str = "USD") -> rule_pb.QuoteCommissionRequest:
    """Return the question what a transfer would cost."""
    return rule_pb.QuoteCommissionRequest(
        source=f"wallets/{source}", destination=f"wallets/{destination}", amount=money(units, currency)
    )


def a_rule(**fields: Any) -> rule_pb.CreateCommissionRuleRequest:  # noqa: ANN401  # a rule's fields
    """Return a rule to be created: for USD and paid by the source unless said otherwise."""
    values: dict[str, Any] = {"currency_code": "USD", "payer": SOURCE, **fields}
    return rule_pb.CreateCommissionRuleRequest(rule=rule_pb.CommissionRule(**values), request_id=new_id())


def an_end(rule: str, end_time: Timestamp | None = None) -> rule_pb.EndCommissionRuleRequest:
    """Return a rule's end."""
    return rule_pb.EndCommissionRuleRequest(name=rule, end_time=end_time, request_id=new_id())


def an_update(wallet: str, *paths: str, **fields: Any) -> wallet_pb.UpdateWalletRequest:  # noqa: ANN401  # a wallet's fields
    """Return a change of these *fields*, and of those that are only named; ``etag`` is sent along."""
    asked = wallet_pb.UpdateWalletRequest(
        wallet=wallet_pb.Wallet(name=f"wallets/{wallet}", **fields), request_id=new_id()
    )
    asked.update_mask.paths.extend([*paths, *(name for name in fields if name != "etag")])
    return asked


def later(time: Timestamp, microseconds: int) -> Timestamp:
    """Return a time so much later."""
    moved = Timestamp()
    moved.FromMicroseconds(time.ToMicroseconds() + microseconds)
    return moved


def changed(request: Response, **fields: Any) -> Response:  # noqa: ANN401  # a request's fields
    """Return a request with other *fields*, or without those that are None; the request id stays."""
    other = type(request)()
    other.CopyFrom(request)
    for name, value in fields.items():
        other.ClearField(name)
        if value is not None:
            other.MergeFrom(type(request)(**{name: value}))
    return other


def all_refused(direct: Direct, owner: psycopg.Connection, requests: Sequence[Message]) -> list[Answer]:
    """Send requests that must be refused, each by itself; return how.

    It is also seen that with ``validate_only`` they are refused just so and leave nothing at all, that the real ones
    leave nothing but their records, and that a repeat hears the same.
    """
    before = everything(owner)
    tried = [direct.refused(changed(request, validate_only=True)) for request in requests]
    assert everything(owner) == before
    told = [direct.refused(request) for request in requests]
    after = everything(owner)
    assert {table for table in before if after[table] != before[table]} <= {"requests"}
    again = [direct.refused(request) for request in requests]
    assert everything(owner) == after
    for request, *answers in zip(requests, tried, told, again, strict=True):
        assert answers == answers[:1] * 3, request
    return told
