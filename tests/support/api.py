"""Calls as messages on a bare channel, without our client: a request's type determines the method."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import grpc
import psycopg
from google.protobuf import message_factory
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import commission_service_pb2 as rule_pb
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import schedule_service_pb2 as order_pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support.callers import everything
from tests.support.requests import (
    Fields,
    a_close,
    a_deposit,
    a_freeze,
    a_quote,
    a_reversal,
    a_rule,
    a_transfer,
    an_end,
    an_item,
    an_unfreeze,
    an_update,
    atomic,
    changed,
    new_id,
)
from tests.support.wire import Answer, Wire, all_methods, answer_of, path_of
from wallet_core.bootstrap import open_app
from wallet_core.settings import Settings
from wallet_grpc.server.serving import serving

_METHODS = {method.input_type.full_name: method for method in all_methods()}
_STREAMS = {path_of(method) for method in all_methods() if method.server_streaming}
# Streams that go on until their caller leaves.
ENDLESS = frozenset({"EventService/WatchEvents"})


class Refused(Exception):
    """A call was not answered with OK, but so."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer

    @property
    def reason(self) -> str:
        """The reason."""
        return self.answer.reason


class Api(Wire):
    """One bare channel; knows what answers look like, and what many tests begin and end with."""

    def __init__(self, target: str, *, metadata: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(target, metadata=metadata)
        self.target = target

    def call(self, method: str, request: bytes | Message, *, timeout_s: float | None = 20.0) -> Answer:
        """Call a method; of a stream the answer has the last message that came, of an endless one the first."""
        if method not in _STREAMS:
            return super().call(method, request, timeout_s=timeout_s)
        sent = request if isinstance(request, bytes) else request.SerializeToString()
        call = self._channel.unary_stream(f"/wallet.v1.{method}", request_serializer=bytes, response_deserializer=bytes)
        parts = call(sent, timeout=timeout_s, wait_for_ready=True, metadata=self._metadata)
        try:
            if method in ENDLESS:
                last = next(parts)
                parts.cancel()
            else:
                *_, last = parts
        except grpc.RpcError as error:
            return answer_of(error)
        return Answer(code="OK", body=last)

    def answer(self, request: Message) -> Answer:
        """Call the method that takes this request; return the answer, OK or not."""
        return self.call(path_of(_METHODS[request.DESCRIPTOR.full_name]), request)

    def insist(self, request: Message) -> Answer:
        """Repeat while other work on the same wallets conflicts; return the decision."""
        answers = (self.answer(request) for _ in range(20))
        return next(answer for answer in answers if answer.reason != "TRANSACTION_CONFLICT")

    def ok(self, request: Message) -> Any:  # noqa: ANN401  # the method's own response
        """Call the method that takes this request; what is not OK raises ``Refused``."""
        answer = self.answer(request)
        if answer.code != "OK":
            raise Refused(answer)
        response = message_factory.GetMessageClass(_METHODS[request.DESCRIPTOR.full_name].output_type)
        return response.FromString(answer.body)

    def refused(self, request: Message) -> Answer:
        """Call the method that takes this request; the service must refuse it."""
        answer = self.answer(request)
        assert answer.code != "OK", request
        assert len(answer.infos) == 1, answer
        return answer

    def stream(self, request: Message, *, timeout_s: float | None = 10.0) -> Any:  # noqa: ANN401  # iterator and call in one
        """Begin to read the stream of this request; the call itself can be cancelled."""
        method = _METHODS[request.DESCRIPTOR.full_name]
        call = self._channel.unary_stream(
            f"/wallet.v1.{path_of(method)}",
            request_serializer=_bytes_of,
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
        )
        return call(request, timeout=timeout_s, wait_for_ready=True, metadata=self._metadata)

    def stream_error(self, stream: Any) -> Answer:  # noqa: ANN401  # what ``stream`` returned
        """Read the rest of a stream that does not end well; return how it ends."""
        try:
            for _ in stream:
                pass
        except grpc.RpcError as error:
            return answer_of(error)
        raise AssertionError("the stream ended well")

    def hang_up(self) -> None:
        """Close the channel."""
        self._channel.close()

    # Wallets, by their ids.

    def open(self, wallet: str, units: int = 0, currency: str = "USD", **fields: Fields) -> wallet_pb.Wallet:
        """Open a wallet with these *fields* and deposit *units*."""
        wallet_fields = wallet_pb.Wallet(currency_code=currency, **fields)
        made: wallet_pb.Wallet = self.ok(
            wallet_pb.CreateWalletRequest(wallet_id=wallet, wallet=wallet_fields, request_id=new_id())
        ).wallet
        if units:
            self.deposit(wallet, units, currency)
        return made

    def open_all(self, *wallets: str, currency: str = "USD", **fields: Fields) -> None:
        """Open empty wallets alike."""
        for wallet in wallets:
            self.open(wallet, currency=currency, **fields)

    def update(self, wallet: str, *paths: str, **fields: Fields) -> wallet_pb.Wallet:
        """Change these *fields* of a wallet, or clear those that are only named."""
        changed_: wallet_pb.Wallet = self.ok(an_update(wallet, *paths, **fields)).wallet
        return changed_

    def freeze(self, wallet: str) -> None:
        """Freeze a wallet."""
        self.ok(a_freeze(wallet))

    def unfreeze(self, wallet: str) -> None:
        """Unfreeze a wallet."""
        self.ok(an_unfreeze(wallet))

    def close(self, wallet: str) -> None:
        """Close a wallet."""
        self.ok(a_close(wallet))

    def wallet(self, wallet: str) -> wallet_pb.Wallet:
        """Return a wallet as it is now."""
        found: wallet_pb.Wallet = self.ok(wallet_pb.GetWalletRequest(name=f"wallets/{wallet}")).wallet
        return found

    def funds(self, wallet: str) -> tuple[int, int, int]:
        """Return a wallet's balance, what is held of it, and what is available."""
        found = self.wallet(wallet)
        return found.balance.minor_units, found.held.minor_units, found.available.minor_units

    def balances(self, *wallets: str) -> list[int]:
        """Return what some wallets have at one instant."""
        request = wallet_pb.BatchGetWalletsRequest(names=[f"wallets/{wallet}" for wallet in wallets])
        return [found.balance.minor_units for found in self.ok(request).wallets]

    # Money.

    def deposit(self, wallet: str, units: int, currency: str = "USD", **fields: Fields) -> transaction_pb.Transaction:
        """Put money into a wallet."""
        made: transaction_pb.Transaction = self.ok(a_deposit(wallet, units, currency, **fields)).transaction
        return made

    def transfer(self, source: str, destination: str, units: int, **fields: Fields) -> transaction_pb.Transaction:
        """Move money between two wallets."""
        made: transaction_pb.Transaction = self.ok(a_transfer(source, destination, units, **fields)).transaction
        return made

    def reverse(self, transaction: transaction_pb.Transaction, units: int | None = None) -> transaction_pb.Transaction:
        """Reverse all of a transaction, or *units*; return the reversal."""
        made: transaction_pb.Transaction = self.ok(a_reversal(transaction.name, units)).transaction
        return made

    # What there is, by its name.

    def transaction(self, name: str) -> transaction_pb.Transaction:
        """Return a transaction as it is now."""
        found: transaction_pb.Transaction = self.ok(transaction_pb.GetTransactionRequest(name=name)).transaction
        return found

    def hold(self, name: str) -> hold_pb.Hold:
        """Return a hold as it is now."""
        found: hold_pb.Hold = self.ok(hold_pb.GetHoldRequest(name=name)).hold
        return found

    def withdrawal(self, name: str) -> order_pb.Withdrawal:
        """Return a withdrawal as it is now."""
        found: order_pb.Withdrawal = self.ok(order_pb.GetWithdrawalRequest(name=name)).withdrawal
        return found

    def scheduled_deposit(self, name: str) -> order_pb.ScheduledDeposit:
        """Return a scheduled deposit as it is now."""
        found: order_pb.ScheduledDeposit = self.ok(order_pb.GetScheduledDepositRequest(name=name)).scheduled_deposit
        return found

    # Commission.

    def charge(self, **fields: Fields) -> rule_pb.CommissionRule:
        """Create a rule."""
        made: rule_pb.CommissionRule = self.ok(a_rule(**fields)).rule
        return made

    def end(self, rule: str, end_time: Timestamp | None = None) -> rule_pb.CommissionRule:
        """End a rule, now unless a time is given."""
        ended: rule_pb.CommissionRule = self.ok(an_end(rule, end_time)).rule
        return ended

    def rule(self, name: str) -> rule_pb.CommissionRule:
        """Return a rule as it is now."""
        found: rule_pb.CommissionRule = self.ok(rule_pb.GetCommissionRuleRequest(name=name)).rule
        return found

    def quote(self, source: str, destination: str, units: int) -> rule_pb.QuoteCommissionResponse:
        """Quote what a transfer would cost."""
        quoted: rule_pb.QuoteCommissionResponse = self.ok(a_quote(source, destination, units))
        return quoted

    def cost(self, source: str, destination: str, units: int) -> tuple[str, int]:
        """Return by which rule a transfer would be charged how much; neither where none applies."""
        commission = self.quote(source, destination, units).commission
        return commission.rule, commission.amount.minor_units


def _bytes_of(message: Message) -> bytes:
    return message.SerializeToString()


# What is done in many tests.


def refused(api: Api, owner: psycopg.Connection, request: Message) -> Answer:
    """Send one request that must be refused, as ``all_refused`` does; return how."""
    return all_refused(api, owner, [request])[0]


def all_refused(api: Api, owner: psycopg.Connection, requests: Sequence[Message]) -> list[Answer]:
    """Send requests that must be refused, each by itself; return how.

    It is also seen that with ``validate_only`` they are refused just so and leave nothing at all, that the real ones
    leave nothing but their records, and that a repeat gets the same.
    """
    before = everything(owner)
    tried = [api.refused(changed(request, validate_only=True)) for request in requests]
    assert everything(owner) == before
    refusals = [api.refused(request) for request in requests]
    after = everything(owner)
    assert {table for table in before if after[table] != before[table]} <= {"requests"}
    again = [api.refused(request) for request in requests]
    assert everything(owner) == after
    for request, *answers in zip(requests, tried, refusals, again, strict=True):
        assert answers == answers[:1] * 3, request
    return refusals


def written(time: datetime) -> str:
    """Return a time as a filter has it, to the microsecond."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def many_transfers(source: str, destination: str, count: int) -> transaction_pb.BatchTransferRequest:
    """Return an atomic batch of transfers of one cent."""
    return atomic([an_item(source, destination, 1)] * count)


def all_pages(api: Api, request: Any) -> list[Any]:  # noqa: ANN401  # any list request
    """Return all pages of a list, in order."""
    requested = changed(request)
    pages = []
    while True:
        pages.append(api.ok(requested))
        requested.page_token = pages[-1].next_page_token
        if not requested.page_token:
            return pages


def at_once(calls: Sequence[Callable[[], Any]], threads: int = 16) -> list[Any]:
    """Make many calls, several at a time; return their results in order."""
    with ThreadPoolExecutor(threads) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


@contextmanager
def meanwhile(work: Callable[[], object], threads: int = 2) -> Iterator[None]:
    """Do *work* over and over in threads of its own, at least once each, until the end; what it raises is raised."""
    stop = threading.Event()

    def over_and_over() -> None:
        work()
        while not stop.is_set():
            work()

    with ThreadPoolExecutor(threads) as pool:
        workers = [pool.submit(over_and_over) for _ in range(threads)]
        try:
            yield
        finally:
            stop.set()
    for worker in workers:
        worker.result()


@contextmanager
def several_servers(settings: Settings, names: Sequence[str] = ("left", "right")) -> Iterator[list[Api]]:
    """Serve one database several times; yield a channel to each."""
    with ExitStack() as stack:
        apps = [stack.enter_context(open_app(settings, name=name)) for name in names]
        ports = [stack.enter_context(serving(app, settings)) for app in apps]
        yield [stack.enter_context(Api(f"127.0.0.1:{port}")) for port in ports]
