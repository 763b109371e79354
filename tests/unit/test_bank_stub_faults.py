"""The bank stub's faults: each does what its name promises, on the wire and in the bank's records."""

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from time import monotonic

import httpx
import pytest

from bank_stub.server import BankServer, running_bank
from tests.support.bank_client import BODY, ledger_keys, order_fault, pay, raw_payout, state_of, wait_until


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Lend threads for calls that do not come back at once."""
    with ThreadPoolExecutor(8) as threads:
        yield threads


def test_declined_retryable_answers_503_in_the_body_and_is_forgotten(bank_client: httpx.Client) -> None:
    """The same key is executed once the fault is used up."""

    order_fault(bank_client, "declined_retryable", times=1)
    refused = pay(bank_client, "wd-1")

    assert (refused.status_code, refused.json()) == (200, {"data": "failed", "status": 503})
    assert bank_client.get("/transfers/wd-1").status_code == 404
    assert pay(bank_client, "wd-1").json()["data"] == "success"


def test_declined_is_remembered(bank_client: httpx.Client) -> None:
    """A hard decline is repeated always, and the key is bound to its terms."""

    order_fault(bank_client, "declined", times=1, reason="no such account")
    answers = [pay(bank_client, "wd-1"), pay(bank_client, "wd-1")]

    for answer in answers:
        assert answer.status_code == 200
        assert answer.json() == {"data": "rejected", "status": 422, "reason": "no such account"}
    status = bank_client.get("/transfers/wd-1").json()
    assert status == {"key": "wd-1", "state": "failed", "amount": 1005, "currency": "USD"}
    assert pay(bank_client, "wd-1", amount=1).status_code == 409
    assert ledger_keys(bank_client) == []


def test_declined_after_an_execution_lies_but_changes_nothing(bank_client: httpx.Client) -> None:
    """A decline can come without the bank's memory; its status still has what it did."""

    reference = pay(bank_client, "wd-1").json()["reference"]
    order_fault(bank_client, "declined", times=1)

    assert pay(bank_client, "wd-1").json()["data"] == "rejected"
    assert bank_client.get("/transfers/wd-1").json()["reference"] == reference
    assert pay(bank_client, "wd-1").json()["reference"] == reference


@pytest.mark.parametrize("before", [False, True])
def test_delay_answers_late(bank_client: httpx.Client, *, before: bool) -> None:
    """Executed first by default, or, with before, only after the delay."""

    order_fault(bank_client, "delay", seconds=0.1, before=before)
    start = monotonic()

    assert pay(bank_client, "wd-1").json()["data"] == "success"
    assert monotonic() - start >= 0.1
    assert ledger_keys(bank_client) == ["wd-1"]


def test_silence_executes_and_never_answers(bank_client: httpx.Client) -> None:
    """The client gives up; the bank counts the call until it does, and its status is true."""

    order_fault(bank_client, "execute_then_silence", match={"key": "wd-1"})
    with pytest.raises(httpx.ReadTimeout):
        bank_client.post("/", json=BODY, headers={"Idempotency-Key": "wd-1"}, timeout=0.2)

    assert state_of(bank_client, "wd-1") == "executed"
    wait_until(lambda: bank_client.get("/orders/stats").json()["in_flight"] == 0)
    assert bank_client.get("/orders/stats").json()["in_flight_max"] == 1


def test_silence_ends_by_closing_the_connection(bank: BankServer, bank_client: httpx.Client) -> None:
    """A bank does not keep a dead connection open without a limit."""

    order_fault(bank_client, "execute_then_silence", seconds=0.05)

    assert raw_payout(bank, "wd-1") == b""


