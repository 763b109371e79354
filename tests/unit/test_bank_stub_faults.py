"""Every fault that can be ordered does what its name says, on the wire and in the book."""

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event
from time import monotonic

import httpx
import pytest

from bank_stub.server import BankServer, running_bank

BODY = {"amount": 1005, "currency": "USD", "account": "DE02", "owner": "Ada"}


@pytest.fixture
def bank() -> Iterator[BankServer]:
    """Run a bank on a free port that fails only as ordered."""
    with running_bank(fail_rate=0.0, seed=1) as server:
        yield server


@pytest.fixture
def client(bank: BankServer) -> Iterator[httpx.Client]:
    """Open a client of that bank."""
    with httpx.Client(base_url=bank.url, timeout=5) as opened:
        yield opened


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Lend threads for calls that do not come back at once."""
    with ThreadPoolExecutor(8) as threads:
        yield threads


def order(client: httpx.Client, fault: str, **parameters: object) -> int:
    """Order a fault and return its number."""
    answer = client.post("/orders/faults", json={"fault": fault, **parameters})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["id"])


def pay(client: httpx.Client, key: str, path: str = "/", **changes: object) -> httpx.Response:
    """POST a payout, or whatever *path* is for, with *changes* to the usual body."""
    return client.post(path, json=BODY | changes, headers={"Idempotency-Key": key})


def ledger_keys(client: httpx.Client) -> list[str]:
    """Read the keys of all ledger lines."""
    return [line["key"] for line in client.get("/ledger").json()["lines"]]


def state(client: httpx.Client, key: str) -> str:
    """Ask what became of a payout."""
    return str(client.get(f"/transfers/{key}").json()["state"])


def wait_until(true: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait until *true* holds, and fail should it never."""
    deadline, pause = monotonic() + within_s, Event()
    while not true():
        assert monotonic() < deadline, "it never came true"
        pause.wait(0.01)


def raw_payout(bank: BankServer, key: str) -> bytes:
    """Send a payout over a socket of its own and read until the bank hangs up."""
    body = json.dumps(BODY).encode()
    head = f"POST / HTTP/1.1\r\nHost: bank\r\nIdempotency-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((bank.host, bank.port), timeout=5) as line, line.makefile("rb") as answer:
        line.sendall(head.encode() + body)
        return answer.read()


def test_declined_retryable_answers_503_in_the_body_and_is_forgotten(client: httpx.Client) -> None:
    """The same key is executed once the fault is used up."""

    order(client, "declined_retryable", times=1)
    refused = pay(client, "wd-1")

    assert (refused.status_code, refused.json()) == (200, {"data": "failed", "status": 503})
    assert client.get("/transfers/wd-1").status_code == 404
    assert pay(client, "wd-1").json()["data"] == "success"


def test_declined_is_remembered(client: httpx.Client) -> None:
    """A final rejection is repeated for good, and the key is bound to its terms all the same."""

    order(client, "declined", times=1, reason="no such account")
    answers = [pay(client, "wd-1"), pay(client, "wd-1")]

    for answer in answers:
        assert answer.status_code == 200
        assert answer.json() == {"data": "rejected", "status": 422, "reason": "no such account"}
    status = client.get("/transfers/wd-1").json()
    assert status == {"key": "wd-1", "state": "failed", "amount": 1005, "currency": "USD"}
    assert pay(client, "wd-1", amount=1).status_code == 409
    assert ledger_keys(client) == []


def test_declined_after_an_execution_lies_but_changes_nothing(client: httpx.Client) -> None:
    """A no can come from before the bank's memory; asked, the bank still knows what it did."""

    reference = pay(client, "wd-1").json()["reference"]
    order(client, "declined", times=1)

    assert pay(client, "wd-1").json()["data"] == "rejected"
    assert client.get("/transfers/wd-1").json()["reference"] == reference
    assert pay(client, "wd-1").json()["reference"] == reference


@pytest.mark.parametrize("before", [False, True])
def test_delay_answers_late(client: httpx.Client, *, before: bool) -> None:
    """Executed first by default, or, with before, only after the delay."""

    order(client, "delay", seconds=0.1, before=before)
    start = monotonic()

    assert pay(client, "wd-1").json()["data"] == "success"
    assert monotonic() - start >= 0.1
    assert ledger_keys(client) == ["wd-1"]


