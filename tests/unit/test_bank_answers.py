"""The bank's answers and their meaning: what is not surely an acceptance or a decline is unknown."""

import pytest

from wallet_core.domain.model.bank import AnswerKind, LineKind, Payment, StatusKind
from wallet_core.domain.model.money import Money
from wallet_core.gateways.bank import read_answer, read_ledger, read_status

ACCEPTED, DECLINED_RETRYABLE, DECLINED = AnswerKind.ACCEPTED, AnswerKind.DECLINED_RETRYABLE, AnswerKind.DECLINED
NOT_SENT, UNKNOWN = AnswerKind.NOT_SENT, AnswerKind.UNKNOWN
SUCCESS: dict[str, object] = {"data": "success", "status": 200, "reference": "r-1"}
FAILED: dict[str, object] = {"data": "failed", "status": 503}
REJECTED: dict[str, object] = {"data": "rejected", "status": 422, "reason": "closed"}
PAYMENT = Payment(key="wd-1", amount=Money("USD", 1005), account="DE02", owner="Ada")
DEADLINE_S = 0.4
# What a busy machine may add to a deadline.
MARGIN_S = 1.0


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, SUCCESS, ACCEPTED),
        (200, {"data": "success", "status": 200}, ACCEPTED),
        (200, FAILED, DECLINED_RETRYABLE),
        (429, {"data": "too many requests", "status": 429}, DECLINED_RETRYABLE),
        (429, {}, DECLINED_RETRYABLE),
        (200, REJECTED, DECLINED),
        *[(status, REJECTED, DECLINED) for status in (400, 422)],
        *[(status, {}, DECLINED) for status in (400, 422)],
        *[(status, {}, NOT_SENT) for status in (401, 403)],
        # Everything else may have been paid, however it is dressed.
        *[(status, {}, UNKNOWN) for status in (301, 302, 303, 307, 308, 404, 405, 408, 409, 410, 418, 451)],
        *[(status, {}, UNKNOWN) for status in (100, 500, 501, 502, 503, 504, 599, 200, 201, 202, 204)],
        *[(status, SUCCESS, UNKNOWN) for status in (201, 202, 206, 302, 404, 409, 500, 502, 503)],
        *[(status, FAILED, UNKNOWN) for status in (201, 302, 404, 409, 500, 503)],
        *[(status, REJECTED, UNKNOWN) for status in (201, 302, 404, 409, 500, 503)],
        (200, {"data": "success"}, UNKNOWN),
        (200, {"data": "success", "status": 503}, UNKNOWN),
        (200, {"data": "success", "status": "200"}, UNKNOWN),
        (200, {"data": "success", "status": True}, UNKNOWN),
        (200, {"data": "Success", "status": 200}, UNKNOWN),
        (200, {"data": ["success"], "status": 200}, UNKNOWN),
        (200, {"data": {"data": "success", "status": 200}}, UNKNOWN),
        (200, {"status": 200}, UNKNOWN),
        (200, {"data": "failed"}, UNKNOWN),
        (200, {"data": "failed", "status": 200}, UNKNOWN),
        (200, {"data": "failed", "status": 500}, UNKNOWN),
        (200, {"data": "failed", "status": "503"}, UNKNOWN),
        (200, {"data": None, "status": None}, UNKNOWN),
        (200, {"data": "rejected", "status": 200}, UNKNOWN),
        (200, {"data": "rejected", "status": 503}, UNKNOWN),
    ],
)
def test_an_answer_has_the_meaning_in_the_table(status: int, body: dict[str, object], kind: AnswerKind) -> None:
    """Status line and body must agree; a contradiction is neither yes nor no."""

    assert read_answer(status, body, None).kind is kind


@pytest.mark.parametrize(("reference", "read"), [("r-1", "r-1"), (None, ""), (7, ""), (["r"], ""), ("", "")])
def test_a_reference_is_text_or_nothing(reference: object, read: str) -> None:
    """A strange one does not undo the yes."""

    answer = read_answer(200, SUCCESS | {"reference": reference}, None)

    assert (answer.kind, answer.reference) == (ACCEPTED, read)


