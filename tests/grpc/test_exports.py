"""Exports: the statement as a CSV file, part by part, a limited number at once, and never silently incomplete."""

import csv
import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import grpc
import psycopg
import pytest
from sqlalchemy import event
from wallet.v1 import transaction_service_pb2 as pb

from tests.support.api import Api, all_pages, at_once, meanwhile, written
from tests.support.database import cut_all_others
from tests.support.idle import Idle
from tests.support.long_history import BEGAN, write_history
from tests.support.requests import stamp
from tests.support.wire import Answer
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.server.serving import serving
from walletctl.local.waiting import wait_until

EXPORT = "TransactionService/ExportStatement"
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
HEADER = (
    "sequence,time,transaction,type,counterparty,amount,balance_after,currency_code,description,external_reference\r\n"
)
# A gRPC client's default limit.
MESSAGE_MAX = 4 * 1024 * 1024
# So wide that a part of an export is more than what a connection takes from a server whose caller does not read.
WIDE = "\U0001f4a5" * 100

HOSTILE = [
    "a, b; c",
    'said "yes", and "no"',
    '"',
    "two\nlines",
    "and\n\nthree\n",
    "اجارهٔ ماه آبان، «طبق قرارداد»",
    "=1+1",
    " spaces ",
    "\\N",
    "\ufeff\u202e\U0001f4a5",
    "",
]


@contextmanager
def served(app: App, settings: Settings, **changes: object) -> Iterator[Idle]:
    """Serve with other limits; yield a channel that outlives the server."""
    quick = {"drain_grace_s": 0.8, "drain_flush_s": 0.2}
    with serving(app, settings.replaced(**quick | changes)) as port:
        idle = Idle(f"127.0.0.1:{port}")
        yield idle


def export(start: datetime = FIRST, end: datetime = LAST, wallet: str = "alice") -> pb.ExportStatementRequest:
    """Return a request for an export, of all times by default."""
    return pb.ExportStatementRequest(wallet=f"wallets/{wallet}", start_time=stamp(start), end_time=stamp(end))


def parts(api: Api, request: pb.ExportStatementRequest) -> list[bytes]:
    """Return the parts of an export."""
    return [part.data for part in api.stream(request)]


def read(file: bytes) -> list[dict[str, str]]:
    """Read a CSV file by its header."""
    return list(csv.DictReader(io.StringIO(file.decode("utf-8"), newline=""), strict=True))


def entries(api: Api, wallet: str = "alice") -> list[pb.StatementEntry]:
    """Return all entries of a wallet's statement."""
    request = pb.GetStatementRequest(
        wallet=f"wallets/{wallet}", start_time=stamp(FIRST), end_time=stamp(LAST), page_size=1000
    )
    return [entry for page in all_pages(api, request) for entry in page.entries]


def decimal(units: int, exponent: int) -> str:
    """Return an amount as the contract has it, by another way than the service's."""
    whole, rest = divmod(abs(units), 10**exponent)
    return f"{'-' if units < 0 else ''}{whole}{'.' if exponent else ''}{rest:0{exponent}}" if exponent else str(units)


def line(entry: pb.StatementEntry, exponent: int = 2) -> dict[str, str]:
    """Return the line that an entry is to have."""
    return {
        "sequence": str(entry.sequence),
        "time": written(entry.execute_time.ToDatetime(tzinfo=UTC)),
        "transaction": entry.transaction,
        "type": pb.Transaction.Type.Name(entry.type).removeprefix("TYPE_"),
        "counterparty": entry.counterparty,
        "amount": decimal(entry.amount.minor_units, exponent),
        "balance_after": decimal(entry.balance_after.minor_units, exponent),
        "currency_code": entry.amount.currency_code,
        "description": inert(entry.description),
        "external_reference": inert(entry.external_reference),
    }


def inert(words: str) -> str:
    """Return words as no spreadsheet runs them, and as they turn nothing around."""
    words = re.sub("[\u202a-\u202e\u2066-\u2069]", "", words)
    return "'" * bool(re.match(r"['=+\-@\t\r\n＝＋－＠]", words)) + words  # noqa: RUF001  # wide forms are meant