def test_silence_executes_and_never_answers(client: httpx.Client) -> None:
    """The client gives up; the bank counts the call until it does, and says the truth when asked."""

    order(client, "execute_then_silence", match={"key": "wd-1"})
    with pytest.raises(httpx.ReadTimeout):
        client.post("/", json=BODY, headers={"Idempotency-Key": "wd-1"}, timeout=0.2)

    assert state(client, "wd-1") == "executed"
    wait_until(lambda: client.get("/orders/stats").json()["in_flight"] == 0)
    assert client.get("/orders/stats").json()["in_flight_max"] == 1


def test_silence_ends_by_hanging_up(bank: BankServer, client: httpx.Client) -> None:
    """A bank does not keep a dead line for ever."""

    order(client, "execute_then_silence", seconds=0.05)

    assert raw_payout(bank, "wd-1") == b""


def test_hold_keeps_the_answers_until_released(client: httpx.Client, pool: ThreadPoolExecutor) -> None:
    """Executed at once, answered on release; all of them are seen in flight together."""

    order(client, "hold")
    held = [pool.submit(pay, client, f"wd-{n}") for n in range(5)]
    wait_until(lambda: client.get("/orders/stats").json()["held"] == 5)

    stats = client.get("/orders/stats").json()
    assert (stats["in_flight"], stats["in_flight_max"]) == (5, 5)
    assert sorted(ledger_keys(client)) == [f"wd-{n}" for n in range(5)]
    assert not any(future.done() for future in held)
    assert client.post("/orders/release", json={"key": "wd-3"}).json() == {"released": 1}
    assert held[3].result(30).json()["data"] == "success"
    assert client.post("/orders/release").json() == {"released": 4}
    assert {future.result(30).json()["data"] for future in held} == {"success"}
    stats = client.get("/orders/stats").json()
    assert (stats["in_flight"], stats["in_flight_max"]) == (0, 5)


def test_hold_before_executes_on_release_only(client: httpx.Client, pool: ThreadPoolExecutor) -> None:
    """A payout that lingers on its way executes late, also when its sender has long gone away."""

    order(client, "hold", before=True, times=2)
    lingering = pool.submit(pay, client, "wd-1")
    with pytest.raises(httpx.ReadTimeout):
        client.post("/", json=BODY, headers={"Idempotency-Key": "wd-2"}, timeout=0.2)
    wait_until(lambda: client.get("/orders/stats").json()["held"] == 2)

    assert (state(client, "wd-1"), ledger_keys(client)) == ("not_found", [])
    overtaking = pay(client, "wd-1")
    client.post("/orders/release")
    assert lingering.result(30).json() == overtaking.json()
    wait_until(lambda: ledger_keys(client) == ["wd-1", "wd-2"])


def test_a_stopping_bank_lets_go_of_everything(pool: ThreadPoolExecutor) -> None:
    """Held, delayed, silent and trickling calls end with the bank, and what was not executed never is."""

    def call(url: str, key: str) -> str:
        with httpx.Client(base_url=url, timeout=5) as client:
            try:
                return str(pay(client, key).json()["data"])
            except httpx.TransportError as error:
                return type(error).__name__

    with running_bank(fail_rate=0.0) as bank, httpx.Client(base_url=bank.url) as client:
        order(client, "hold", match={"key": "held"}, before=True)
        order(client, "delay", match={"key": "delayed"}, seconds=60, before=True)
        order(client, "execute_then_silence", match={"key": "silent"})
        order(client, "trickle", match={"key": "trickling"}, interval=60)
        calls: list[Future[str]] = [
            pool.submit(call, bank.url, key) for key in ("held", "delayed", "silent", "trickling")
        ]
        wait_until(lambda: sum(fault["fired"] for fault in client.get("/orders/faults").json()["faults"]) == 4)
        wait_until(lambda: sorted(ledger_keys(client)) == ["silent", "trickling"])
        start = monotonic()

    assert "success" not in {future.result(30) for future in calls}
    assert monotonic() - start < 2