@pytest.mark.parametrize("reference", ["r\x00", "\ud800", "r" * 60_000])
def test_a_reference_that_cannot_be_stored_does_not_reach_the_ledger(reference: str) -> None:
    """No database holds a zero byte or half a character: the yes must be stored all the same."""

    for read in (
        read_answer(200, SUCCESS | {"reference": reference}, None).reference,
        read_status(200, {"state": "executed", "amount": 1, "currency": "USD", "reference": reference}).reference,
    ):
        # Distinguished by bool only: a failure that quoted it could not be reported.
        is_storable = "\x00" not in read and read == read.encode(errors="ignore").decode()
        is_short = len(read) < 1000
        assert (is_storable, is_short) == (True, True)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *[("0", 0.0), ("7", 7.0), ("3600", 3600.0), (None, None), ("", None), ("-1", None), ("1.5", None)],
        *[("soon", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("1e9", None), ("inf", None), ("²", None)],
    ],
)
def test_retry_after_is_whole_seconds_or_nothing(header: str | None, seconds: float | None) -> None:
    """A date means the usual backoff."""

    assert read_answer(429, {}, header).retry_after_s == seconds


def test_retry_after_of_many_digits_stays_a_number_that_can_be_compared() -> None:
    """Not infinity, which no clock can add."""

    retry_after_s = read_answer(429, {}, "9" * 400).retry_after_s

    assert retry_after_s is None or retry_after_s < 1e12


def test_the_detail_of_an_answer_is_short_and_printable() -> None:
    """It is kept with the attempt and shown to people."""

    answer = read_answer(500, {"error": "\x00\ud800" + "x" * 100_000}, None)

    assert len(answer.detail) <= 200
    assert answer.detail.isprintable()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"state": "executed", "amount": 1005, "currency": "USD"}, StatusKind.EXECUTED),
        (200, {"state": "executed"}, StatusKind.EXECUTED),
        (200, {"state": "failed"}, StatusKind.FAILED),
        (200, {"state": "pending"}, StatusKind.PENDING),
        (404, {"state": "not_found"}, StatusKind.NOT_FOUND),
        # A 404 of a proxy, or of a bank with another path, proves nothing about the payment.
        (404, {}, StatusKind.SILENT),
        (404, {"data": "unknown path", "status": 404}, StatusKind.SILENT),
        (404, {"state": "failed"}, StatusKind.SILENT),
        (404, {"state": "executed"}, StatusKind.SILENT),
        (410, {"state": "not_found"}, StatusKind.SILENT),
        (200, {"state": "not_found"}, StatusKind.SILENT),
        (200, {}, StatusKind.SILENT),
        (200, {"state": None}, StatusKind.SILENT),
        (200, {"state": True}, StatusKind.SILENT),
        (200, {"state": ["executed"]}, StatusKind.SILENT),
        (200, {"state": "EXECUTED"}, StatusKind.SILENT),
        (200, {"state": "returned"}, StatusKind.SILENT),
        *[(status, {"state": "failed"}, StatusKind.SILENT) for status in (201, 202, 301, 400, 403, 409, 429, 500, 503)],
        *[(status, {"state": "executed"}, StatusKind.SILENT) for status in (201, 302, 401, 422, 502, 504)],
    ],
)
def test_a_status_has_its_documented_meaning_or_none(status: int, body: dict[str, object], kind: StatusKind) -> None:
    """Only the bank's own clear word ends a doubt."""

    assert read_status(status, body).kind is kind