def is_free(api: Api, request: pb.ExportStatementRequest) -> bool:
    """Return whether there is room for one more export."""
    answer = api.call(EXPORT, request)
    assert answer.code in {"OK", "RESOURCE_EXHAUSTED"}, answer
    return answer.code == "OK"


def begun(api: Api, request: pb.ExportStatementRequest) -> Any:  # noqa: ANN401  # iterator and call in one
    """Begin an export that has no deadline, and read no more than its header."""
    stream = api.stream(request, timeout_s=None)
    assert next(stream).data == HEADER.encode()
    return stream


def test_an_export_has_the_entries_of_the_statement_in_several_parts(api: Api, owner: psycopg.Connection) -> None:
    """3,200 of them, oldest first, byte for byte as wide as they get; no part is too large for any client."""

    api.open_all("alice", "bob")
    write_history(owner, 3200, description='"\U0001f4a5' * 128)

    found = parts(api, export())

    assert 4 <= len(found) <= 6
    assert max(map(len, found)) < MESSAGE_MAX
    assert b"".join(found).startswith(HEADER.encode())
    assert read(b"".join(found)) == [line(entry) for entry in entries(api)]
    some = export(BEGAN + timedelta(microseconds=2), BEGAN + timedelta(microseconds=4))
    assert [row["sequence"] for row in read(b"".join(parts(api, some)))] == ["4", "5", "6"]


def flat(text: str) -> str:
    """Return a text in one line, as a reference is."""
    return text.replace("\n", " ")


def test_any_text_is_shown_in_any_currency(api: Api) -> None:
    """Commas, quotes, ends of lines, Persian, formulas; no decimals, two, three; amounts that fill 64 bits."""

    for wallet, currency, exponent in (("alice", "USD", 2), ("jun", "JPY", 0), ("bahar", "BHD", 3)):
        api.open_all(wallet, f"{wallet}-2", currency=currency)
        for number, words in enumerate(HOSTILE):
            api.deposit(wallet, 10**number, currency=currency, description=words, external_reference=flat(words[::-1]))
        api.deposit(f"{wallet}-2", 2**63 - 10**11, currency=currency)
        for whose in (wallet, f"{wallet}-2", f"system:external:{currency}"):
            rows = read(b"".join(parts(api, export(wallet=whose))))
            assert rows == [line(entry, exponent) for entry in entries(api, whose)]
        assert [row["description"] for row in rows[:-1]] == list(map(inert, HOSTILE))
        assert rows[0]["amount"] == {0: "-1", 2: "-0.01", 3: "-0.001"}[exponent]


def test_texts_of_an_export_reorder_nothing(api: Api) -> None:
    """What would show 10.00 as 00.01, or the cells after it backwards; marks and joiners of languages stay."""

    api.open_all("alice")
    api.deposit(
        "alice",
        1,
        description="a\u202e00.01\u202c \u2067b\u2069\u202a\u202b\u202d\u2066\u2068",
        external_reference="\u202e=1",
    )
    api.deposit("alice", 1, description="\u200fمی\u200cشود\u200e!")

    first, second = read(b"".join(parts(api, export())))

    assert (first["description"], first["external_reference"]) == ("a00.01 b", "'=1")
    assert second["description"] == "\u200fمی\u200cشود\u200e!"
    assert entries(api)[0].description.startswith("a\u202e")


def test_a_spreadsheet_runs_nothing_of_an_export_and_a_program_gets_every_text_back(api: Api) -> None:
    """One apostrophe before what would be run, or would look as if it had one; amounts stay numbers."""

    formulas = ["=cmd()", "+49 1", "-1", "@x", "＝1", "'quoted", "it's", " =1", "a=b"]  # noqa: RUF001  # wide forms are meant
    api.open_all("alice")
    for words in formulas:
        api.deposit("alice", 1, description=words, external_reference=words)

    rows = read(b"".join(parts(api, export(wallet="system:external:USD"))))

    cells = ["'=cmd()", "'+49 1", "'-1", "'@x", "'＝1", "''quoted", "it's", " =1", "a=b"]  # noqa: RUF001
    assert [(row["description"], row["external_reference"]) for row in rows] == [(cell, cell) for cell in cells]
    assert [row["description"].removeprefix("'") for row in rows] == formulas
    assert {row["amount"] for row in rows} == {"-0.01"}