def test_answer_twice_writes_the_answer_twice(bank: BankServer, client: httpx.Client) -> None:
    """The second one may be taken for the answer to the next call on the line."""

    order(client, "answer_twice", times=1)
    body = json.dumps(BODY).encode()
    head = f"POST / HTTP/1.1\r\nHost: bank\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with socket.create_connection((bank.host, bank.port), timeout=5) as line, line.makefile("rb") as answer:
        line.sendall(head + body)
        first = _read_answer(answer.readline, answer.read)
        second = _read_answer(answer.readline, answer.read)

    assert first == second
    assert first["data"] == "success"
    assert client.get("/ledger").json()["last"] == 1


def _read_answer(readline: Callable[[], bytes], read: Callable[[int], bytes]) -> dict[str, object]:
    length = 0
    while line := readline().strip():
        name, _, value = line.partition(b": ")
        length = int(value) if name == b"Content-Length" else length
    parsed = json.loads(read(length))
    assert isinstance(parsed, dict)
    return parsed


def test_too_many_answers_429_and_executes_nothing(client: httpx.Client) -> None:
    """With the time to wait, in whole seconds."""

    order(client, "too_many", seconds=3600)
    answer = pay(client, "wd-1")

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3600")
    assert ledger_keys(client) == []


@pytest.mark.parametrize("status", [302, 401, 403, 404, 500, 502, 504])
@pytest.mark.parametrize("execute", [False, True])
def test_http_error_answers_the_status(client: httpx.Client, status: int, *, execute: bool) -> None:
    """Whether it executed before is ordered, and cannot be told from the answer."""

    order(client, "http_error", status=status, execute=execute, location="/collections")
    answer = pay(client, "wd-1")

    assert answer.status_code == status
    assert answer.headers.get("Location") == ("/collections" if status < 400 else None)
    assert ledger_keys(client) == ["wd-1"] * execute


def test_garbage_is_not_json(client: httpx.Client) -> None:
    """Status 200 says nothing."""

    order(client, "garbage")
    answer = pay(client, "wd-1")

    assert answer.status_code == 200
    with pytest.raises(UnicodeDecodeError):
        answer.json()
    assert ledger_keys(client) == ["wd-1"]


def test_half_a_body_ends_amid_the_answer(bank: BankServer, client: httpx.Client) -> None:
    """The head promises more than comes."""

    order(client, "half_body", match={"key": "wd-1"})
    head, _, body = raw_payout(bank, "wd-1").partition(b"\r\n\r\n")

    assert f"Content-Length: {2 * len(body)}".encode()[:-1] in head
    assert body.startswith(b'{"data": "success"')
    with pytest.raises(httpx.RemoteProtocolError):
        pay(client, "wd-1")
    assert ledger_keys(client) == ["wd-1"]


def test_trickle_sends_byte_by_byte(client: httpx.Client) -> None:
    """No single wait is long, all of them together are: only a total deadline ends it."""

    order(client, "trickle", interval=0.005)
    start = monotonic()

    assert pay(client, "wd-1").json()["data"] == "success"
    assert monotonic() - start > 0.2


def test_reset_tears_the_connection_down(bank: BankServer, client: httpx.Client) -> None:
    """RST, not FIN; executed only when so ordered."""

    order(client, "reset", match={"key": "wd-1"})
    order(client, "reset", match={"key": "wd-2"}, execute=True)
    for key in ("wd-1", "wd-2"):
        with closing(http.client.HTTPConnection(bank.host, bank.port, timeout=5)) as line:
            line.request("POST", "/", json.dumps(BODY), {"Idempotency-Key": key})
            with pytest.raises(ConnectionResetError):
                line.getresponse()

    assert ledger_keys(client) == ["wd-2"]


@pytest.mark.parametrize(("outcome", "answered"), [("executed", "success"), ("failed", "rejected")])
def test_pending_lasts_until_settled(client: httpx.Client, outcome: str, answered: str) -> None:
    """Taken but not decided; settled, it is as if it had been so from the start."""

    order(client, "pending", match={"key": "wd-1"})
    for _ in range(2):
        answer = pay(client, "wd-1")
        assert (answer.status_code, answer.json()) == (202, {"data": "pending", "status": 202})
    pending = client.get("/transfers/wd-1").json()
    assert pending == {"key": "wd-1", "state": "pending", "amount": 1005, "currency": "USD"}
    assert ledger_keys(client) == []

    settled = client.post("/orders/settle", json={"key": "wd-1", "outcome": outcome})
    assert settled.json() == client.get("/transfers/wd-1").json()
    assert settled.json()["state"] == outcome
    assert pay(client, "wd-1").json()["data"] == answered
    assert ledger_keys(client) == ["wd-1"] * (outcome == "executed")


