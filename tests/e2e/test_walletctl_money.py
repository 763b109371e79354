"""``walletctl`` where money moved: labels, limits, reversals, batches, lists, statements, receipts."""

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.cli import Walletctl
from tests.support import commands
from wallet_core.domain.model.money import Currency
from wallet_core.usecases.app import App
from wallet_core.usecases.change_wallet import change_wallet

ID = "6f2b7c1e-52a4-4d0e-9a55-000000000001"
HEADER = "source,destination,amount\n"


@pytest.fixture
def rich(walletctl: Walletctl) -> Walletctl:
    """Return ``walletctl`` with what ``seed`` makes, and 5,000.00 USD in alice."""
    for command in ("seed", "deposit alice 5000 --external-reference payroll-7 --label kind=salary"):
        assert walletctl(*command.split()).exit_code == 0
    return walletctl


def minors(amounts: Sequence[Any]) -> list[int]:
    """Return amounts in minor units."""
    return [int(amount["minor_units"]) for amount in amounts]


def test_transfer_takes_no_more_commission_than_it_may(rich: Walletctl) -> None:
    """2,000.00 costs 200.00: refused where that is too much, shown where it is not."""

    refused = rich("transfer", "alice", "bob", "2000", "--max-commission", "199.99")
    free = rich("transfer", "alice", "bob", "1000", "--max-commission", "0")
    done = rich("transfer", "alice", "bob", "2000", "--max-commission", "200")

    assert (refused.exit_code, "LIMIT_EXCEEDED" in refused.stderr) == (1, True)
    assert (free.exit_code, done.exit_code, "200.00 USD" in done.stdout) == (0, 0, True)
    assert (rich.balance("alice"), rich.balance("bob")) == (180_000, 300_000)


@pytest.mark.own_app
def test_amounts_have_the_decimals_that_were_written_down(walletctl: Walletctl, app: App) -> None:
    """Typed and shown alike: of the yen as it was at its first wallet, and of a currency that was withdrawn since."""

    for wallet, currency in (("jun", Currency("JPY", 2)), ("anna", Currency("BGN", 2))):
        change_wallet(app, commands.a_new_wallet(wallet, currency.code, listed=currency))

    done = walletctl("deposit", "jun", "12.34", "JPY")
    refused = walletctl("deposit", "jun", "12.345", "JPY")
    walletctl("deposit", "anna", "5.1", "BGN")
    shown = walletctl("wallet", "list").stdout
    unknown = walletctl("deposit", "jun", "1", "QQQ")
    listed = walletctl.json("wallet", "currencies")

    assert (done.exit_code, walletctl.balance("jun"), walletctl.balance("anna")) == (0, 1234, 510)
    assert (refused.exit_code, "more decimals than JPY has (2)" in refused.stderr) == (2, True)
    assert "12.34 JPY" in shown
    assert "5.10 BGN" in shown
    assert (unknown.exit_code, "'QQQ' is unknown to the service" in unknown.stderr) == (2, True)
    assert {"code": "BGN", "exponent": 2, "open_to_new_wallets": False} in listed
    assert "BGN" in walletctl("wallet", "currencies").stdout


def test_transaction_is_shown_with_all_it_has(rich: Walletctl) -> None:
    """Entries, words, labels, commission, and what came of it later."""

    sent = "transfer alice bob 2000 --description rent --external-reference r-1 --label order=7 --label city=bonn"
    name = rich.json(*sent.split())["name"]
    rich("reverse", name, "--amount", "500")

    shown = rich("transaction", "get", name).stdout

    for text in ("-2,200.00 USD", "+2,000.00 USD", "rent", "r-1", "labels: city=bonn order=7", "PARTIALLY_REVERSED"):
        assert text in shown
    assert "reversed so far: 500.00 USD" in shown
    assert rich.json("transaction", "get", name)["labels"] == {"order": "7", "city": "bonn"}


def test_texts_of_callers_do_not_control_the_terminal(rich: Walletctl) -> None:
    """Neither rich's marks nor lines; the server takes nothing that a terminal itself obeys."""

    name = rich.json("transfer", "alice", "bob", "1", "--description", "[red]\n[2Jboo")["name"]

    shown = rich("transaction", "get", name).stdout

    assert "[red] [2Jboo" in shown
    assert rich("transfer", "alice", "bob", "1", "--description", "\x1b[2Jboo").exit_code != 0


def test_reversal_gives_the_commission_back_unless_it_is_kept(rich: Walletctl) -> None:
    """A part with its part of the commission, then the rest without."""

    name = rich.json("transfer", "alice", "bob", "2000")["name"]
    part = rich.json("reverse", name, "--amount", "500.00")
    rest = rich.json("reverse", name, "--keep-commission")
    again = rich("reverse", name)

    assert (part["type"], part["reverses"], rest["amount"]["minor_units"]) == ("TYPE_REVERSAL", name, "150000")
    assert rich.balance("alice") == 500_000 - 15_000
    assert (again.exit_code, "STATE_TRANSITION_FORBIDDEN" in again.stderr) == (1, True)


