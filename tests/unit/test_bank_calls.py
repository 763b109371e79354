"""Calls to the bank over HTTP: each ends within its deadline, is made once, and never raises."""

import json
import socket
from time import monotonic

import httpx
import pytest

from bank_stub.server import BankServer
from tests.support.payouts import Bank
from tests.support.raw_bank import answering, http_200
from wallet_core.domain.model.bank import AnswerKind, Payment, StatusKind
from wallet_core.domain.model.money import Money
from wallet_core.gateways.bank import HttpBank

ACCEPTED, DECLINED_RETRYABLE, DECLINED = AnswerKind.ACCEPTED, AnswerKind.DECLINED_RETRYABLE, AnswerKind.DECLINED
NOT_SENT, UNKNOWN = AnswerKind.NOT_SENT, AnswerKind.UNKNOWN
SUCCESS: dict[str, object] = {"data": "success", "status": 200, "reference": "r-1"}
FAILED: dict[str, object] = {"data": "failed", "status": 503}
REJECTED: dict[str, object] = {"data": "rejected", "status": 422, "reason": "closed"}
PAYMENT = Payment(key="wd-1", amount=Money("USD", 1005), account="DE02", owner="Ada")
PATIENT_S = 10.0
DEADLINE_S = 0.4
# What a busy machine may add to a deadline.
MARGIN_S = 5.0


def gateway(url: str, *, deadline_s: float = PATIENT_S, answer_max_bytes: int = 65536) -> HttpBank:
    """Return the gateway to a bank at *url*."""
    return HttpBank(url=url, deadline_s=deadline_s, answer_max_bytes=answer_max_bytes)


def order(bank: BankServer, fault: str, **parameters: object) -> None:
    """Order a fault from the bank."""
    Bank(bank.url).order(fault, times=None, **parameters)


def posts(bank: BankServer) -> int:
    """Return how many payments the bank was sent."""
    return sum(Bank(bank.url).stats()["posts"].values())


def test_an_acceptance_of_the_bank_has_the_amount_it_paid(bank: BankServer) -> None:
    """The contract, from end to end: what was requested is what the bank knows."""

    answer = gateway(bank.url).pay(PAYMENT)
    status = gateway(bank.url).status(PAYMENT)

    assert (answer.kind, status.kind) == (ACCEPTED, StatusKind.EXECUTED)
    assert (PAYMENT.amount, answer.reference) == (status.amount, status.reference)
    assert answer.reference != ""
    (sent,) = httpx.get(bank.url + "/orders/requests", params={"key": "wd-1"}).json()["bodies"]
    assert (sent if isinstance(sent, dict) else json.loads(sent)) == {
        "amount": 1005,
        "currency": "USD",
        "account": "DE02",
        "owner": "Ada",
    }


@pytest.mark.parametrize(
    ("fault", "parameters", "kind"),
    [
        ("declined_retryable", {}, DECLINED_RETRYABLE),
        ("declined", {}, DECLINED),
        ("too_many", {"seconds": 7}, DECLINED_RETRYABLE),
        ("answer_twice", {}, ACCEPTED),
        ("garbage", {}, UNKNOWN),
        ("half_body", {}, UNKNOWN),
        ("reset", {}, UNKNOWN),
        ("reset", {"execute": True}, UNKNOWN),
        ("pending", {}, UNKNOWN),
        *[("http_error", {"status": status}, UNKNOWN) for status in (301, 302, 307, 404, 409, 500, 502, 503, 504)],
        ("http_error", {"status": 500, "execute": True}, UNKNOWN),
        *[("http_error", {"status": status}, DECLINED) for status in (400, 422)],
        *[("http_error", {"status": status}, NOT_SENT) for status in (401, 403)],
    ],
)
def test_a_fault_on_the_wire_is_read_as_in_the_table(
    bank: BankServer, fault: str, parameters: dict[str, object], kind: AnswerKind
) -> None:
    """The bank is called once: no library repeats the call by itself."""

    order(bank, fault, **parameters)

    assert gateway(bank.url).pay(PAYMENT).kind is kind
    assert posts(bank) == 1


def test_retry_after_comes_with_the_no(bank: BankServer) -> None:
    """In seconds, as the bank answered."""

    order(bank, "too_many", seconds=7)

    assert gateway(bank.url).pay(PAYMENT).retry_after_s == 7