@pytest.mark.parametrize(
    ("amount", "currency", "money"),
    [
        (1005, "USD", Money("USD", 1005)),
        (True, "USD", None),
        (1005.0, "USD", None),
        ("1005", "USD", None),
        (None, "USD", None),
        (1005, None, None),
        (1005, ["USD"], None),
    ],
)
def test_an_amount_is_an_integer_with_a_currency_or_missing(
    amount: object, currency: object, money: Money | None
) -> None:
    """True is not one minor unit."""

    assert read_status(200, {"state": "executed", "amount": amount, "currency": currency}).amount == money


LINE: dict[str, object] = {
    "number": 5,
    "kind": "execution",
    "key": "wd-1",
    "amount": 1005,
    "currency": "USD",
    "reference": "r-1",
}


def test_a_bank_statement_line_is_parsed_unchanged() -> None:
    """In order, with the number of its last line."""

    page = read_ledger({"lines": [LINE, {**LINE, "number": 6, "kind": "return"}], "last": 9}, after=4)

    assert page is not None
    assert page.last == 9
    assert [(line.number, line.kind, line.key, line.amount, line.reference) for line in page.lines] == [
        (5, LineKind.EXECUTION, "wd-1", Money("USD", 1005), "r-1"),
        (6, LineKind.RETURN, "wd-1", Money("USD", 1005), "r-1"),
    ]


@pytest.mark.parametrize(
    ("spoilt", "read"),
    [
        ({"kind": "gift"}, (LineKind.OTHER, "wd-1", Money("USD", 1005))),
        ({"kind": None}, (LineKind.OTHER, "wd-1", Money("USD", 1005))),
        ({"key": None}, (LineKind.EXECUTION, "", Money("USD", 1005))),
        ({"key": "a\x00b"}, (LineKind.EXECUTION, "ab", Money("USD", 1005))),
        ({"amount": "1005"}, (LineKind.EXECUTION, "wd-1", Money("", 0))),
        ({"amount": -1}, (LineKind.EXECUTION, "wd-1", Money("", 0))),
        ({"amount": 2**63}, (LineKind.EXECUTION, "wd-1", Money("", 0))),
        ({"currency": 7}, (LineKind.EXECUTION, "wd-1", Money("", 0))),
    ],
)
def test_a_bank_statement_line_that_cannot_be_read_is_kept_without_a_match(
    spoilt: dict[str, object], read: tuple[LineKind, str, Money]
) -> None:
    """What can be read of it is; a line is never dropped."""

    page = read_ledger({"lines": [{**LINE, **spoilt}], "last": 5}, after=4)

    assert page is not None
    (line,) = page.lines
    assert (line.kind, line.key, line.amount) == read


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"lines": [LINE]},
        {"lines": {}, "last": 5},
        {"lines": [LINE], "last": "5"},
        {"lines": [7], "last": 5},
        {"lines": [{**LINE, "number": 4}], "last": 5},
        {"lines": [{**LINE, "number": "5"}], "last": 5},
        {"lines": [{**LINE, "number": True}], "last": 5},
        {"lines": [{**LINE, "number": 2**63}], "last": 5},
        {"lines": [LINE, LINE], "last": 5},
        {"lines": [{**LINE, "number": 6}], "last": 6},
        {"lines": [LINE, {**LINE, "number": 7}], "last": 7},
    ],
)
def test_a_ledger_that_is_not_numbered_without_gaps_is_not_read_at_all(body: dict[str, object]) -> None:
    """Or lines would be passed over."""

    assert read_ledger(body, after=4) is None


@pytest.mark.parametrize(
    ("account", "kept"),
    [("DE89370400440532013000", "…3000"), ("12345678", "…"), ("123456789", "…6789"), ("x", "…"), ("", "")],
)
def test_of_an_account_no_more_is_kept_than_distinguishes_it(account: str, kept: str) -> None:
    """Neither of the request, nor of the answer."""

    payment = Payment(key="wd-1", amount=Money("USD", 1005), account=account, owner="Ada")

    assert f'"account": "{kept}"' in payment.stored_form
    assert payment.without_account(f"paid to {account}!") == f"paid to {kept}!"
