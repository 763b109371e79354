"""Statements: equal to a replay of the entries, exact to the microsecond, page by page, also while money moves."""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wallet.v1 import transaction_service_pb2 as pb

from bank_stub.server import BankServer
from tests.support.api import Api, all_pages, meanwhile
from tests.support.batching import waiting_backends
from tests.support.database import Database
from tests.support.long_history import BEGAN, Line, history, write_history
from tests.support.requests import changed, money, stamp
from tests.support.sample_ledger import one_of_each
from tests.support.toolchain import often
from wallet_core.usecases.app import App
from walletctl.local.waiting import wait_until

ROOT = Path(__file__).parents[2]
US = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
ALICE, OUTSIDE = "wallets/alice", "wallets/system:external:USD"
GET = "TransactionService/GetStatement"

# By type: how many entries, what they added, what they took.
Totals = dict[str, tuple[int, int, int]]


def statement(start: datetime = FIRST, end: datetime = LAST, wallet: str = ALICE, **fields: Any) -> Any:  # noqa: ANN401  # a request
    """Return a request for a statement, of all times by default."""
    return pb.GetStatementRequest(wallet=wallet, start_time=stamp(start), end_time=stamp(end), **fields)


def totals_of(page: pb.GetStatementResponse) -> Totals:
    """Return the totals of a page."""
    return {
        pb.Transaction.Type.Name(one.type).removeprefix("TYPE_"): (
            one.count,
            one.credited.minor_units,
            one.debited.minor_units,
        )
        for one in page.totals
    }


def summed(lines: Sequence[Line]) -> Totals:
    """Return the totals that entries come to."""
    totals: Totals = defaultdict(lambda: (0, 0, 0))
    for line in lines:
        count, credited, debited = totals[line.type]
        totals[line.type] = (count + 1, credited + max(line.amount, 0), debited - min(line.amount, 0))
    return dict(totals)


def entries_of(page: pb.GetStatementResponse) -> list[Line]:
    """Return the entries on a page."""
    return [
        Line(
            one.sequence,
            one.amount.minor_units,
            one.balance_after.minor_units,
            one.execute_time.ToDatetime(tzinfo=UTC),
            pb.Transaction.Type.Name(one.type).removeprefix("TYPE_"),
            one.transaction,
            one.description,
            one.external_reference,
        )
        for one in page.entries
    ]


def check_page(page: pb.GetStatementResponse) -> None:
    """Assert that a page is right in itself."""
    credited = sum(one.credited.minor_units for one in page.totals)
    debited = sum(one.debited.minor_units for one in page.totals)
    assert page.opening_balance.minor_units + credited - debited == page.closing_balance.minor_units
    for before, after in zip(page.entries, page.entries[1:], strict=False):
        assert before.sequence + 1 == after.sequence
        assert before.balance_after.minor_units + after.amount.minor_units == after.balance_after.minor_units
        assert before.execute_time.ToNanoseconds() <= after.execute_time.ToNanoseconds()


def test_a_statement_equals_a_replay_of_the_entries(api: Api, owner: psycopg.Connection) -> None:
    """Any range over 3,200 entries, three at each instant: opening, closing, totals by type, entries in pages."""

    api.open_all("alice", "bob")
    write_history(owner, 3200)
    written = {wallet: history(owner, wallet) for wallet in ("alice", "bob", "system:external:USD")}
    instants = st.integers(-3, 2140).map(lambda offset: BEGAN + offset * US) | st.sampled_from([FIRST, LAST - US])

    @settings(max_examples=often(25), deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(sorted(written)), instants, instants, st.sampled_from([1, 7, 600]))
    def equals_the_replay(wallet: str, start: datetime, end: datetime, size: int) -> None:
        start, end = min(start, end), max(start, end)
        if start == end:
            end = start + US
        lines = written[wallet]
        within = [line for line in lines if start <= line.time < end]
        before = [line for line in lines if line.time < start]
        request = statement(start, end, f"wallets/{wallet}", page_size=size)
        pages = all_pages(api, request) if len(within) <= 8 * size else [api.ok(request)]

        actual = {
            (page.opening_balance.minor_units, page.closing_balance.minor_units, tuple(sorted(totals_of(page).items())))
            for page in pages
        }
        opening = before[-1].balance_after if before else 0
        closing = opening + sum(line.amount for line in within)
        assert actual == {(opening, closing, tuple(sorted(summed(within).items())))}
        found = [entry for page in pages for entry in entries_of(page)]
        assert found == within[: len(found)]
        assert len(found) == (len(within) if len(within) <= 8 * size else size)
        for page in pages:
            check_page(page)
            assert (page.wallet, page.start_time, page.end_time) == (
                request.wallet,
                request.start_time,
                request.end_time,
            )
            assert {one.counterparty for one in page.entries} <= {ALICE, "wallets/bob", OUTSIDE} - {f"wallets/{wallet}"}

    equals_the_replay()