def test_hold_keeps_the_answers_until_released(bank_client: httpx.Client, pool: ThreadPoolExecutor) -> None:
    """Executed at once, answered on release; all of them are seen in flight together."""

    order_fault(bank_client, "hold")
    held = [pool.submit(pay, bank_client, f"wd-{n}") for n in range(5)]
    wait_until(lambda: bank_client.get("/orders/stats").json()["held"] == 5)

    stats = bank_client.get("/orders/stats").json()
    assert (stats["in_flight"], stats["in_flight_max"]) == (5, 5)
    assert sorted(ledger_keys(bank_client)) == [f"wd-{n}" for n in range(5)]
    assert not any(future.done() for future in held)
    assert bank_client.post("/orders/release", json={"key": "wd-3"}).json() == {"released": 1}
    assert held[3].result(30).json()["data"] == "success"
    assert bank_client.post("/orders/release").json() == {"released": 4}
    assert {future.result(30).json()["data"] for future in held} == {"success"}
    stats = bank_client.get("/orders/stats").json()
    assert (stats["in_flight"], stats["in_flight_max"]) == (0, 5)


def test_hold_before_executes_on_release_only(bank_client: httpx.Client, pool: ThreadPoolExecutor) -> None:
    """A payout that is delayed executes late, also when its sender has long gone away."""

    order_fault(bank_client, "hold", before=True, times=2)
    lingering = pool.submit(pay, bank_client, "wd-1")
    with pytest.raises(httpx.ReadTimeout):
        bank_client.post("/", json=BODY, headers={"Idempotency-Key": "wd-2"}, timeout=0.2)
    wait_until(lambda: bank_client.get("/orders/stats").json()["held"] == 2)

    assert (state_of(bank_client, "wd-1"), ledger_keys(bank_client)) == ("not_found", [])
    overtaking = pay(bank_client, "wd-1")
    bank_client.post("/orders/release")
    assert lingering.result(30).json() == overtaking.json()
    wait_until(lambda: ledger_keys(bank_client) == ["wd-1", "wd-2"])


def test_a_stopping_bank_releases_everything(pool: ThreadPoolExecutor) -> None:
    """Held, delayed, silent and trickling calls end with the bank, and what was not executed never is."""

    def call(url: str, key: str) -> str:
        with httpx.Client(base_url=url, timeout=5) as bank_client:
            try:
                return str(pay(bank_client, key).json()["data"])
            except httpx.TransportError as error:
                return type(error).__name__

    with running_bank(fail_rate=0.0) as bank, httpx.Client(base_url=bank.url) as bank_client:
        order_fault(bank_client, "hold", match={"key": "held"}, before=True)
        order_fault(bank_client, "delay", match={"key": "delayed"}, seconds=60, before=True)
        order_fault(bank_client, "execute_then_silence", match={"key": "silent"})
        order_fault(bank_client, "trickle", match={"key": "trickling"}, interval=60)
        calls: list[Future[str]] = [
            pool.submit(call, bank.url, key) for key in ("held", "delayed", "silent", "trickling")
        ]
        wait_until(lambda: sum(fault["fired"] for fault in bank_client.get("/orders/faults").json()["faults"]) == 4)
        wait_until(lambda: sorted(ledger_keys(bank_client)) == ["silent", "trickling"])
        start = monotonic()

    assert "success" not in {future.result(30) for future in calls}
    assert monotonic() - start < 2


def test_answer_twice_writes_the_answer_twice(bank: BankServer, bank_client: httpx.Client) -> None:
    """The second one may be taken for the answer to the next call on the connection."""

    order_fault(bank_client, "answer_twice", times=1)
    body = json.dumps(BODY).encode()
    head = f"POST / HTTP/1.1\r\nHost: bank\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with (
        socket.create_connection((bank.host, bank.port), timeout=5) as line,
        line.makefile("rb") as answer,
    ):
        line.sendall(head + body)
        first = _read_answer(answer.readline, answer.read)
        second = _read_answer(answer.readline, answer.read)

    assert first == second
    assert first["data"] == "success"
    assert bank_client.get("/ledger").json()["last"] == 1


def _read_answer(readline: Callable[[], bytes], read: Callable[[int], bytes]) -> dict[str, object]:
    length = 0
    while line := readline().strip():
        name, _, value = line.partition(b": ")
        length = int(value) if name == b"Content-Length" else length
    parsed = json.loads(read(length))
    assert isinstance(parsed, dict)
    return parsed


def test_too_many_answers_429_and_executes_nothing(bank_client: httpx.Client) -> None:
    """With the time to wait, in whole seconds."""

    order_fault(bank_client, "too_many", seconds=3600)
    answer = pay(bank_client, "wd-1")

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3600")
    assert ledger_keys(bank_client) == []


