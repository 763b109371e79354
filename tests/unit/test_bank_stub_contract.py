"""The bank stub's contract: what it answers, what it stores, and what survives being killed."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import httpx
import pytest

from bank_stub.server import BankServer, running_bank
from tests.support.bank_client import BODY, ledger_keys, pay

ROOT = Path(__file__).parents[2]


@contextmanager
def bank_process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a bank as a process of its own; yields it and its address."""
    command = [sys.executable, "-m", "bank_stub", "--port", "0", "--fail-rate", "0", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            assert ready.startswith("bank stub listening on http://127.0.0.1:")
            yield process, ready.split()[-1]
        finally:
            process.kill()


def test_a_payout_answers_success_with_a_reference(bank_client: httpx.Client) -> None:
    """The base of the contract, as the original services knew it, and our reference."""

    answer = pay(bank_client, "wd-1")

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {"data": "success", "status": 200, "reference": answer.json()["reference"]}


def test_a_payout_without_account_and_owner_is_executed(bank_client: httpx.Client) -> None:
    """Both may be empty, and may be left out."""

    assert bank_client.post("/", json={"amount": 1, "currency": "EUR"}).json()["data"] == "success"
    assert pay(bank_client, account="", owner="").json()["data"] == "success"


def test_a_repeated_key_is_executed_once_and_answered_alike(bank_client: httpx.Client) -> None:
    """A key remembers its execution always."""

    first, second = pay(bank_client, "wd-1"), pay(bank_client, "wd-1", owner="somebody else")

    assert first.json() == second.json()
    assert ledger_keys(bank_client) == ["wd-1"]


@pytest.mark.parametrize(("name", "value"), [("amount", 1006), ("currency", "EUR"), ("account", "DE03")])
def test_a_repeated_key_with_other_terms_conflicts(bank_client: httpx.Client, name: str, value: object) -> None:
    """A key is bound to its terms; nothing is executed for others."""

    pay(bank_client, "wd-1")
    answer = bank_client.post("/", json=BODY | {name: value}, headers={"Idempotency-Key": "wd-1"})

    assert (answer.status_code, answer.json()) == (409, {"data": "conflict", "status": 409})
    assert ledger_keys(bank_client) == ["wd-1"]


def test_requests_without_a_key_execute_every_time(bank_client: httpx.Client) -> None:
    """Without a key there is nothing to remember by; an empty one is none."""

    references = {
        pay(bank_client).json()["reference"],
        pay(bank_client).json()["reference"],
        pay(bank_client, "").json()["reference"],
    }

    assert len(references) == 3
    assert ledger_keys(bank_client) == [None, None, None]


def test_simultaneous_posts_with_one_key_execute_once(bank_client: httpx.Client) -> None:
    """The second caller gets the first one's outcome."""

    barrier = Barrier(8)

    def post(_: int) -> str:
        barrier.wait()
        return str(pay(bank_client, "wd-1").json()["reference"])

    with ThreadPoolExecutor(8) as pool:
        references = set(pool.map(post, range(8)))

    assert len(references) == 1
    assert ledger_keys(bank_client) == ["wd-1"]
    stats = bank_client.get("/orders/stats").json()
    assert stats["posts"] == {"wd-1": 8}
    assert stats["in_flight"] == 0


def test_a_fail_rate_fails_some_and_forgets_it() -> None:
    """A soft decline is in the body only and is not remembered; the seed makes it repeatable."""

    def answers() -> list[str]:
        with running_bank(fail_rate=0.5, seed=7) as bank, httpx.Client(base_url=bank.url) as bank_client:
            seen = []
            for _ in range(20):
                answer = pay(bank_client, "wd-1")
                assert answer.status_code == 200
                seen.append(str(answer.json()["data"]))
            assert bank_client.get("/ledger").json()["last"] == 1
            return seen

    first = answers()
    assert first == answers()
    # Once it has accepted a key it never declines it.
    assert first == ["failed"] * first.count("failed") + ["success"] * first.count("success")


def test_a_bank_that_always_fails_executes_nothing() -> None:
    """The exact answer of a soft decline."""

    with running_bank(fail_rate=1.0) as bank, httpx.Client(base_url=bank.url) as bank_client:
        assert pay(bank_client, "wd-1").json() == {"data": "failed", "status": 503}
        assert bank_client.get("/ledger").json() == {"lines": [], "last": 0}
        assert bank_client.get("/transfers/wd-1").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"amount": 1.0, "currency": "USD"}',
        b'{"amount": true, "currency": "USD"}',
        b'{"amount": 0, "currency": "USD"}',
        b'{"amount": 9223372036854775808, "currency": "USD"}',
        b'{"amount": 1, "currency": ""}',
        b'{"amount": 1, "currency": "USD", "account": null}',
        b'{"amount": 1, "currency": "USD", "account": "\\ud800"}',
        b"[" * 60_000,
    ],
)
def test_a_malformed_body_is_rejected_with_a_reason(bank_client: httpx.Client, body: bytes) -> None:
    """What cannot be read is refused with a reason, and never with a stack trace."""

    answer = bank_client.post("/", content=body)

    assert answer.status_code == 400
    assert answer.json() == {"data": "rejected", "status": 400, "reason": answer.json()["reason"]}
    assert ledger_keys(bank_client) == []


