"""LoadShedding: no more calls wait than the settings permit.

The others are rejected at once, and health still answers.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from typing import Any
from uuid import uuid4

import grpc
import psycopg
import pytest
from google.protobuf.message import Message
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support.api import Api
from tests.support.batching import locked
from tests.support.callers import balance, open_funded, usd
from tests.support.issuer import SECRET, bearer, by_secret
from tests.support.requests import money
from tests.support.wire import Answer, Wire
from wallet_client import CallFailed, WalletClient
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.interceptors.overload import LoadShedding, RefusalBackoff
from wallet_grpc.runtime.receiving import CallLimits, Calls
from wallet_grpc.security.tokens import DEVELOPMENT_ISSUER
from wallet_grpc.server.process import authentication
from wallet_grpc.server.serving import serving
from walletctl.local.waiting import wait_until

THREADS, WAITING = 2, 3
TAKEN = THREADS + WAITING
SENT = 3 * TAKEN
ALICE = "wallets/alice"
# Far more than it takes, far less than a stuck wallet holds a call up.
AT_ONCE_S = 5.0


@pytest.fixture
def target(app: App, settings: Settings) -> Iterator[str]:
    """Serve with two threads and room for three more; a stuck wallet holds calls up for long."""
    small = {"grpc_threads": THREADS, "grpc_queue_max": WAITING}
    with serving(app, settings.replaced(**small)) as port:
        target = f"127.0.0.1:{port}"
        with WalletClient(target) as client:
            open_funded(client, alice=0)
        yield target


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings by which a batch waits for a lock for longer than any test takes."""
    return settings.replaced(lock_timeout_s=30.0)


def a_deposit() -> Message:
    """Return a request for one."""
    return pb.DepositRequest(wallet=ALICE, amount=money(1), request_id=str(uuid4()))


def ask(wire: Wire, request: Message) -> Answer:
    """Deposit."""
    return wire.call("TransactionService/Deposit", request, timeout_s=30)


def fill_up(pool: ThreadPoolExecutor, wire: Wire) -> tuple[list[Future[Answer]], list[Answer]]:
    """Send more at once than the server takes; return those that will be answered, and how the rest was rejected."""
    requests = [pool.submit(ask, wire, a_deposit()) for _ in range(SENT)]
    assert wait_until(lambda: sum(one.done() for one in requests) == SENT - TAKEN, timeout_s=30)
    return [one for one in requests if not one.done()], [one.result() for one in requests if one.done()]


def validate_only(wire: Wire, timeout_s: float = AT_ONCE_S) -> Answer:
    """Read a wallet, but do not wait long for it."""
    return wire.call("WalletService/GetWallet", wallet_pb.GetWalletRequest(name=ALICE), timeout_s=timeout_s)


def test_what_would_wait_too_long_is_turned_away_at_once_and_the_rest_is_done(target: str, settings: Settings) -> None:
    """SERVER_OVERLOADED with RetryInfo, on every method, streams too; repeated with its id, it is done once."""

    with Api(target) as api, ThreadPoolExecutor(SENT) as pool, WalletClient(target) as client:
        with locked(settings.required_database_url(), WalletId("alice")):
            taken, refused = fill_up(pool, api)
            late = a_deposit()
            started_at = monotonic()
            refused += [ask(api, late) for _ in range(20)]
            took_s = (monotonic() - started_at) / 20
            stream = api.call("TransactionService/ExportStatement", b"")
            healthy = client.is_serving(AT_ONCE_S)
        answers = [future.result(30) for future in taken]
        again = api.insist(late)
        left = balance(client, "alice")

    assert {(one.code, one.reason) for one in [*refused, stream]} == {("RESOURCE_EXHAUSTED", "SERVER_OVERLOADED")}
    assert all(one.retry_ms for one in refused)
    assert took_s < AT_ONCE_S
    assert healthy
    assert [one.code for one in answers] == ["OK"] * TAKEN
    assert again.code == "OK"
    assert left == TAKEN + 1


