"""Requests about holds, reversals, batches and commission, and a bare channel to send them on."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

import psycopg
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import commission_pb2
from wallet.v1 import commission_service_pb2 as commission_pb
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import wallet_service_pb2 as wallet_pb
from wallet.v1.money_pb2 import Money

from tests.support.wire import Answer, Wire, all_methods, path_of
from wallet_core.bootstrap import open_app
from wallet_core.settings import Settings
from wallet_grpc.__main__ import server_limits
from wallet_grpc.server import serving
from walletctl.local.waiting import wait_until

Asked = TypeVar("Asked", bound=Message)

LATE = Timestamp(seconds=4_102_444_800)
"""The year 2100."""

SOURCE_PAYS = commission_pb2.COMMISSION_PAYER_SOURCE
DESTINATION_PAYS = commission_pb2.COMMISSION_PAYER_DESTINATION

_METHODS = {method.input_type.full_name: method for method in all_methods()}


class Refused(Exception):
    """A call was not answered with OK, but so."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.message)
        self.answer = answer


class MoneyCalls:
    """Sends requests over a bare channel of its own; what is not OK raises ``Refused``."""

    def __init__(self, target: str) -> None:
        self._wire = Wire(target)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wire.__exit__(kind, error, trace)

    def send(self, request: Message) -> Any:  # noqa: ANN401  # what the request's method answers
        """Call the method that takes such a request."""
        method = _METHODS[request.DESCRIPTOR.full_name]
        answer = self._wire.call(path_of(method), request, timeout_s=20.0)
        if answer.code != "OK":
            raise Refused(answer)
        return GetMessageClass(method.output_type).FromString(answer.body)

    def open(self, wallet: str, units: int = 0, *, overdraft: int = 0, currency: str = "USD") -> None:
        """Open a wallet, and deposit so much."""
        asked = wallet_pb.Wallet(currency_code=currency, overdraft_limit=money(overdraft, currency))
        self.send(wallet_pb.CreateWalletRequest(wallet_id=wallet, wallet=asked, request_id=new_id()))
        if units:
            self.send(deposit(wallet, units, currency=currency))

    def purse(self, wallet: str) -> tuple[int, int, int]:
        """Return a wallet's balance, what is held of it, and what is available."""
        found = self.send(wallet_pb.GetWalletRequest(name=f"wallets/{wallet}")).wallet
        return found.balance.minor_units, found.held.minor_units, found.available.minor_units

    def balances(self, *wallets: str) -> list[int]:
        """Return the balances of some wallets at one instant."""
        asked = wallet_pb.BatchGetWalletsRequest(names=[f"wallets/{wallet}" for wallet in wallets])
        return [wallet.balance.minor_units for wallet in self.send(asked).wallets]

    def hold(self, name: str) -> Any:  # noqa: ANN401  # a hold
        """Return a hold as it is now."""
        return self.send(hold_pb.GetHoldRequest(name=name)).hold

    def transaction(self, name: str) -> Any:  # noqa: ANN401  # a transaction
        """Return a transaction as it is now."""
        return self.send(pb.GetTransactionRequest(name=name)).transaction

    def freeze(self, wallet: str) -> None:
        """Freeze a wallet."""
        self.send(wallet_pb.FreezeWalletRequest(name=f"wallets/{wallet}", request_id=new_id()))

    def unfreeze(self, wallet: str) -> None:
        """Unfreeze a wallet."""
        self.send(wallet_pb.UnfreezeWalletRequest(name=f"wallets/{wallet}", request_id=new_id()))

    def close(self, wallet: str) -> None:
        """Close a wallet."""
        self.send(wallet_pb.CloseWalletRequest(name=f"wallets/{wallet}", request_id=new_id()))


def new_id() -> str:
    """Return a new request id."""
    return str(uuid4())


def money(units: int, currency: str = "USD") -> Money:
    """Return an amount."""
    return Money(currency_code=currency, minor_units=units)


def deposit(wallet: str, units: int, *, currency: str = "USD", **fields: Any) -> pb.DepositRequest:  # noqa: ANN401  # fields
    """Return a deposit."""
    asked = pb.DepositRequest(wallet=f"wallets/{wallet}", amount=money(units, currency), request_id=new_id())
    return _with(asked, fields)