@pytest.mark.parametrize("path", ["/", "/transfers/wd-1"])
def test_a_redirect_is_never_followed(bank: BankServer, path: str) -> None:
    """Money goes where the settings direct it."""

    order(bank, "http_error", status=307, location=path)

    assert gateway(bank.url).pay(PAYMENT).kind is UNKNOWN
    assert posts(bank) == 1
    assert gateway(bank.url).status(PAYMENT).kind is StatusKind.NOT_FOUND


@pytest.mark.parametrize(
    ("fault", "parameters"),
    [
        ("trickle", {"interval": 0.3}),
        ("execute_then_silence", {"seconds": 30}),
        ("hold", {}),
        ("hold", {"before": True}),
        ("delay", {"seconds": 30}),
    ],
)
def test_a_slow_bank_is_given_up_at_the_total_deadline(
    bank: BankServer, fault: str, parameters: dict[str, object]
) -> None:
    """Body included: a byte now and then does not buy time."""

    order(bank, fault, **parameters)
    started_at = monotonic()
    answer = gateway(bank.url, deadline_s=DEADLINE_S).pay(PAYMENT)
    took_s = monotonic() - started_at

    assert answer.kind is UNKNOWN
    assert DEADLINE_S * 0.9 <= took_s <= DEADLINE_S + MARGIN_S


def test_a_status_that_trickles_in_is_given_up_at_the_total_deadline(bank: BankServer) -> None:
    """A status call is bounded like a payment."""

    order(bank, "trickle", interval=0.3, match={"path": "/transfers"})
    started_at = monotonic()

    assert gateway(bank.url, deadline_s=DEADLINE_S).status(PAYMENT).kind is StatusKind.SILENT
    assert monotonic() - started_at <= DEADLINE_S + MARGIN_S


def test_a_bank_that_refuses_connections_was_sent_nothing() -> None:
    """Without a listener."""

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = gateway(f"http://127.0.0.1:{unused.getsockname()[1]}")

        assert nobody.pay(PAYMENT).kind is NOT_SENT
        assert nobody.status(PAYMENT).kind is StatusKind.SILENT


@pytest.mark.parametrize("url", ["http://no-such-host.invalid", "nonsense", "ftp://127.0.0.1", "http://[", "http://"])
def test_an_address_that_leads_nowhere_was_sent_nothing(url: str) -> None:
    """Neither call raises, and nothing is in doubt that never left the house."""

    nowhere = gateway(url)

    assert nowhere.status(PAYMENT).kind is StatusKind.SILENT
    assert nowhere.pay(PAYMENT).kind is NOT_SENT


def test_an_answer_larger_than_is_read_is_unknown(bank: BankServer) -> None:
    """However right it may be."""

    assert gateway(bank.url, answer_max_bytes=20).pay(PAYMENT).kind is UNKNOWN
    assert gateway(bank.url, answer_max_bytes=20).status(PAYMENT).kind is StatusKind.SILENT
    assert gateway(bank.url).status(PAYMENT).kind is StatusKind.EXECUTED


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"success"',
        b"200",
        b"NaN",
        b"\xff\xfe\x00",
        b'{"data": "success", "status": 200',
        b'[{"data": "success", "status": 200}]',
        b'{"data": "success", "status": 200} {"data": "failed", "status": 503}',
        b'{"data": "success", "status": ' + b"2" * 5000 + b"}",
        b"[" * 60_000,
        b'{"data":' * 7_000,
        *(
            b'{"data": "success", "status": 200, "x": ' + b"[" * depth + b"]" * depth + b"}"
            for depth in (30, 500, *range(850, 1000, 10), 5_000, 20_000)
        ),
    ],
)
def test_a_body_that_cannot_be_read_is_unknown_and_raises_nothing(body: bytes) -> None:
    """Nothing is read into what is no object, nor does nesting bring anything down."""

    with answering(http_200(body)) as url:
        assert gateway(url).pay(PAYMENT).kind is UNKNOWN
        assert gateway(url).status(PAYMENT).kind is StatusKind.SILENT


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00" * 100,
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: minus\r\n\r\n{}",
        b"HTTP/1.1 999999 ?\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
        b"HTTP/1.1 429 Slow\r\nRetry-After: \xb2\xb3\r\nContent-Length: 100\r\n\r\n",
    ],
)
def test_what_is_no_answer_at_all_is_unknown_and_raises_nothing(answer: bytes) -> None:
    """The call may have arrived."""

    with answering(answer) as url:
        assert gateway(url).pay(PAYMENT).kind is UNKNOWN