def test_transactions_are_listed_by_filter(rich: Walletctl) -> None:
    """Type, amount and labels; the command of before lists them too."""

    rich("transfer", "alice", "bob", "3")
    rich("transfer", "alice", "bob", "4")

    all_ = rich.json("transactions", "alice")
    small = rich.json("transactions", "alice", "--filter", "type = TRANSFER AND amount < 400")
    salary = rich.json("transactions", "alice", "--filter", 'labels.kind = "salary"')

    assert all_ == rich.json("wallet", "transactions", "alice")
    assert minors([one["amount"] for one in all_]) == [400, 300, 500_000]
    assert minors([one["amount"] for one in small + salary]) == [300, 500_000]


def test_batch_is_all_or_none(rich: Walletctl) -> None:
    """From CSV; the second of two is refused, so neither is made."""

    refused = rich("batch", "-", typed=f"{HEADER}alice,bob,1.00\nbob,alice,99.00\n")
    done = rich.json("batch", "-", typed=f"{HEADER}alice,bob,1.00\nbob,alice,0.25\n")

    assert (refused.exit_code, "Item 1, counted from 0" in refused.stderr) == (1, True)
    assert minors([one["transaction"]["amount"] for one in done]) == [100, 25]
    assert rich.balance("bob") == 75


def test_batch_by_item_does_what_it_can_and_once(rich: Walletctl, tmp_path: Path) -> None:
    """Exit code 1 for the one that was refused; the same file with the same request id moves nothing."""

    file = tmp_path / "batch.csv"
    file.write_text(f"{HEADER}bob,alice,99.00\nalice,bob,2000.00\n")
    command = ("batch", str(file), "--each", "--request-id", str(uuid4()))

    first, again = rich(*command), rich(*command)

    assert (first.exit_code, again.exit_code) == (1, 1)
    assert "INSUFFICIENT_FUNDS" in first.stdout
    assert "200.00 USD" in first.stdout
    assert ("(done before)" in first.stdout, "(done before)" in again.stdout) == (False, True)
    assert FA in rich("--language", "fa", *command).stdout
    assert rich.balance("bob") == 200_000


FA = "موجودی"


def test_batch_repeated_with_a_corrected_row_does_that_row_and_no_other_again(rich: Walletctl, tmp_path: Path) -> None:
    """An item's id follows from the batch's and from the row's content; the batch's is printed before the call."""

    file = tmp_path / "payroll.csv"
    file.write_text(f"{HEADER}alice,bob,1.00\nalice,bob,1.00\nalice,nobody,2.00\n")
    first = rich("batch", str(file), "--each")
    (base,) = set(re.findall(r"--request-id ([0-9a-f-]{36})", first.stderr))
    file.write_text(f"{HEADER}alice,bob,2.00\nalice,bob,1.00\nalice,bob,1.00\n")
    again = rich.json("batch", str(file), "--each", "--request-id", base)

    assert first.exit_code == 1
    assert [result["replayed"] for result in again] == [False, True, True]
    assert rich.balance("bob") == 400
    assert len({result["request_id"] for result in again}) == 3


def test_batch_from_json_has_all_that_a_transfer_has(rich: Walletctl) -> None:
    """Labels, references, limits, request ids and numbers exactly as given, not rounded."""

    items = [
        {
            "source": "alice",
            "destination": "wallets/bob",
            "amount": 4503599627370.06,
            "currency": "USD",
            "description": "much",
            "external_reference": "m-1",
            "max_commission": "0",
            "labels": {"a": "", "b": "2"},
            "request_id": (id_ := str(uuid4())),
        },
        {"source": "alice", "destination": "bob", "amount": "1", "labels": {"a": ""}, "external_reference": "x"},
    ]
    refused = rich("batch", "-", "--each", "--json", typed=json.dumps(items))
    much, little = json.loads(refused.stdout)

    assert (refused.exit_code, much["request_id"], "LIMIT_EXCEEDED" in str(much["error"])) == (1, id_, True)
    assert (little["transaction"]["labels"], little["transaction"]["external_reference"]) == ({"a": ""}, "x")


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("", "the file has no transfer"),
        (HEADER, "the file has no transfer"),
        ("source,destination,amnt\nalice,bob,1\n", "line 2: 'amnt' is not one of source, destination, amount"),
        (f"{HEADER}alice,bob,1\nalice,,1\n", "line 3: destination is missing"),
        (f"{HEADER}alice,bob,1,2\n", "line 2: more values than the header has fields"),
        (f"{HEADER}alice,bob,one\n", "line 2: amount: 'one' is not an amount"),
        ("source,destination,amount,currency\nalice,bob,1,XXX\n", "line 2: currency: 'XXX' is unknown to the service"),
        ("source,destination,amount,max_commission\nalice,bob,1,-1\n", "line 2: max_commission: '-1' is not"),
        ('source,destination,amount\nalice,bob,"1"x\n', "line 2:"),
        (f"source,destination,amount,request_id\nalice,bob,1,{ID}\n", "line 2: a request_id per row is for"),
        ("[{}", "not JSON"),
        ("{}", "the JSON is not a list"),
        ("[1]", "item 1: not an object"),
        ('[{"source": null, "destination": "bob", "amount": "1"}]', "item 1: source is not a string"),
        ('[{"source": "a", "destination": "b", "amount": "1", "labels": 1}]', "item 1: labels is not an object"),
        (
            '[{"source": "a", "destination": "b", "amount": "1", "labels": {"x": 1.5, "y": []}}]',
            "labels.y is not a string",
        ),
    ],
)
def test_batch_that_cannot_be_read_is_reported_with_the_place(rich: Walletctl, typed: str, text: str) -> None:
    """Exit code 2, and nothing is sent."""

    refused = rich("batch", "-", typed=typed)

    assert (refused.exit_code, text in refused.stderr) == (2, True), refused.output