def test_an_entry_at_the_start_is_in_and_one_at_the_end_is_not(api: Api) -> None:
    """To the microsecond, of what was booked just now."""

    api.open_all("alice", "bob")
    api.deposit("alice", 100)
    moved = api.transfer("alice", "bob", 7, description="d", external_reference="r")
    time = moved.execute_time.ToDatetime(tzinfo=UTC)

    cases = {(time, time + US): [moved.name], (time - US, time): [], (time + US, time + 2 * US): []}
    for (start, end), names in cases.items():
        page = api.ok(statement(start, end))
        assert [one.transaction for one in page.entries] == names, (start, end)
        check_page(page)
    (entry,) = api.ok(statement(time, time + US)).entries
    assert entry == pb.StatementEntry(
        sequence=2,
        transaction=moved.name,
        type=pb.Transaction.TYPE_TRANSFER,
        counterparty="wallets/bob",
        amount=money(-7),
        balance_after=money(93),
        execute_time=moved.execute_time,
        description="d",
        external_reference="r",
    )


def test_an_end_between_two_microseconds_is_not_moved(api: Api) -> None:
    """Protos have nanoseconds: an entry is before an end that is a nanosecond later, and not after that start."""

    api.open("alice")
    time = api.deposit("alice", 5).execute_time
    later = Timestamp(seconds=time.seconds, nanos=time.nanos + 1)

    upto = api.ok(pb.GetStatementRequest(wallet=ALICE, start_time=stamp(FIRST), end_time=later))
    after = api.ok(pb.GetStatementRequest(wallet=ALICE, start_time=later, end_time=stamp(LAST)))

    assert (len(upto.entries), len(after.entries)) == (1, 0)


def test_any_range_whose_start_is_before_its_end_is_one(api: Api) -> None:
    """From the first nanosecond of the protos to the last; of less than a microsecond, which holds nothing."""

    api.open("alice")
    time = api.deposit("alice", 5).execute_time
    first, last = Timestamp(seconds=-62135596800), Timestamp(seconds=253402300799, nanos=999_999_999)
    short = Timestamp(seconds=time.seconds, nanos=time.nanos + 1), Timestamp(seconds=time.seconds, nanos=time.nanos + 2)

    ever = api.call(GET, pb.GetStatementRequest(wallet=ALICE, start_time=first, end_time=last))
    moment = api.call(GET, pb.GetStatementRequest(wallet=ALICE, start_time=short[0], end_time=short[1]))

    assert (ever.code, moment.code) == ("OK", "OK"), (ever.message, moment.message)
    assert len(pb.GetStatementResponse.FromString(ever.body).entries) == 1
    nothing = pb.GetStatementResponse.FromString(moment.body)
    assert (len(nothing.entries), nothing.opening_balance, nothing.closing_balance) == (0, money(5), money(5))


def test_a_range_without_entries_has_two_equal_ends(api: Api) -> None:
    """Before the wallet existed, between entries, after the last, in the future, of a wallet that is empty."""

    api.open_all("alice", "bob")
    api.deposit("alice", 100)
    now = api.ok(statement()).entries[0].execute_time.ToDatetime(tzinfo=UTC)
    ranges = {
        (FIRST, FIRST + US): 0,
        (FIRST, now): 0,
        (now - HOUR, now - HOUR + US): 0,
        (now + US, now + 2 * US): 100,
        (now + HOUR, now + 2 * HOUR): 100,
        (LAST - US, LAST): 100,
    }

    for (start, end), balance in ranges.items():
        page = api.ok(statement(start, end))
        assert (page.opening_balance, page.closing_balance) == (money(balance), money(balance)), (start, end)
        assert (len(page.totals), len(page.entries), page.next_page_token) == (0, 0, "")
    empty = api.ok(statement(wallet="wallets/bob"))
    assert (empty.opening_balance, empty.closing_balance, len(empty.totals)) == (money(0), money(0), 0)