def test_the_more_calls_are_rejected_the_longer_the_advised_wait() -> None:
    """So that the retries take no more time than there is; once they are few, the wait is short again."""

    clock = [0.0]
    pace = RefusalBackoff(lambda: clock[0])

    def waits(seconds: int, per_s: int) -> list[int]:
        results = []
        for _ in range(seconds * per_s):
            clock[0] += 1 / per_s
            results.append(pace.delay_ms())
        return results[-per_s // 2 :]

    few, many, too_many = waits(5, 100), waits(3, 1000), waits(20, 4000)
    assert (min(few), max(few)) == (100, 300)
    assert min(many) > max(few)
    assert (min(too_many), max(too_many)) == (2500, 7500)
    assert len(set(too_many)) > 3
    assert max(waits(5, 10)) == 300


class Far(RefusalBackoff):
    """Advises every caller to wait for long."""

    def delay_ms(self) -> int:
        """Return a minute."""
        return 60_000


def test_a_caller_whose_deadline_is_before_the_wait_is_rejected_at_once() -> None:
    """Its channel would wait regardless, and then report only that the deadline has passed."""

    calls = Calls(CallLimits(receive_timeout_s=3.0, receiving_max=9, send_timeout_s=3.0, unsent_max_bytes=1000))
    workers = calls.pool("grpc", 1, 0)
    server = grpc.server(workers, interceptors=[LoadShedding(workers, {}, Far())])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with WalletClient(f"127.0.0.1:{port}", timeout_s=30, accept_language="fa") as client:
        began_at = monotonic()
        with pytest.raises(CallFailed) as caught:
            client.create_wallet("alice", "USD")
        took_s = monotonic() - began_at
    server.stop(None).wait()
    calls.close()

    assert (type(caught.value), caught.value.reason) == (CallFailed, "SERVER_OVERLOADED")
    assert caught.value.localized
    assert took_s < 10


def test_our_client_comes_through_once_there_is_room(target: str, settings: Settings) -> None:
    """It waits as advised and retries: its caller gets only an answer."""

    with Api(target) as api, ThreadPoolExecutor(SENT + 1) as pool, WalletClient(target) as client:
        with locked(settings.required_database_url(), WalletId("alice")):
            taken, _ = fill_up(pool, api)
            ours: Future[Any] = pool.submit(client.deposit, ALICE, usd(5))
            assert validate_only(api).reason == "SERVER_OVERLOADED"
            assert not ours.done()
        assert ours.result(30).transaction.amount.minor_units == 5
        assert [future.result(30).code for future in taken] == ["OK"] * TAKEN


def test_callers_that_leave_make_room_for_others(target: str, settings: Settings) -> None:
    """A call whose caller has left while it waits is not counted any more."""

    with Api(target) as api, ThreadPoolExecutor(TAKEN) as pool:
        with locked(settings.required_database_url(), WalletId("alice")):
            impatient = [
                pool.submit(api.call, "TransactionService/Deposit", a_deposit(), timeout_s=0.5) for _ in range(TAKEN)
            ]
            codes = {future.result(30).code for future in impatient}
        # On a busy machine one may be so late that its place is taken, and is rejected at once.
        assert "DEADLINE_EXCEEDED" in codes
        assert codes <= {"DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}
        assert wait_until(lambda: validate_only(api).code == "OK", timeout_s=30)
        for _ in range(3 * TAKEN):
            assert validate_only(api, timeout_s=20).code == "OK"


def test_a_caller_that_runs_wild_is_held_back_and_the_others_are_not(
    app: App, settings: Settings, owner: psycopg.Connection
) -> None:
    """RATE_LIMITED with RetryInfo before anything is done; our client waits as advised, and all is done once."""

    guarded = settings.replaced(auth_dev_secret=SECRET, caller_calls_per_s=5)

    def as_(client: str) -> tuple[tuple[str, str]]:
        return bearer(by_secret(client_id=client, iss=DEVELOPMENT_ISSUER))

    with serving(app, guarded, authentication(guarded)) as port:
        target = f"127.0.0.1:{port}"
        with Api(target, metadata=as_("wild")) as wild, Api(target, metadata=as_("calm")) as calm:
            answers = [wild.call("WalletService/ListWallets", b"") for _ in range(30)]
            others = [calm.call("WalletService/ListWallets", b"") for _ in range(3)]
        with WalletClient(target, token=as_("ours")[0][1].removeprefix("Bearer ")) as client:
            open_funded(client, alice=0)
            for _ in range(8):
                client.deposit(ALICE, usd(1))

    assert {(one.code, one.reason) for one in answers} == {("OK", ""), ("RESOURCE_EXHAUSTED", "RATE_LIMITED")}
    assert all(one.retry_ms for one in answers if one.reason)
    assert [one.code for one in others] == ["OK"] * 3
    assert owner.execute("SELECT balance FROM wallets WHERE id = 'alice'").fetchone() == (8,)