def test_a_body_over_the_limit_is_refused(bank_client: httpx.Client) -> None:
    """64 KiB is more than any payout needs."""

    assert bank_client.post("/", content=b"x" * (64 * 1024 + 1)).status_code == 413
    assert bank_client.post("/", content=iter([b"{}"])).status_code == 411


def test_an_unusable_key_is_refused(bank_client: httpx.Client) -> None:
    """A key must be something a path can carry."""

    assert pay(bank_client, "k" * 256).status_code == 400


def test_an_unknown_path_is_not_found(bank_client: httpx.Client) -> None:
    """Also with a known path and another method."""

    for method, path in [("GET", "/nowhere"), ("GET", "/"), ("POST", "/ledger"), ("GET", "/orders/x"), ("DELETE", "/")]:
        answer = bank_client.request(method, path)
        assert (answer.status_code, answer.json()) == (404, {"data": "unknown path", "status": 404})


def test_what_is_not_http_is_refused_in_json(bank: BankServer) -> None:
    """No page of HTML, and no trace, with any input."""

    with socket.create_connection((bank.host, bank.port), timeout=5) as line:
        line.sendall(b"HELLO\r\n\r\n")
        with line.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 ")
    assert body.startswith(b'{"data": "rejected", "status": 400')


def test_status_distinguishes_executed_and_not_found(bank_client: httpx.Client) -> None:
    """The bank's own word about a key, which may have any character a path must quote."""

    reference = pay(bank_client, "wd 1/ä".encode().hex()).json()["reference"]
    odd = pay(bank_client, "wd/1 %?").json()["reference"]

    known = bank_client.get("/transfers/" + "wd 1/ä".encode().hex())
    assert known.json() == {
        "key": "wd 1/ä".encode().hex(),
        "state": "executed",
        "amount": 1005,
        "currency": "USD",
        "reference": reference,
    }
    assert bank_client.get("/transfers/wd%2F1%20%25%3F").json()["reference"] == odd
    unknown = bank_client.get("/transfers/wd-9")
    assert (unknown.status_code, unknown.json()) == (404, {"key": "wd-9", "state": "not_found"})


def test_collections_have_their_own_keys_and_lines(bank_client: httpx.Client) -> None:
    """The same contract for pulling money in; a payout with the same key is another matter."""

    paid = pay(bank_client, "same").json()["reference"]
    collected = pay(bank_client, "same", "/collections").json()["reference"]

    assert pay(bank_client, "same", "/collections").json()["reference"] == collected
    assert bank_client.get("/transfers/same").json()["reference"] == paid
    assert bank_client.get("/collections/same").json()["reference"] == collected
    assert bank_client.get("/collections/other").status_code == 404
    assert [line["kind"] for line in bank_client.get("/ledger").json()["lines"]] == ["execution", "collection"]


