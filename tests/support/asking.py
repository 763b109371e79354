"""Calls as messages on a bare channel: a request's type says which method is meant, and streams can be read."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
from google.protobuf import message_factory
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb
from wallet.v1.money_pb2 import Money

from tests.support.wire import Answer, Wire, _answer, all_methods, path_of

_METHODS = {method.input_type.full_name: method for method in all_methods()}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Asking(Wire):
    """One bare channel; knows what answers look like."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.target = target

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def call(self, method: str, request: bytes | Message, *, timeout_s: float = 10.0) -> Answer:
        """Call a method; of a stream the answer has the last message that came."""
        if not any(path_of(known) == method and known.server_streaming for known in all_methods()):
            return super().call(method, request, timeout_s=timeout_s)
        sent = request if isinstance(request, bytes) else request.SerializeToString()
        call = self._channel.unary_stream(f"/wallet.v1.{method}", request_serializer=bytes, response_deserializer=bytes)
        try:
            *_, last = call(sent, timeout=timeout_s, wait_for_ready=True)
        except grpc.RpcError as error:
            return _answer(error)
        return Answer(code="OK", body=last)

    def refused(self, request: Message) -> Answer:
        """Call the method that takes such a request; it must be refused."""
        answer = self.call(path_of(_METHODS[request.DESCRIPTOR.full_name]), request)
        assert answer.code != "OK", request
        return answer

    def ok(self, request: Message) -> Any:  # noqa: ANN401  # the method's own response
        """Call the method that takes such a request; it must succeed."""
        method = _METHODS[request.DESCRIPTOR.full_name]
        answer = self.call(path_of(method), request)
        assert (answer.code, answer.reason, answer.message) == ("OK", "", ""), request
        response = message_factory.GetMessageClass(method.output_type)()
        response.MergeFromString(answer.body)
        return response

    def stream(self, request: Message, *, timeout_s: float | None = 10.0) -> Any:  # noqa: ANN401  # iterator and call in one
        """Begin to read the stream that such a request asks for; the call itself can be cancelled."""
        method = _METHODS[request.DESCRIPTOR.full_name]
        call = self._channel.unary_stream(
            f"/wallet.v1.{path_of(method)}",
            request_serializer=_bytes_of,
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
        )
        return call(request, timeout=timeout_s, wait_for_ready=True)

    def told(self, stream: Any) -> Answer:  # noqa: ANN401  # what ``stream`` returned
        """Read the rest of a stream that does not end well; return how it ends."""
        try:
            for _ in stream:
                pass
        except grpc.RpcError as error:
            return _answer(error)
        raise AssertionError("the stream ended well")


def _bytes_of(message: Message) -> bytes:
    return message.SerializeToString()


# What is asked in many tests.


def money(units: int, currency: str = "USD") -> Money:
    """Return an amount."""
    return Money(currency_code=currency, minor_units=units)


def stamp(time: datetime) -> Timestamp:
    """Return a time as the protos have it."""
    since = (time - _EPOCH) // timedelta(microseconds=1)
    return Timestamp(seconds=since // 1_000_000, nanos=since % 1_000_000 * 1000)


def written(time: datetime) -> str:
    """Return a time as a filter has it, to the microsecond."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def open_wallets(asking: Asking, *names: str, currency: str = "USD", **fields: Any) -> None:  # noqa: ANN401  # a wallet's
    """Open empty wallets alike."""
    for name in names:
        wallet = wallet_pb.Wallet(currency_code=currency, **fields)
        asking.ok(wallet_pb.CreateWalletRequest(wallet_id=name, wallet=wallet, request_id=str(uuid4())))


def deposit(
    asking: Asking,
    wallet: str,
    units: int,
    *,
    currency: str = "USD",
    **fields: Any,  # noqa: ANN401  # a request's
) -> transaction_pb.Transaction:
    """Put money into a wallet; return the transaction."""
    request = transaction_pb.DepositRequest(
        wallet=f"wallets/{wallet}", amount=money(units, currency), request_id=str(uuid4()), **fields
    )
    made: transaction_pb.Transaction = asking.ok(request).transaction
    return made


def transfer(asking: Asking, source: str, destination: str, units: int, **fields: Any) -> transaction_pb.Transaction:  # noqa: ANN401  # a request's
    """Move money between two wallets; return the transaction."""
    request = transaction_pb.TransferRequest(
        source=f"wallets/{source}",
        destination=f"wallets/{destination}",
        amount=money(units),
        request_id=str(uuid4()),
        **fields,
    )
    made: transaction_pb.Transaction = asking.ok(request).transaction
    return made


def reverse(
    asking: Asking, transaction: transaction_pb.Transaction, units: int | None = None
) -> transaction_pb.Transaction:
    """Give back all of a transaction, or so much; return the reversal."""
    request = transaction_pb.ReverseTransactionRequest(
        name=transaction.name, amount=money(units) if units else None, request_id=str(uuid4())
    )
    made: transaction_pb.Transaction = asking.ok(request).transaction
    return made


def many_transfers(source: str, destination: str, count: int) -> transaction_pb.BatchTransferRequest:
    """Return an atomic batch of transfers of one cent."""
    return transaction_pb.BatchTransferRequest(
        mode=transaction_pb.BATCH_MODE_ATOMIC,
        request_id=str(uuid4()),
        items=[
            transaction_pb.TransferItem(
                source=f"wallets/{source}", destination=f"wallets/{destination}", amount=money(1)
            )
            for _ in range(count)
        ],
    )


def all_pages(asking: Asking, request: Any) -> list[Any]:  # noqa: ANN401  # any list request
    """Return all pages of a list, in order."""
    asked = type(request)()
    asked.CopyFrom(request)
    pages = []
    while True:
        pages.append(asking.ok(asked))
        asked.page_token = pages[-1].next_page_token
        if not asked.page_token:
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