def test_batch_that_is_too_large_is_not_sent(rich: Walletctl) -> None:
    """A usage error (2), reported with its size."""

    row = f"alice,bob,0.01,{chr(0x1F4A9) * 256}\n"
    done = rich("batch", "-", typed="source,destination,amount,description\n" + row * 1000)

    assert (done.exit_code, "Nothing was sent. Send fewer items" in done.stderr) == (2, True), done.output
    assert rich.balance("bob") == 0


def test_batch_with_no_uuid_for_a_request_id_is_refused(rich: Walletctl) -> None:
    """Items' own ids are made of it."""

    refused = rich("batch", "-", "--each", "--request-id", "mine", typed=f"{HEADER}alice,bob,1\n")

    assert (refused.exit_code, "'mine' is not a UUID" in refused.stderr) == (2, True)


def test_statement_is_readable_by_a_person(rich: Walletctl) -> None:
    """Wallet, range, balances at its ends, totals, entries with running balance; provisional where it is not over."""

    rich("transfer", "alice", "bob", "2000", "--description", "rent")

    shown = rich("statement", "alice").stdout
    not_over = rich("statement", "alice", "--from", "2020-03-01", "--to", "2999-01-01").stdout

    for text in ("alice, ", "opening balance  0.00 USD", "closing balance  2,800.00 USD", "DEPOSIT", "credited"):
        assert text in shown
    assert "-2,200.00 USD │ 2,800.00 USD │ rent" in shown
    assert "+5,000.00 USD │ 5,000.00 USD │" in shown
    assert "provisional" not in shown
    assert "provisional: its end is so recent" in not_over


def test_statement_of_a_range_without_anything(rich: Walletctl) -> None:
    """Dates are midnights in UTC."""

    shown = rich("statement", "alice", "--from", "2020-03-01", "--to", "2020-04-01").stdout

    assert "alice, 2020-03-01 00:00:00 to 2020-04-01 00:00:00 UTC" in shown
    assert "no entries" in shown
    assert "provisional" not in shown


def test_statement_is_the_same_as_json_and_as_csv(rich: Walletctl, tmp_path: Path) -> None:
    """Every entry of more than a page; CSV to standard output or to a file that is there only when it is whole."""

    lines = HEADER + "alice,bob,0.01\n" * 300
    assert rich("batch", "-", typed=lines).exit_code == 0

    found = rich.json("statement", "alice", "--from", "2020-01-01")
    printed = rich("statement", "alice", "--from", "2020-01-01", "--csv")
    file = tmp_path / "alice.csv"
    written = rich("statement", "alice", "--from", "2020-01-01", "--csv", "--output", str(file))

    rows = list(csv.DictReader(io.StringIO(printed.stdout)))
    assert [one["sequence"] for one in found["entries"]] == [row["sequence"] for row in rows]
    assert [row["amount"] for row in rows] == ["5000.00"] + ["-0.01"] * 300
    assert found["closing_balance"]["minor_units"] == "499700"
    assert (written.exit_code, list(tmp_path.iterdir())) == (0, [file])
    assert file.read_bytes() == printed.stdout_bytes


def test_receipt_is_written_in_the_requested_language(
    rich: Walletctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under its own name, under a given one, or to standard output."""

    monkeypatch.chdir(tmp_path)
    name = rich.json("transfer", "alice", "bob", "1")["name"]
    id_ = name.removeprefix("transactions/")

    here = rich("receipt", id_)
    there = rich("receipt", name, "--language", "fa", "--output", "fa.pdf")
    printed = rich("--language", "fa", "receipt", name, "--output", "-")

    assert (here.stdout, there.stdout) == (f"receipt-{id_}-en.pdf\n", "fa.pdf\n")
    english, persian = ((tmp_path / file).read_bytes() for file in (f"receipt-{id_}-en.pdf", "fa.pdf"))
    assert english.startswith(b"%PDF")
    assert english != persian == printed.stdout_bytes
