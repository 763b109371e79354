"""Filters: every documented field of every list with every operator, held against the same comparison in Python."""

import operator
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from typing import Any
from uuid import uuid4

import psycopg
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wallet.v1 import commission_service_pb2 as commission_pb
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import schedule_service_pb2 as schedule_pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from bank_stub.server import BankServer
from tests.support.api import Api, all_pages, written
from tests.support.long_history import BEGAN, STEP, write_history
from tests.support.sample_ledger import one_of_each
from tests.support.toolchain import often
from wallet_core.domain.queries import lists
from wallet_core.usecases.app import App

US = timedelta(microseconds=1)
LAST = datetime.max.replace(tzinfo=UTC)

EQUALITY: dict[str, Callable[[Any, Any], bool]] = {"=": operator.eq, "!=": operator.ne}
ORDER: dict[str, Callable[[Any, Any], bool]] = {
    **EQUALITY,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def aware(time: Timestamp) -> datetime:
    """Return a time as Python has it."""
    return time.ToDatetime(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Word:
    """A value that is written without quotes."""

    text: str


@dataclass(frozen=True, slots=True)
class Known:
    """A field: how a row's value is read, what it may be compared by, and values to try beside those that occur."""

    of: Callable[[Any], Any]
    ops: Mapping[str, Callable[[Any, Any], bool]]
    more: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """A list: its request, where its rows are, what its fields are, and those that the service declares."""

    request: Callable[..., Any]
    rows: str
    fields: dict[str, Known]
    declared: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison, as it is written and as Python makes it."""

    text: str
    fits: Callable[[Any], bool]


def word(enum: Any, prefix: str, field: str) -> Known:  # noqa: ANN401  # an enum of the protos
    """Return a field that is one of a few words."""

    def name(number: int) -> Word:
        return Word(enum.Name(number).removeprefix(prefix))

    return Known(lambda row: name(getattr(row, field)), EQUALITY, tuple(name(n) for n in enum.values() if n))


def text(field: str, *more: str) -> Known:
    """Return a field that is text."""
    return Known(operator.attrgetter(field), EQUALITY, ("", "nobody", *more))


def time(field: str) -> Known:
    """Return a field that is a time."""
    return Known(lambda row: aware(getattr(row, field)) if row.HasField(field) else None, ORDER, (LAST,))


def label(key: str) -> Known:
    """Return a label."""
    return Known(lambda row: row.labels.get(key), EQUALITY, ("", "gold", "none"))


AMOUNT = Known(lambda row: row.amount.minor_units, ORDER, (23, 2**63 - 1, -(2**63)))
CALLER = text("caller", "local")
ORDERS = {"amount": AMOUNT, "execute_time": time("execute_time"), "create_time": time("create_time"), "caller": CALLER}

TRANSACTIONS: dict[str, Known] = {
    "type": word(transaction_pb.Transaction.Type, "TYPE_", "type"),
    "state": word(transaction_pb.Transaction.State, "STATE_", "state"),
    "source": text("source", "alice", "wallets/alice"),
    "destination": text("destination", "wallets/alice"),
    "external_reference": text("external_reference"),
    "labels.kind": label("kind"),
    "labels.year": label("year"),
    "amount": AMOUNT,
    "execute_time": time("execute_time"),
    "caller": CALLER,
}

LISTS: dict[str, Listed] = {
    "wallets": Listed(
        wallet_pb.ListWalletsRequest,
        "wallets",
        {
            "state": word(wallet_pb.Wallet.State, "STATE_", "state"),
            "currency_code": text("currency_code", "usd"),
            "owner": text("owner"),
            "display_name": text("display_name", "alice"),
            "create_time": time("create_time"),
            "labels.tier": label("tier"),
            "labels.region": label("region"),
            "labels.nobody-has_it": label("nobody-has_it"),
        },
        lists.WALLET_FIELDS,
    ),
    "transactions": Listed(
        partial(transaction_pb.ListTransactionsRequest, wallet="wallets/alice"),
        "transactions",
        TRANSACTIONS,
        lists.TRANSACTION_FIELDS,
    ),
    "transactions of all wallets": Listed(
        transaction_pb.ListTransactionsRequest, "transactions", TRANSACTIONS, lists.TRANSACTION_FIELDS
    ),
    "withdrawals": Listed(
        schedule_pb.ListWithdrawalsRequest,
        "withdrawals",
        {"state": word(schedule_pb.Withdrawal.State, "STATE_", "state"), **ORDERS},
        lists.WITHDRAWAL_FIELDS,
    ),
    "scheduled_deposits": Listed(
        schedule_pb.ListScheduledDepositsRequest,
        "scheduled_deposits",
        {
            "state": word(schedule_pb.ScheduledDeposit.State, "STATE_", "state"),
            "external_reference": text("external_reference"),
            **ORDERS,
        },
        lists.SCHEDULED_DEPOSIT_FIELDS,
    ),
    "holds": Listed(
        hold_pb.ListHoldsRequest,
        "holds",
        {
            "state": word(hold_pb.Hold.State, "STATE_", "state"),
            "amount": AMOUNT,
            "expire_time": time("expire_time"),
            "create_time": time("create_time"),
            "caller": CALLER,
        },
        lists.HOLD_FIELDS,
    ),
    "rules": Listed(
        commission_pb.ListCommissionRulesRequest,
        "rules",
        {
            "currency_code": text("currency_code"),
            "wallet": text("wallet", "wallets/alice"),
            "start_time": time("start_time"),
            "end_time": time("end_time"),
            "create_time": time("create_time"),
        },
        lists.RULE_FIELDS,
    ),
}


def listed(api: Api, what: str, filter_: str = "", size: int = 1000) -> list[Any]:
    """Return all rows of a list that fit a filter."""
    found = LISTS[what]
    pages = all_pages(api, found.request(filter=filter_, page_size=size))
    return [row for page in pages for row in getattr(page, found.rows)]


def quoted(value: str) -> str:
    """Return a text as a filter has it."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def shown(value: object) -> str:
    """Return a value as a filter has it."""
    match value:
        case Word():
            return value.text
        case datetime():
            return quoted(written(value))
        case str():
            return quoted(value)
        case _:
            return str(value)


def rank(value: Any) -> tuple[Any, ...]:  # noqa: ANN401  # any value
    """Return what orders values: one that is not there equals none that is, and a time that never comes is the last."""
    return (1,) if value is None else (0, value)


def comparisons(what: str, rows: list[Any], chance: random.Random) -> list[Comparison]:
    """Return every field with every operator and values that occur, are a microsecond off, or do not occur at all."""
    made = []
    for name, known in LISTS[what].fields.items():
        values = list(dict.fromkeys(value for value in map(known.of, rows) if value is not None))
        values = chance.sample(values, min(len(values), 1 if known.ops is ORDER else 3))
        if name.endswith("_time"):
            values = [near for value in values[:1] for near in (value, value + US)]
        for value, (op, holds) in product(dict.fromkeys([*values, *known.more]), known.ops.items()):
            fits = partial(_fits, of=known.of, holds=holds, value=value)
            made.append(Comparison(f"{name} {op} {shown(value)}", fits))
    return made


def _fits(row: Any, of: Callable[[Any], Any], holds: Callable[[Any, Any], bool], value: object) -> bool:  # noqa: ANN401  # any row
    return holds(rank(of(row)), rank(value))


def names(rows: list[Any]) -> list[str]:
    """Return the names of rows."""
    return [row.name for row in rows]


def test_every_field_of_every_list_is_compared_as_python_compares_it(api: Api, app: App, bank: BankServer) -> None:
    """All documented fields, all their operators; alone, and several of them joined by AND, in pages of any size."""

    one_of_each(api, app, bank)
    chance = random.Random(7)  # noqa: S311  # picks what to try

    for what, known in LISTS.items():
        rows = listed(api, what)
        tried = comparisons(what, rows, chance)
        assert {name.partition(".")[0] for name in known.fields} == set(known.declared), what
        joined = [chance.sample(tried, chance.randint(2, 4)) for _ in range(12)]
        for conjunction in [*([one] for one in tried), *joined]:
            filter_ = " AND ".join(one.text for one in conjunction)
            wanted = [row for row in rows if all(one.fits(row) for one in conjunction)]
            size = 1 if 0 < len(wanted) < 3 else 1000
            assert names(listed(api, what, filter_, size)) == names(wanted), (what, filter_)


HOSTILE = [
    "x' OR '1'='1",
    "'; DROP TABLE wallets; --",
    '"} OR {"',
    "%(filter_0)s %s %",
    ":filter_0 :wallet $1",
    "a\\' \\\" \\",
    "\\u0000 \\x00 {}",
    "_%*?",
    "NULL",
    "é e\u0301 \U0001f4a5 \u202eabc\u202c",
]


def test_a_value_that_looks_like_something_else_is_a_value(api: Api, owner: psycopg.Connection) -> None:
    """SQL, placeholders, escapes, wildcards: found literally, by those that have them and by no others."""

    for number, value in enumerate(HOSTILE):
        api.open_all(f"w-{number}", display_name=value, labels={"k": value})
        api.deposit(f"w-{number}", 5, external_reference=value, labels={"k": value})
    everyone = {f"wallets/w-{number}" for number in range(len(HOSTILE))}

    for number, value in enumerate(HOSTILE):
        me, marked = f"wallets/w-{number}", quoted(value)
        for filter_ in (f"display_name = {quoted(value)}", f"labels.k = {marked}"):
            assert names(listed(api, "wallets", filter_)) == [me], filter_
        for filter_ in (f"display_name != {quoted(value)}", f"labels.k != {marked}"):
            assert set(names(listed(api, "wallets", filter_))) == everyone - {me}, filter_
        for field, other in product(("owner", "currency_code"), ("=", "!=")):
            found = listed(api, "wallets", f"{field} {other} {quoted(value)}")
            assert len(found) == (len(HOSTILE) if other == "!=" else 0)
        of_mine = transaction_pb.ListTransactionsRequest(
            wallet=me,
            filter=f"external_reference = {quoted(value)} AND labels.k = {marked} AND source != {quoted(value)}",
        )
        assert len(api.ok(of_mine).transactions) == 1
        for filter_ in (f"external_reference = {quoted(value)}", f"labels.k = {marked}"):
            (found_one,) = listed(api, "transactions of all wallets", filter_)
            assert found_one.destination == me, filter_
        assert listed(api, "transactions of all wallets", f"caller = {quoted(value)}") == []
    assert owner.execute("SELECT count(*) FROM wallets WHERE role = 'ORDINARY'").fetchone() == (len(HOSTILE),)


def test_a_range_of_times_is_exact_to_the_microsecond_at_both_ends(api: Api, owner: psycopg.Connection) -> None:
    """Any two ends, open or closed, among entries of which three share each instant; in any zone."""

    api.open_all("alice", "bob")
    write_history(owner, 90)
    times = {n: BEGAN + (n - 1) // 3 * STEP for n in range(90, 0, -1)}
    offsets = st.integers(-3, 63)
    zones = st.sampled_from(["Z", "+00:00", "+03:30", "-11:00"])

    @settings(max_examples=often(40), deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(st.sampled_from(list(ORDER)), offsets, zones), min_size=1, max_size=3), st.booleans())
    def finds_them(ends: list[tuple[str, int, str]], of_a_type: bool) -> None:  # noqa: FBT001  # drawn
        parts, wanted = [], dict(times)
        for op, offset, zone in ends:
            end = BEGAN + offset * US
            local = end.replace(tzinfo=UTC).astimezone(datetime.fromisoformat(f"2025-01-01T00:00:00{zone}").tzinfo)
            parts.append(f'execute_time {op} "{local.isoformat(timespec="microseconds")}"')
            wanted = {n: time for n, time in wanted.items() if ORDER[op](time, end)}
        if of_a_type:
            parts.insert(len(parts) // 2, "type = DEPOSIT")
            wanted = {n: time for n, time in wanted.items() if n % 10 < 6}
        for what in ("transactions", "transactions of all wallets"):
            found = listed(api, what, " AND ".join(parts), 50)
            assert [int(one.name[-12:], 16) for one in found] == list(wanted), (what, parts)

    finds_them()


def test_a_filter_that_is_not_understood_names_where_and_what(api: Api) -> None:
    """Unknown fields, operators that a field has not, words and numbers that there are not: the place, the token."""

    for what, known in LISTS.items():
        some, time_ = next(iter(known.fields)), next(name for name in known.fields if name.endswith("_time"))
        cases = {
            "nonsense": (0, "nonsense"),
            "nonsense = 1": (0, "nonsense"),
            f"{some}": (len(some), ""),
            f"{some} = ": (len(some) + 3, ""),
            f'{some} < "x"': (len(some) + 1, "<"),
            f'{time_} = "yesterday"': (len(time_) + 3, '"yesterday"'),
            "فارسی = 1": (0, "ف"),
            f"{some} = a OR {some} = b": (len(some) + 5, "OR"),
            "name = x": (0, "name"),
        }
        for filter_, (position, token) in cases.items():
            answer = api.refused(known.request(filter=filter_, page_token="not a token"))
            assert (answer.code, answer.reason) == ("INVALID_ARGUMENT", "FILTER_INVALID"), (what, filter_)
            assert answer.metadata == {"position": str(position), "token": token}, (what, filter_)
        too_long = api.refused(known.request(filter="x" * 1025, page_token="not a token"))
        assert (too_long.reason, too_long.violations) == ("INVALID_FIELDS", ("filter",)), what
    for character in ("\U0001f4a5", "(", '"', "\\", "\n", "a", "\u202e"):  # the message about it must fit into a header
        answer = api.call("WalletService/ListWallets", wallet_pb.ListWalletsRequest(filter=character * 1024))
        assert answer.reason == ("INVALID_FIELDS" if character == "\n" else "FILTER_INVALID"), character
    longest = f'owner = "{uuid4()}" AND ' * 9 + f'owner = "{"x" * 500}"'
    assert list(api.ok(wallet_pb.ListWalletsRequest(filter=longest)).wallets) == []