def test_a_range_that_is_none_is_refused(api: Api) -> None:
    """Ends in the wrong order, equal, missing, beyond the years there are; all before the wallet is looked for."""

    end = Timestamp(seconds=100, nanos=500)
    bad: list[tuple[Timestamp | None, Timestamp | None, tuple[str, ...] | None]] = [
        (None, None, ("start_time", "end_time")),
        (end, None, ("end_time",)),
        (None, end, ("start_time",)),
        (end, end, None),
        (end, Timestamp(seconds=100), None),
        (Timestamp(seconds=-62135596801), end, ("start_time",)),
        (end, Timestamp(seconds=253402300800), ("end_time",)),
        (end, Timestamp(seconds=2**63 - 1), ("end_time",)),
        (Timestamp(seconds=1, nanos=-1), end, ("start_time",)),
        (end, Timestamp(seconds=101, nanos=10**9), ("end_time",)),
    ]

    for start, until, fields in bad:
        for kind in (pb.GetStatementRequest, pb.ExportStatementRequest):
            answer = api.refused(kind(wallet="wallets/nobody", start_time=start, end_time=until))
            assert (answer.code, answer.reason) == ("INVALID_ARGUMENT", "INVALID_FIELDS"), (start, until)
            assert answer.violations == fields if fields else len(answer.violations) == 1


def test_of_several_faults_the_first_documented_is_reported(api: Api) -> None:
    """Fields, then the token, which is bound to wallet and range, then the wallet."""

    api.open_all("alice", "bob")
    for _ in range(3):
        api.deposit("alice", 1)
    token = api.ok(statement(page_size=1)).next_page_token

    assert api.refused(statement(wallet="wallets/nobody", page_token="x", page_size=-1)).violations == ("page_size",)
    for other in (
        statement(wallet="wallets/nobody", page_token="x"),
        statement(page_token=token[1:]),
        statement(page_token=token, wallet="wallets/bob"),
        statement(page_token=token, start=FIRST + US),
        statement(page_token=token, end=LAST - US),
        pb.GetStatementRequest(
            wallet=ALICE, start_time=stamp(FIRST), page_token=token, end_time=Timestamp(seconds=253402300799)
        ),
    ):
        assert api.refused(other).reason == "PAGE_TOKEN_INVALID"
    assert api.refused(pb.ListTransactionsRequest(wallet=ALICE, page_token=token)).reason == "PAGE_TOKEN_INVALID"
    answer = api.refused(statement(wallet="wallets/nobody"))
    assert (answer.code, answer.reason) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert answer.metadata == {"resourceName": "wallets/nobody"}
    assert len(api.ok(statement(page_token=token, page_size=1000)).entries) == 2


def test_a_range_is_provisional_while_something_may_still_fall_into_it(
    api: Api, database: Database, owner: psycopg.Connection
) -> None:
    """Not where it is over and nothing is under way, be it for a moment only; but while anything is yet to come in."""

    api.open("alice")
    opened = api.deposit("alice", 1).execute_time.ToDatetime(tzinfo=UTC)
    ends = {FIRST + US: False, opened - HOUR: False, opened + US: False, opened + HOUR: True, LAST: True}
    assert {end: api.ok(statement(end=end)).provisional for end in ends} == ends

    with ThreadPoolExecutor(1) as pool, owner.transaction():
        owner.execute("LOCK TABLE outbox IN SHARE MODE")  # the deposit has its time, and waits to be written
        under_way = pool.submit(api.deposit, "alice", 5)
        assert wait_until(lambda: bool(waiting_backends(database.url)), timeout_s=5, poll_s=0.001)
        ((now,),) = owner.execute("SELECT clock_timestamp()").fetchall()
        before = api.ok(statement(end=now))
        long_over = api.ok(statement(end=now - HOUR))
    booked = under_way.result().execute_time.ToDatetime(tzinfo=UTC)
    after = api.ok(statement(end=now))

    assert booked < now
    assert (before.provisional, before.closing_balance.minor_units) == (True, 1)
    assert (after.provisional, after.closing_balance.minor_units) == (False, 6)
    assert not long_over.provisional