def transfer(source: str, destination: str, units: int, *, currency: str = "USD", **fields: Any) -> pb.TransferRequest:  # noqa: ANN401  # fields
    """Return a transfer."""
    asked = pb.TransferRequest(
        source=f"wallets/{source}",
        destination=f"wallets/{destination}",
        amount=money(units, currency),
        request_id=new_id(),
    )
    return _with(asked, fields)


def place(
    wallet: str,
    units: int,
    *,
    until: Timestamp = LATE,
    currency: str = "USD",
    **fields: Any,  # noqa: ANN401  # fields
) -> hold_pb.PlaceHoldRequest:
    """Return a hold to be placed."""
    asked = hold_pb.PlaceHoldRequest(
        wallet=f"wallets/{wallet}", amount=money(units, currency), expire_time=until, request_id=new_id()
    )
    return _with(asked, fields)


def capture(
    hold: str,
    destination: str,
    units: int | None = None,
    *,
    currency: str = "USD",
    **fields: Any,  # noqa: ANN401  # fields
) -> hold_pb.CaptureHoldRequest:
    """Return a capture, of all that remains where no amount is given."""
    asked = hold_pb.CaptureHoldRequest(
        name=hold,
        destination=f"wallets/{destination}",
        amount=money(units, currency) if units is not None else None,
        request_id=new_id(),
    )
    return _with(asked, fields)


def void(hold: str, **fields: Any) -> hold_pb.VoidHoldRequest:  # noqa: ANN401  # fields
    """Return a hold to be given up."""
    return _with(hold_pb.VoidHoldRequest(name=hold, request_id=new_id()), fields)


def reverse(
    transaction: str,
    units: int | None = None,
    *,
    currency: str = "USD",
    **fields: Any,  # noqa: ANN401  # fields
) -> pb.ReverseTransactionRequest:
    """Return a reversal, of all that is left where no amount is given."""
    asked = pb.ReverseTransactionRequest(
        name=transaction, amount=money(units, currency) if units is not None else None, request_id=new_id()
    )
    return _with(asked, fields)


def item(source: str, destination: str, units: int, *, currency: str = "USD", **fields: Any) -> pb.TransferItem:  # noqa: ANN401  # fields
    """Return a transfer to be one of a batch, without a request id."""
    asked = pb.TransferItem(
        source=f"wallets/{source}", destination=f"wallets/{destination}", amount=money(units, currency)
    )
    return _with(asked, fields)


def atomic(items: Sequence[pb.TransferItem], **fields: Any) -> pb.BatchTransferRequest:  # noqa: ANN401  # fields
    """Return a batch of which all is to be done or none."""
    return _with(pb.BatchTransferRequest(mode=pb.BATCH_MODE_ATOMIC, items=items, request_id=new_id()), fields)


def each(items: Sequence[pb.TransferItem], **fields: Any) -> pb.BatchTransferRequest:  # noqa: ANN401  # fields
    """Return a batch of which each item stands for itself, under a new id where it has none."""
    named = [with_(one, request_id=one.request_id or new_id()) for one in items]
    return _with(pb.BatchTransferRequest(mode=pb.BATCH_MODE_ITEM, items=named), fields)


def rule(
    payer: commission_pb2.CommissionPayer.ValueType, rate_millionths: int = 0, fixed: int = 0
) -> commission_pb.CreateCommissionRuleRequest:
    """Return a commission rule to be created for all wallets in US dollars, from now on."""
    asked = commission_pb.CommissionRule(
        currency_code="USD", rate_millionths=rate_millionths, fixed_minor_units=fixed, payer=payer
    )
    return commission_pb.CreateCommissionRuleRequest(rule=asked, request_id=new_id())


def with_(request: Asked, **fields: Any) -> Asked:  # noqa: ANN401  # fields
    """Return a copy of a request with other values in some fields."""
    copy: Any = type(request)()
    copy.CopyFrom(request)
    for field in fields:
        copy.ClearField(field)
    made: Asked = _with(copy, fields)
    return made


def refusal_of(call: Callable[[], object]) -> Answer:
    """Make a call that must be refused; return how."""
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.answer