def test_the_ledger_is_numbered_without_gaps_and_paged(bank_client: httpx.Client) -> None:
    """A follower with a cursor sees every line once, in order."""

    references = [pay(bank_client, f"wd-{n}", amount=n).json()["reference"] for n in range(1, 6)]
    bank_client.post("/orders/return", json={"key": "wd-2"})

    page = bank_client.get("/ledger", params={"after": 1, "limit": 2}).json()
    assert [line["number"] for line in page["lines"]] == [2, 3]
    assert page["last"] == 6
    lines = bank_client.get("/ledger?limit=5000").json()["lines"]
    assert [line["number"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert lines[5] == {
        "number": 6,
        "kind": "return",
        "key": "wd-2",
        "amount": 2,
        "currency": "USD",
        "account": "DE02",
        "reference": references[1],
    }
    assert bank_client.get("/ledger?after=6").json() == {"lines": [], "last": 6}
    assert bank_client.get("/ledger?after=-1").status_code == 400
    assert bank_client.get("/ledger?limit=0").status_code == 400


def test_a_return_needs_an_execution_and_happens_once(bank_client: httpx.Client) -> None:
    """Money comes back once for each time it was paid."""

    assert bank_client.post("/orders/return", json={"key": "wd-1"}).status_code == 404
    pay(bank_client, "wd-1")
    assert bank_client.post("/orders/return", json={"key": "wd-1"}).status_code == 200
    assert bank_client.post("/orders/return", json={"key": "wd-1"}).status_code == 404


def test_a_forgotten_key_is_unknown_and_executes_again(bank_client: httpx.Client) -> None:
    """A bank keeps keys for a time; its ledger it keeps always."""

    pay(bank_client, "wd-1")
    pay(bank_client, "wd-2")
    assert bank_client.post("/orders/forget", json={"key": "wd-1"}).json() == {"forgotten": 1}

    assert bank_client.get("/transfers/wd-1").status_code == 404
    assert bank_client.get("/transfers/wd-2").status_code == 200
    pay(bank_client, "wd-1")
    assert ledger_keys(bank_client) == ["wd-1", "wd-2", "wd-1"]
    assert bank_client.post("/orders/forget").json() == {"forgotten": 2}


def test_a_bank_without_idempotency_executes_every_post(bank_client: httpx.Client) -> None:
    """It ignores keys, and knows only of the first execution of each."""

    assert bank_client.post("/orders/mode", json={"idempotent": False}).json() == {"idempotent": False, "status": True}

    references = [pay(bank_client, "wd-1", amount=n).json()["reference"] for n in (1, 2)]

    assert ledger_keys(bank_client) == ["wd-1", "wd-1"]
    assert bank_client.get("/transfers/wd-1").json()["reference"] == references[0]
    assert bank_client.get("/orders/stats").json()["executions"] == {"wd-1": 2}


def test_a_bank_without_status_answers_so(bank_client: httpx.Client) -> None:
    """This bank has no status call at all."""

    bank_client.post("/orders/mode", json={"status": False})

    assert bank_client.get("/transfers/wd-1").status_code == 501
    assert bank_client.get("/collections/wd-1").status_code == 501
    assert bank_client.get("/orders/mode").json() == {"idempotent": True, "status": False}


def test_the_bank_executes_on_its_own(bank_client: httpx.Client) -> None:
    """For a key it had rejected as for one it never saw, and also without any."""

    bank_client.post("/orders/faults", json={"fault": "declined", "times": 1})
    pay(bank_client, "wd-1")
    for body in [BODY | {"key": "wd-1"}, BODY | {"key": "wd-2", "amount": 7}, BODY]:
        assert bank_client.post("/orders/execute", json=body).status_code == 200

    assert ledger_keys(bank_client) == ["wd-1", "wd-2", None]
    assert bank_client.get("/transfers/wd-1").json()["state"] == "executed"
    assert bank_client.get("/transfers/wd-2").json()["amount"] == 7


def test_stats_count_and_can_be_reset(bank_client: httpx.Client) -> None:
    """What a test reads after the fact; bodies are kept as they came, extra keys and all."""

    pay(bank_client, "wd-1", note="for the cat")
    pay(bank_client, "wd-1")
    pay(bank_client)
    bank_client.get("/transfers/wd-1")

    assert bank_client.get("/orders/stats").json() == {
        "in_flight": 0,
        "in_flight_max": 1,
        "held": 0,
        "posts": {"": 1, "wd-1": 2},
        "asks": {"wd-1": 1},
        "executions": {"": 1, "wd-1": 1},
    }
    bodies = bank_client.get("/orders/requests?key=wd-1").json()["bodies"]
    assert ["cat" in body for body in bodies] == [True, False]
    bank_client.post("/orders/stats/reset")
    empty = {"in_flight": 0, "in_flight_max": 0, "held": 0, "posts": {}, "asks": {}, "executions": {}}
    assert bank_client.get("/orders/stats").json() == empty
    assert bank_client.get("/ledger").json()["last"] == 2


def test_refused_connections_are_taken_again_on_the_same_port(bank: BankServer, bank_client: httpx.Client) -> None:
    """The door really closes, also to lines that were open; then it opens where it was."""

    with socket.create_connection((bank.host, bank.port), timeout=5) as idle:
        idle.sendall(b"GET /ledger HTTP/1.1\r\nHost: bank\r\n\r\n")
        assert idle.recv(65536)
        bank_client.post("/orders/refuse", json={"seconds": 0.3})
        assert idle.recv(1) == b""
        with pytest.raises(httpx.ConnectError):
            pay(bank_client, "wd-1")

    transport = httpx.HTTPTransport(retries=8)  # backs off from half a second on, without a sleep of ours
    with httpx.Client(base_url=bank.url, transport=transport, timeout=5) as patient:
        assert pay(patient, "wd-1").json()["data"] == "success"
        assert ledger_keys(patient) == ["wd-1"]


def test_an_order_with_a_slip_of_the_pen_is_refused(bank_client: httpx.Client) -> None:
    """An order that half works would make a test pass for the wrong reason."""

    for path, body in [
        ("/orders/mode", {"idempotence": False}),
        ("/orders/faults", {"fault": "no_for_ever"}),
        ("/orders/faults", {"fault": "reset", "seconds": 1}),
        ("/orders/faults", {"fault": "reset", "match": {"keys": "wd-1"}}),
        ("/orders/faults", {"fault": "reset", "probability": 2}),
        ("/orders/faults", {"fault": "reset", "times": 0}),
        ("/orders/faults", {"fault": "http_error", "status": 200}),
        ("/orders/refuse", {}),
        ("/orders/settle", {"key": "wd-1", "outcome": "pending"}),
    ]:
        assert bank_client.post(path, json=body).status_code == 400, (path, body)
    assert bank_client.post("/orders/settle", json={"key": "wd-1", "outcome": "failed"}).status_code == 404


def test_a_killed_bank_remembers_everything(tmp_path: Path) -> None:
    """Executions, keys, faults, modes and counts are in the file before an answer is out."""

    state = ["--state", str(tmp_path / "bank.sqlite")]
    with bank_process(*state) as (process, url), httpx.Client(base_url=url, timeout=5) as bank_client:
        reference = pay(bank_client, "wd-1").json()["reference"]
        bank_client.post("/orders/faults", json={"fault": "declined_retryable", "match": {"key": "wd-2"}, "times": 2})
        pay(bank_client, "wd-2")
        bank_client.post("/orders/mode", json={"status": False})
        bank_client.post("/orders/faults", json={"fault": "execute_then_silence", "match": {"key": "wd-3"}})
        with pytest.raises(httpx.ReadTimeout):
            bank_client.post("/", json=BODY, headers={"Idempotency-Key": "wd-3"}, timeout=0.2)
        process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL

    with bank_process(*state) as (_, url), httpx.Client(base_url=url, timeout=5) as bank_client:
        assert pay(bank_client, "wd-1").json()["reference"] == reference
        assert ledger_keys(bank_client) == ["wd-1", "wd-3"]
        assert bank_client.get("/transfers/wd-1").status_code == 501
        assert [fault["fired"] for fault in bank_client.get("/orders/faults").json()["faults"]] == [1, 1]
        assert [pay(bank_client, "wd-2").json()["data"] for _ in range(2)] == ["failed", "success"]
        assert bank_client.get("/orders/stats").json()["posts"] == {"wd-1": 2, "wd-2": 3, "wd-3": 1}


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_bank_exits_cleanly(stop: signal.Signals) -> None:
    """Also with a line open; and it prints one line in all its life."""

    with bank_process() as (process, url), httpx.Client(base_url=url, timeout=5) as bank_client:
        pay(bank_client)
        process.send_signal(stop)
        assert process.wait(30) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""