def test_an_export_of_nothing_is_a_header(api: Api) -> None:
    """Of an empty wallet, of a range before it existed, of one in the future."""

    api.open_all("alice", "bob")
    api.deposit("alice", 5)

    for request in (export(wallet="bob"), export(FIRST, BEGAN), export(LAST - timedelta(days=9), LAST)):
        assert b"".join(parts(api, request)) == HEADER.encode()


def test_a_refused_export_is_answered_like_any_other_call(api: Api) -> None:
    """Though it is a stream: code, reason, metadata, violations; not one byte of a file comes before."""

    refused = api.refused(export(wallet="nobody"))
    invalid = api.refused(export(LAST, FIRST, wallet="nobody"))

    assert (refused.code, refused.reason) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert refused.metadata == {"resourceName": "wallets/nobody"}
    assert "A read changes nothing" in refused.message
    assert (invalid.code, invalid.reason, len(invalid.violations)) == ("INVALID_ARGUMENT", "INVALID_FIELDS", 1)
    with pytest.raises(grpc.RpcError) as caught:
        next(api.stream(export(wallet="nobody")))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_exports_at_once_are_bounded_and_a_place_is_free_again_however_one_ends(
    app: App, settings: Settings, owner: psycopg.Connection
) -> None:
    """The next gets SERVER_OVERLOADED; read to its end, refused, cancelled, cut off, past its deadline: it is free."""

    with served(app, settings, exports_max=2) as api:
        api.open_all("alice", "bob")
        write_history(owner, 2100, description=WIDE)
        request = export()
        first, second = begun(api, request), begun(api, request)
        full = api.refused(export(wallet="nobody"))
        assert (full.code, full.reason, full.retry_ms is None) == ("RESOURCE_EXHAUSTED", "SERVER_OVERLOADED", False)
        assert entries(api)[-1].sequence == 2100  # no other caller has to wait

        assert sum(part.data.count(b"\n") for part in first) == 2100
        assert wait_until(partial(is_free, api, request), timeout_s=10)
        api.refused(export(wallet="nobody"))
        api.refused(export(LAST, FIRST))
        third = begun(api, request)
        assert not is_free(api, request)
        third.cancel()
        assert wait_until(partial(is_free, api, request), timeout_s=10)
        with Idle(api.target) as other:
            cut_off = begun(other, request)
            assert not is_free(api, request)
        assert not cut_off.is_active()
        assert wait_until(partial(is_free, api, request), timeout_s=10)
        hasty = api.stream(request, timeout_s=0.3)
        assert wait_until(lambda: not hasty.is_active(), timeout_s=10)
        assert api.stream_error(hasty).code == "DEADLINE_EXCEEDED"
        assert wait_until(partial(is_free, api, request), timeout_s=10)
        fourth = begun(api, request)
        assert not is_free(api, request)
        for stream in (second, fourth):
            stream.cancel()


def test_an_export_that_takes_too_long_is_cut_off(app: App, settings: Settings, owner: psycopg.Connection) -> None:
    """A caller that neither reads on nor leaves does not keep its place: CANCELLED, not as if it were whole."""

    with served(app, settings, exports_max=1, export_longest_s=0.4) as api:
        api.open_all("alice", "bob")
        write_history(owner, 2100, description=WIDE)
        stuck = begun(api, export())

        assert wait_until(partial(is_free, api, export(FIRST, BEGAN)), timeout_s=10)
        assert api.stream_error(stuck).code == "CANCELLED"