def refused(calls: MoneyCalls, owner: psycopg.Connection, request: Any) -> Answer:  # noqa: ANN401  # any that changes something
    """Send a request that must be refused; return how.

    It is also seen that the same with ``validate_only`` is refused just so and leaves not even a record, that the real
    one leaves nothing else, and that a repeat hears the same.
    """
    before, known = prints(owner), recorded(owner, request)
    tried = refusal_of(lambda: calls.send(with_(request, validate_only=True)))
    assert recorded(owner, request) == known, request
    told, again = (refusal_of(lambda: calls.send(request)) for _ in range(2))
    after = prints(owner)
    assert {table for table in before if after[table] != before[table]} <= {"requests"}, request
    assert tried == told == again, request
    return told


def recorded(owner: psycopg.Connection, request: Any) -> int:  # noqa: ANN401  # any that changes something
    """Return how many outcomes are kept of a request, and of each item of a batch."""
    ids = [request.request_id, *(one.request_id for one in getattr(request, "items", ()))]
    query = "SELECT count(*) FROM requests WHERE request_id = ANY(%s::text[]::uuid[])"
    row = owner.execute(query, [[id_ for id_ in ids if id_]]).fetchone()
    assert row is not None
    return int(row[0])


def prints(owner: psycopg.Connection) -> dict[str, str]:
    """Return what ``everything`` does, by one statement."""
    one = "SELECT '{0}', count(*) || md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {0} AS t"
    tables = owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    query = " UNION ALL ".join(one.format(table) for (table,) in tables)
    return dict(owner.execute(query.encode()).fetchall())


def said(results: Sequence[object]) -> list[str]:
    """Return the reasons of the calls that were refused; other errors by their class."""
    return [
        result.answer.reason if isinstance(result, Refused) else type(result).__name__
        for result in results
        if isinstance(result, Exception)
    ]


def soon(owner: psycopg.Connection, ms: int) -> Timestamp:
    """Return a time so many milliseconds from now, by the database's clock."""
    row = owner.execute("SELECT clock_timestamp() + %s * interval '1 ms'", [ms]).fetchone()
    assert row is not None
    time = Timestamp()
    time.FromDatetime(row[0])
    return time


def over_in_a_moment(calls: MoneyCalls, owner: psycopg.Connection, wallet: str, units: int) -> str:
    """Place a hold and wait until its time is over, by the database's clock; return its name."""
    placed = None
    for ms in (50, 250, 1000):  # a busy machine may need longer than the first moment to place it
        until = soon(owner, ms)
        try:
            placed = calls.send(place(wallet, units, until=until)).hold
        except Refused:
            continue
        break
    assert placed is not None
    assert wait_until(lambda: soon(owner, 0).ToNanoseconds() >= until.ToNanoseconds(), timeout_s=5)
    return str(placed.name)


@contextmanager
def no_deadlock(owner: psycopg.Connection) -> Iterator[None]:
    """Check that no deadlock is reported meanwhile; the service's connections must be closed before the end."""

    def reported() -> object:
        owner.execute("SELECT pg_stat_clear_snapshot()")
        return owner.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()

    def alone() -> bool:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return owner.execute(query).fetchone() == (0,)

    # Connections tell their deadlocks when they end, at the latest.
    assert wait_until(alone, timeout_s=5)
    before = reported()
    yield
    assert wait_until(alone, timeout_s=5)
    assert reported() == before


@contextmanager
def two_servers(settings: Settings) -> Iterator[tuple[MoneyCalls, MoneyCalls]]:
    """Run two servers on the settings' database; yield a channel to each."""
    with (
        open_app(settings, name="left") as left,
        open_app(settings, name="right") as right,
        serving(left, server_limits(settings)) as left_port,
        serving(right, server_limits(settings)) as right_port,
        MoneyCalls(f"127.0.0.1:{left_port}") as left_calls,
        MoneyCalls(f"127.0.0.1:{right_port}") as right_calls,
    ):
        yield left_calls, right_calls


def _with(asked: Asked, fields: dict[str, Any]) -> Asked:
    kind: Any = type(asked)
    asked.MergeFrom(kind(**fields))
    return asked