def test_an_outcome_reported_as_final_never_changes(api: Api, owner: psycopg.Connection) -> None:
    """During transfers, of statements that have just ended: one that is not provisional stays unchanged."""

    api.open_all("alice", "bob")
    api.deposit("alice", 1000)
    final: dict[datetime, pb.GetStatementResponse] = {}
    with meanwhile(lambda: [api.transfer("alice", "bob", 2), api.transfer("bob", "alice", 1)]):
        while len(final) < 30:
            ((now,),) = owner.execute("SELECT clock_timestamp()").fetchall()
            for back in (timedelta(), US * 300_000, US * 900_000):
                page = api.ok(statement(end=now - back, page_size=1000))
                if not page.provisional:
                    final[now - back] = page

    for end, page in final.items():
        assert api.ok(statement(end=end, page_size=1000)) == page


def test_every_page_sums_up_during_transfers(api: Api) -> None:
    """Each page is of one instant; a range that is over does not change; pages follow on each other."""

    api.open_all("alice", "bob")
    api.deposit("alice", 1000)
    with meanwhile(lambda: [api.transfer("alice", "bob", 2), api.transfer("bob", "alice", 1)]):
        for _ in range(5):
            pages = all_pages(api, statement(page_size=9))
            for page in pages:
                check_page(page)
                assert page.provisional
                assert page.opening_balance.minor_units == 0
                assert sum(one.count for one in page.totals) >= page.entries[-1].sequence
            entries = [entry for page in pages for entry in page.entries]
            assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
            assert entries[-1].balance_after == pages[-1].closing_balance
        last = entries[-1].execute_time.ToDatetime(tzinfo=UTC)
        over = [api.ok(statement(end=last, page_size=1000)) for _ in range(3)]
    after = api.ok(statement(end=last, page_size=1000))
    assert not after.provisional
    assert [changed(page, provisional=False) for page in over] == [after] * 3


def test_statements_of_all_wallets_of_a_currency_sum_to_nothing(
    api: Api, app: App, bank: BankServer, owner: psycopg.Connection
) -> None:
    """Also the service's own: external, in transit, commission; every type of transaction is in them."""

    one_of_each(api, app, bank)
    types: set[str] = set()
    closing: dict[str, int] = defaultdict(int)
    for wallet, currency in owner.execute("SELECT id, currency FROM wallets").fetchall():
        page = api.ok(statement(wallet=f"wallets/{wallet}", page_size=1000))
        check_page(page)
        assert entries_of(page) == history(owner, wallet)
        assert totals_of(page) == summed(history(owner, wallet))
        assert f"wallets/{wallet}" not in {one.counterparty for one in page.entries}
        closing[currency] += page.closing_balance.minor_units
        types |= totals_of(page).keys()

    assert closing == {"USD": 0, "EUR": 0, "JPY": 0}
    assert types == {name.removeprefix("TYPE_") for name in pb.Transaction.Type.keys()} - {"UNSPECIFIED"}  # noqa: SIM118  # no dict


def test_a_statement_whose_totals_no_number_holds_is_refused_with_a_documented_reason(api: Api) -> None:
    """Much went to and fro: the sums pass 2^63 - 1 though no balance does."""

    api.open_all("alice", "bob")
    api.deposit("alice", 2**62)
    for _ in range(2):
        api.transfer("alice", "bob", 2**62)
        api.transfer("bob", "alice", 2**62)
    protos = (ROOT / "protos/wallet/v1/transaction_service.proto").read_text()
    documented = protos.partition("rpc GetStatement(")[0].rpartition("// Errors:")[2]

    answer = api.refused(statement())

    assert f"`{answer.reason}`" in documented


def test_a_statement_of_a_part_can_be_had_where_the_totals_of_all_are_too_large(api: Api) -> None:
    """A refused caller can still request less."""

    api.open_all("alice", "bob")
    api.deposit("alice", 2**63 - 1)
    api.transfer("alice", "bob", 2**63 - 1)
    back = api.transfer("bob", "alice", 2**63 - 1).execute_time.ToDatetime(tzinfo=UTC)

    first, second = api.ok(statement(end=back)), api.ok(statement(start=back))

    check_page(first)
    check_page(second)
    assert (first.closing_balance, second.closing_balance) == (money(0), money(2**63 - 1))