def test_the_server_reads_no_further_than_its_caller(app: App, settings: Settings, owner: psycopg.Connection) -> None:
    """Of a long history no more than two parts are in memory: the next is read once the one before it has left."""

    requests: list[object] = []
    event.listen(app.reads.engine, "before_cursor_execute", lambda *result: requests.append(result[2]))
    with served(app, settings) as api:
        api.open_all("alice", "bob")
        write_history(owner, 6000, description=WIDE)
        requests.clear()
        stream = begun(api, export())
        assert wait_until(lambda: len(reads(requests)) > 0, timeout_s=10)
        assert not wait_until(lambda: len(reads(requests)) > 2, timeout_s=0.2)
        sizes = [len(part.data) for part in stream]

    assert len(sizes) == 6
    assert max(sizes) < 1_000_000
    assert len(reads(requests)) == 7


def reads(request: list[object]) -> list[str]:
    """Return those of some statements that read a part."""
    return [statement for statement in map(str, request) if "external_reference" in statement]


def test_an_export_continues_where_its_connections_are_cut(
    app: App, settings: Settings, owner: psycopg.Connection
) -> None:
    """A database that was restarted in between loses no caller the file."""

    with served(app, settings, health_interval_s=60.0) as api:
        api.open_all("alice", "bob")
        write_history(owner, 4100, description=WIDE)
        stream = begun(api, export())
        cut_all_others(owner)
        file = HEADER.encode() + b"".join(part.data for part in stream)

    assert [row["sequence"] for row in read(file)] == [str(number) for number in range(1, 4101)]


def test_an_export_is_complete_during_transfers(api: Api) -> None:
    """What is booked meanwhile is in it up to some point, without gaps, and not beyond."""

    api.open_all("alice", "bob")
    api.deposit("alice", 10_000)
    with meanwhile(lambda: api.transfer("alice", "bob", 1)):
        files = at_once([lambda: b"".join(parts(api, export()))] * 8)
    found = {entry.sequence: line(entry) for entry in entries(api)}

    for file in files:
        rows = read(file)
        assert rows == [found[number] for number in range(1, len(rows) + 1)]


def test_a_server_that_stops_ends_its_exports_and_begins_none(
    app: App, settings: Settings, owner: psycopg.Connection
) -> None:
    """A begun export is complete or ends with SERVER_DRAINING, none is begun, and one that is not read ends as well."""

    got: list[bytes] = []
    # An export that is not read for the flush time is given up; a slow machine's reader must not count as one.
    with served(app, settings, drain_grace_s=8.0, drain_flush_s=3.0) as api:
        api.open_all("alice", "bob")
        write_history(owner, 3100, description=WIDE)
        going_on, left_alone = begun(api, export()), begun(api, export())

        def read_on() -> Answer:
            # Not before the server has begun to stop.
            assert wait_until(lambda: not is_begun(api, export(FIRST, BEGAN)), timeout_s=10)
            try:
                got.extend(part.data for part in going_on)
            except grpc.RpcError:
                return api.stream_error(going_on)
            return Answer(code="OK")

        pool = ThreadPoolExecutor(1)
        reading = pool.submit(read_on)
    ended = reading.result()
    pool.shutdown()

    if ended.code == "OK":
        assert sum(part.count(b"\n") for part in got) == 3100
    else:
        assert (ended.code, ended.reason, ended.retry_ms is None) == ("UNAVAILABLE", "SERVER_DRAINING", False)
    assert api.stream_error(left_alone).code == "UNAVAILABLE"
    api.hang_up()


def is_begun(api: Api, request: pb.ExportStatementRequest) -> bool:
    """Return whether a server begins an export; one that stops refuses, or lets the channel wait for another server.

    Or its connection ends before it has looked at the call.
    """
    answer = api.call(EXPORT, request, timeout_s=0.5)
    turned_away = {
        ("UNAVAILABLE", "SERVER_DRAINING"),
        ("UNAVAILABLE", ""),
        ("DEADLINE_EXCEEDED", ""),
        ("CANCELLED", ""),
    }
    assert answer.code == "OK" or (answer.code, answer.reason) in turned_away, answer
    return answer.code == "OK"