def test_pending_after_an_execution_hides_it(client: httpx.Client) -> None:
    """The status endpoint may lag behind what the bank did."""

    pay(client, "wd-1")
    order(client, "pending", match={"key": "wd-1"}, times=1)
    order(client, "pending", match={"path": "/transfers", "key": "wd-2"}, times=1)

    assert [state(client, "wd-1"), state(client, "wd-1")] == ["pending", "executed"]
    assert [state(client, "wd-2"), state(client, "wd-2")] == ["pending", "not_found"]
    assert client.post("/orders/settle", json={"key": "wd-1", "outcome": "failed"}).status_code == 409


def test_wrong_amount_lies_about_one_minor_unit(client: httpx.Client) -> None:
    """Only the status endpoint lies; the ledger does not."""

    order(client, "wrong_amount", times=1)
    pay(client, "wd-1")

    assert [client.get("/transfers/wd-1").json()["amount"] for _ in range(2)] == [1006, 1005]
    assert client.get("/ledger").json()["lines"][0]["amount"] == 1005


def test_a_fault_hits_only_what_matches_all_that_is_given(client: httpx.Client) -> None:
    """Payouts and collections by default; a path chooses one of them, or a question."""

    order(client, "declined_retryable", match={"account": "DE99"})
    order(client, "http_error", status=500, match={"path": "/collections", "method": "POST"})
    order(client, "http_error", status=502, match={"path": "/transfers", "key": "wd-2"})
    order(client, "http_error", status=504, match={"path": "/ledger"}, times=1)

    assert pay(client, "wd-1").json()["data"] == "success"
    assert pay(client, "wd-2", account="DE99").json()["data"] == "failed"
    assert pay(client, "sd-1", "/collections").status_code == 500
    assert client.get("/collections/sd-1").status_code == 404
    assert [client.get(f"/transfers/wd-{n}").status_code for n in (1, 2)] == [200, 502]
    assert [client.get("/ledger").status_code for _ in range(2)] == [504, 200]


def test_faults_are_tried_in_order_and_listed_with_their_firings(client: httpx.Client) -> None:
    """The first that matches and has times left fires; none fires for what it did not hit."""

    first = order(client, "declined_retryable", times=1)
    never = order(client, "garbage", probability=0)
    third = order(client, "declined", times=1, reason="closed")

    assert [pay(client, f"wd-{n}").json()["data"] for n in range(3)] == ["failed", "rejected", "success"]
    listed = client.get("/orders/faults").json()["faults"]
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
    assert client.delete(f"/orders/faults/{first}").json() == {"removed": 1}
    assert client.delete(f"/orders/faults/{first}").status_code == 404
    assert client.delete("/orders/faults").json() == {"removed": 2}
    assert client.get("/orders/faults").json() == {"faults": []}


def test_a_fault_with_a_probability_fires_some_of_the_time(client: httpx.Client) -> None:
    """By a chance that the seed makes repeatable."""

    order(client, "declined_retryable", probability=0.5)
    said = [pay(client, f"wd-{n}").json()["data"] for n in range(30)]

    assert 5 < said.count("failed") < 25


def test_faults_survive_a_restart(tmp_path: Path) -> None:
    """With how often they fired, and with pending keys still pending."""

    book = str(tmp_path / "bank.sqlite")
    with running_bank(book, fail_rate=0.0) as bank, httpx.Client(base_url=bank.url) as client:
        order(client, "pending", match={"key": "wd-1", "path": "/"}, times=1)
        pay(client, "wd-1")
        before = client.get("/orders/faults").json()

    with running_bank(book, fail_rate=0.0) as bank, httpx.Client(base_url=bank.url) as client:
        assert client.get("/orders/faults").json() == before
        assert state(client, "wd-1") == "pending"
        assert pay(client, "wd-1").status_code == 202