@pytest.mark.parametrize("status", [302, 401, 403, 404, 500, 502, 504])
@pytest.mark.parametrize("execute", [False, True])
def test_http_error_answers_the_status(bank_client: httpx.Client, status: int, *, execute: bool) -> None:
    """Whether it executed before is ordered, and cannot be seen in the answer."""

    order_fault(bank_client, "http_error", status=status, execute=execute, location="/collections")
    answer = pay(bank_client, "wd-1")

    assert answer.status_code == status
    assert answer.headers.get("Location") == ("/collections" if status < 400 else None)
    assert ledger_keys(bank_client) == ["wd-1"] * execute


def test_garbage_is_not_json(bank_client: httpx.Client) -> None:
    """Status 200 proves nothing."""

    order_fault(bank_client, "garbage")
    answer = pay(bank_client, "wd-1")

    assert answer.status_code == 200
    with pytest.raises(UnicodeDecodeError):
        answer.json()
    assert ledger_keys(bank_client) == ["wd-1"]


def test_half_a_body_ends_amid_the_answer(bank: BankServer, bank_client: httpx.Client) -> None:
    """The head promises more than comes."""

    order_fault(bank_client, "half_body", match={"key": "wd-1"})
    head, _, body = raw_payout(bank, "wd-1").partition(b"\r\n\r\n")

    assert f"Content-Length: {2 * len(body)}".encode()[:-1] in head
    assert body.startswith(b'{"data": "success"')
    with pytest.raises(httpx.RemoteProtocolError):
        pay(bank_client, "wd-1")
    assert ledger_keys(bank_client) == ["wd-1"]


def test_trickle_sends_byte_by_byte(bank_client: httpx.Client) -> None:
    """No single wait is long, all of them together are: only a total deadline ends it."""

    order_fault(bank_client, "trickle", interval=0.005)
    start = monotonic()

    assert pay(bank_client, "wd-1").json()["data"] == "success"
    assert monotonic() - start > 0.2


def test_reset_tears_the_connection_down(bank: BankServer, bank_client: httpx.Client) -> None:
    """RST, not FIN; executed only when so ordered."""

    order_fault(bank_client, "reset", match={"key": "wd-1"})
    order_fault(bank_client, "reset", match={"key": "wd-2"}, execute=True)
    for key in ("wd-1", "wd-2"):
        with closing(http.client.HTTPConnection(bank.host, bank.port, timeout=5)) as line:
            line.request("POST", "/", json.dumps(BODY), {"Idempotency-Key": key})
            with pytest.raises(ConnectionResetError):
                line.getresponse()

    assert ledger_keys(bank_client) == ["wd-2"]


@pytest.mark.parametrize(("outcome", "answered"), [("executed", "success"), ("failed", "rejected")])
def test_pending_lasts_until_settled(bank_client: httpx.Client, outcome: str, answered: str) -> None:
    """Taken but not decided; settled, it is as if it had been so from the start."""

    order_fault(bank_client, "pending", match={"key": "wd-1"})
    for _ in range(2):
        answer = pay(bank_client, "wd-1")
        assert (answer.status_code, answer.json()) == (202, {"data": "pending", "status": 202})
    pending = bank_client.get("/transfers/wd-1").json()
    assert pending == {"key": "wd-1", "state": "pending", "amount": 1005, "currency": "USD"}
    assert ledger_keys(bank_client) == []

    settled = bank_client.post("/orders/settle", json={"key": "wd-1", "outcome": outcome})
    assert settled.json() == bank_client.get("/transfers/wd-1").json()
    assert settled.json()["state"] == outcome
    assert pay(bank_client, "wd-1").json()["data"] == answered
    assert ledger_keys(bank_client) == ["wd-1"] * (outcome == "executed")


def test_pending_after_an_execution_hides_it(bank_client: httpx.Client) -> None:
    """The status endpoint may lag behind what the bank did."""

    pay(bank_client, "wd-1")
    order_fault(bank_client, "pending", match={"key": "wd-1"}, times=1)
    order_fault(bank_client, "pending", match={"path": "/transfers", "key": "wd-2"}, times=1)

    assert [state_of(bank_client, "wd-1"), state_of(bank_client, "wd-1")] == ["pending", "executed"]
    assert [state_of(bank_client, "wd-2"), state_of(bank_client, "wd-2")] == ["pending", "not_found"]
    assert bank_client.post("/orders/settle", json={"key": "wd-1", "outcome": "failed"}).status_code == 409


def test_wrong_amount_lies_about_one_minor_unit(bank_client: httpx.Client) -> None:
    """Only the status endpoint lies; the ledger does not."""

    order_fault(bank_client, "wrong_amount", times=1)
    pay(bank_client, "wd-1")

    assert [bank_client.get("/transfers/wd-1").json()["amount"] for _ in range(2)] == [1006, 1005]
    assert bank_client.get("/ledger").json()["lines"][0]["amount"] == 1005


def test_a_fault_hits_only_what_matches_all_that_is_given(bank_client: httpx.Client) -> None:
    """Payouts and collections by default; a path chooses one of them, or a question."""

    order_fault(bank_client, "declined_retryable", match={"account": "DE99"})
    order_fault(bank_client, "http_error", status=500, match={"path": "/collections", "method": "POST"})
    order_fault(bank_client, "http_error", status=502, match={"path": "/transfers", "key": "wd-2"})
    order_fault(bank_client, "http_error", status=504, match={"path": "/ledger"}, times=1)

    assert pay(bank_client, "wd-1").json()["data"] == "success"
    assert pay(bank_client, "wd-2", account="DE99").json()["data"] == "failed"
    assert pay(bank_client, "sd-1", "/collections").status_code == 500
    assert bank_client.get("/collections/sd-1").status_code == 404
    assert [bank_client.get(f"/transfers/wd-{n}").status_code for n in (1, 2)] == [200, 502]
    assert [bank_client.get("/ledger").status_code for _ in range(2)] == [504, 200]


def test_faults_are_tried_in_order_and_listed_with_their_firings(bank_client: httpx.Client) -> None:
    """The first that matches and has times left fires; none fires for what it did not hit."""

    first = order_fault(bank_client, "declined_retryable", times=1)
    never = order_fault(bank_client, "garbage", probability=0)
    third = order_fault(bank_client, "declined", times=1, reason="closed")

    assert [pay(bank_client, f"wd-{n}").json()["data"] for n in range(3)] == ["failed", "rejected", "success"]
    listed = bank_client.get("/orders/faults").json()["faults"]
    assert [(fault["id"], fault["fired"]) for fault in listed] == [(first, 1), (never, 0), (third, 1)]
    assert listed[2] == {
        "id": third,
        "fault": "declined",
        "match": {},
        "times": 1,
        "probability": 1.0,
        "fired": 1,
        "reason": "closed",
    }
    assert bank_client.delete(f"/orders/faults/{first}").json() == {"removed": 1}
    assert bank_client.delete(f"/orders/faults/{first}").status_code == 404
    assert bank_client.delete("/orders/faults").json() == {"removed": 2}
    assert bank_client.get("/orders/faults").json() == {"faults": []}


def test_a_fault_with_a_probability_fires_some_of_the_time(bank_client: httpx.Client) -> None:
    """By a chance that the seed makes repeatable."""

    order_fault(bank_client, "declined_retryable", probability=0.5)
    message = [pay(bank_client, f"wd-{n}").json()["data"] for n in range(30)]

    assert 5 < message.count("failed") < 25


def test_faults_survive_a_restart(tmp_path: Path) -> None:
    """With how often they fired, and with pending keys still pending."""

    book = str(tmp_path / "bank.sqlite")
    with running_bank(book, fail_rate=0.0) as bank, httpx.Client(base_url=bank.url) as bank_client:
        order_fault(bank_client, "pending", match={"key": "wd-1", "path": "/"}, times=1)
        pay(bank_client, "wd-1")
        before = bank_client.get("/orders/faults").json()

    with running_bank(book, fail_rate=0.0) as bank, httpx.Client(base_url=bank.url) as bank_client:
        assert bank_client.get("/orders/faults").json() == before
        assert state_of(bank_client, "wd-1") == "pending"
        assert pay(bank_client, "wd-1").status_code == 202
