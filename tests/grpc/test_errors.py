"""The errors as a whole: complete, in order, in the documented form, and never more than that."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any, NoReturn, cast
from uuid import UUID, uuid4

import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from structlog.testing import capture_logs
from wallet.v1 import schedule_service_pb2 as schedule_pb
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import wallet_service_pb2 as wallet_pb
from wallet.v1.error_reason_pb2 import ErrorReason
from wallet.v1.money_pb2 import Money

from tests.support import books
from tests.support.batching import waiting_backends
from tests.support.callers import everything, open_funded, refusal, usd
from tests.support.database import Database
from tests.support.rows import rewrite
from tests.support.together import together
from tests.support.wire import Wire
from wallet_client import WalletClient
from wallet_core.bootstrap import open_app
from wallet_core.domain.commands.transfers.transfer import Transfer
from wallet_core.domain.model import errors
from wallet_core.domain.model.money import Money as DomainMoney
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import Settings
from wallet_core.storage.connections.engine import transaction
from wallet_core.storage.reads.all import Reads
from wallet_core.usecases.app import App, new_id
from wallet_grpc.errors.catalogue import CATALOGUE
from wallet_grpc.errors.kinds import (
    CredentialsInvalid,
    Defect,
    InvalidFields,
    PageTokenInvalid,
    RateLimited,
    WatchCursorExpired,
    WatcherTooSlow,
)
from wallet_grpc.server.serving import serving
from walletctl.local.waiting import wait_until

OURS_ALONE = {errors.LedgerBroken, errors.StaleClaim}
BASES = {errors.WalletError, errors.Refusal, errors.ServiceError}
TRANSFER = "TransactionService/Transfer"


@pytest.fixture
def wire(server: str) -> Iterator[Wire]:
    """Return a bare channel to the server."""
    with Wire(server) as wire:
        yield wire


def subclasses(kind: type[errors.WalletError]) -> set[type[errors.WalletError]]:
    """Return a class and all that are derived from it."""
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))


def transfer(source: str = "alice", destination: str = "bob", units: int = 1, currency: str = "USD") -> Any:  # noqa: ANN401  # a request
    """Return a transfer."""
    return pb.TransferRequest(
        source=f"wallets/{source}",
        destination=f"wallets/{destination}",
        amount=Money(currency_code=currency, minor_units=units),
        request_id=str(uuid4()),
    )


def test_every_error_has_a_public_face_or_is_ours_alone() -> None:
    """One without a face would reach callers as INTERNAL."""

    edge = {
        CredentialsInvalid,
        RateLimited,
        InvalidFields,
        PageTokenInvalid,
        WatchCursorExpired,
        WatcherTooSlow,
        Defect,
    }
    domain = {kind for kind in subclasses(errors.WalletError) if kind.__module__ == errors.__name__}

    assert set(CATALOGUE) == (domain - BASES - OURS_ALONE) | edge


def test_every_reason_is_some_errors() -> None:
    """A published reason that can never occur would be a promise without meaning."""

    assert {face.reason for face in CATALOGUE.values()} == set(ErrorReason.values()) - {0}


def test_a_defect_reports_its_number_and_nothing_else(app: App, settings: Settings) -> None:
    """The operators find the rest under that number in the log."""

    class Broken(Reads):
        def wallets(self, ids: object) -> NoReturn:
            raise RuntimeError(f"secret dsn {ids}")

    broken = replace(app, reads=Broken(app.reads.engine))
    with (
        capture_logs() as logged,
        serving(broken, settings) as port,
        Wire(f"127.0.0.1:{port}") as wire,
    ):
        answer = wire.call("WalletService/GetWallet", b"\x0a\x0dwallets/alice")

    correlation_id = answer.metadata.get("correlationId", "")
    assert (answer.code, answer.reason, list(answer.metadata)) == ("INTERNAL", "INTERNAL", ["correlationId"])
    assert str(UUID(correlation_id)) == correlation_id
    assert "secret" not in f"{answer}"
    (entry,) = (entry for entry in logged if entry.get("correlation_id") == correlation_id)
    assert "secret dsn" in repr(entry["exc_info"])


def test_of_two_faults_in_a_transfer_the_first_documented_is_reported(
    client: WalletClient, wire: Wire, owner: psycopg.Connection
) -> None:
    """Shape, permission, used id, then all of the source before all of the destination, then funds, then limits."""

    open_funded(client, alice=10, bob=2**62, cold=10, full=0)
    client.create_wallet("eva", "EUR")
    rewrite(owner, "UPDATE wallets SET state = 'FROZEN' WHERE id = 'cold'")
    rewrite(owner, "UPDATE wallets SET state = 'CLOSED' WHERE id = 'full'")
    used = transfer()
    wire.call(TRANSFER, used)
    reused = partial(pb.TransferRequest, request_id=used.request_id)
    system = "system:external:USD"
    cases = [
        (transfer(system, units=0), "INVALID_FIELDS", ""),
        (transfer(system, system), "INVALID_FIELDS", ""),
        (transfer(system, currency="abc"), "INVALID_FIELDS", ""),
        (transfer(system, "nobody"), "PERMISSION_MISSING", ""),
        (transfer("nobody", system), "PERMISSION_MISSING", ""),
        (
            reused(source="wallets/alice", destination=f"wallets/{system}", amount=usd(1).message()),
            "PERMISSION_MISSING",
            "",
        ),
        (
            reused(source="wallets/nobody", destination="wallets/bob", amount=usd(1).message()),
            "REQUEST_ID_REUSED",
            None,
        ),
        (transfer("nobody", "nobody-else"), "RESOURCE_NOT_FOUND", "wallets/nobody"),
        (transfer("eva", "nobody"), "CURRENCY_MISMATCH", "wallets/eva"),
        (transfer("cold", "nobody"), "WALLET_NOT_ACTIVE", "wallets/cold"),
        (transfer("cold", "bob", currency="EUR"), "CURRENCY_MISMATCH", "wallets/cold"),
        (transfer("cold", "eva"), "WALLET_NOT_ACTIVE", "wallets/cold"),
        (transfer("alice", "nobody", 99), "RESOURCE_NOT_FOUND", "wallets/nobody"),
        (transfer("alice", "eva", 99), "CURRENCY_MISMATCH", "wallets/eva"),
        (transfer("alice", "full", 99), "WALLET_NOT_ACTIVE", "wallets/full"),
        (transfer("alice", "bob", 2**63 - 1), "INSUFFICIENT_FUNDS", None),
    ]

    for request, reason, resource in cases:
        answer = wire.call(TRANSFER, request)
        assert answer.reason == reason, request
        if resource is not None:
            assert answer.metadata.get("resourceName", "") == resource, request


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"wallet": "wallets/system:external:USD"}, "PERMISSION_MISSING"),
        ({"request_id": "used"}, "REQUEST_ID_REUSED"),
        ({"wallet": "wallets/nobody"}, "INVALID_FIELDS"),
    ],
    ids=["system_wallet", "used_id", "unknown_wallet"],
)
def test_a_past_time_is_reported_after_the_request_id(
    client: WalletClient, wire: Wire, fields: dict[str, str], reason: str
) -> None:
    """A repeat is answered however late it comes, so the id is looked at before the time."""

    open_funded(client, alice=10)
    used = client.deposit("wallets/alice", usd(1), request_id=str(uuid4()))
    assert not used.replayed
    request = schedule_pb.ScheduleWithdrawalRequest(
        wallet=fields.get("wallet", "wallets/alice"),
        amount=Money(currency_code="USD", minor_units=1),
        request_id=str(uuid4()),
        execute_time=Timestamp(seconds=1),
    )
    if "request_id" in fields:
        client.create_wallet("x", "USD", request_id=request.request_id)

    assert wire.call("ScheduleService/ScheduleWithdrawal", request).reason == reason


def test_an_id_means_one_call_of_one_method(client: WalletClient) -> None:
    """Reuse across methods names method and resource of the first use; of a refused first use there is no resource."""

    open_funded(client, alice=100, bob=0)
    calls: dict[str, Any] = {
        "CreateWallet": partial(client.create_wallet, "carol", "USD"),
        "Deposit": partial(client.deposit, "wallets/alice", usd(1)),
        "Transfer": partial(client.transfer, "wallets/alice", "wallets/bob", usd(1)),
        "ScheduleWithdrawal": partial(client.schedule_withdrawal, "wallets/alice", usd(1)),
    }
    for first, call in calls.items():
        id_ = str(uuid4())
        made = call(request_id=id_)
        name = next(getattr(made, kind).name for kind in ("wallet", "transaction", "withdrawal") if hasattr(made, kind))
        for other in calls.keys() - {first}:
            refused = refusal(partial(calls[other], request_id=id_))
            assert (refused.code, refused.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
            assert refused.metadata == {"requestId": id_, "method": first, "resourceName": name}
        assert refusal(partial(client.cancel_withdrawal, f"withdrawals/{uuid4()}", request_id=id_)).metadata == {
            "requestId": id_,
            "method": first,
            "resourceName": name,
        }
    id_ = str(uuid4())
    refusal(lambda: client.transfer("wallets/alice", "wallets/bob", usd(999), request_id=id_))
    reused = refusal(lambda: client.deposit("wallets/alice", usd(1), request_id=id_))
    assert reused.metadata == {"requestId": id_, "method": "Transfer", "resourceName": ""}


def test_a_stuck_wallet_delays_only_its_own(client: WalletClient, wire: Wire, owner: psycopg.Connection) -> None:
    """TRANSACTION_CONFLICT with RetryInfo; the neighbours pass, nothing was done, the same id works afterwards."""

    open_funded(client, alice=10, bob=0, carol=10, dora=0)
    request = transfer(units=3)
    with ThreadPoolExecutor(1) as pool, owner.transaction():
        owner.execute("SELECT FROM wallets WHERE id = 'alice' FOR UPDATE")
        stuck = pool.submit(wire.call, TRANSFER, request)
        neighbour = client.transfer("wallets/carol", "wallets/dora", usd(1))
        answer = stuck.result()

    assert neighbour.source_available.minor_units == 9
    assert (answer.code, answer.reason, answer.metadata) == ("ABORTED", "TRANSACTION_CONFLICT", {})
    assert answer.retry_ms is not None
    again = pb.TransferResponse.FromString(wire.call(TRANSFER, request).body)
    assert (again.replayed, again.source_available.minor_units) == (False, 7)


def test_a_call_with_too_little_time_is_refused_at_entry(
    app: App, settings: Settings, owner: psycopg.Connection
) -> None:
    """DEADLINE_TOO_SHORT, before its request is read; one without a deadline has all the time that there is."""

    hasty = settings.replaced(deadline_min_s=30.0)
    with serving(app, hasty) as port, Wire(f"127.0.0.1:{port}") as wire:
        before = everything(owner)
        answer = wire.call("WalletService/CreateWallet", b"\xff", timeout_s=20)
        unbounded = wire.call("WalletService/CreateWallet", b"\xff", timeout_s=None)

    assert (answer.code, answer.reason) == ("DEADLINE_EXCEEDED", "DEADLINE_TOO_SHORT")
    assert unbounded.reason == "INVALID_FIELDS"
    assert everything(owner) == before


def test_a_read_ends_once_its_caller_has_left(settings: Settings, owner: psycopg.Connection) -> None:
    """The database gives it up soon after, though it could wait for long; the next caller waits as long as it likes."""

    patient = settings.replaced(lock_timeout_s=30.0, statement_timeout_s=30.0, health_interval_s=60.0)

    def are_waiting(count: int) -> bool:
        return len(waiting_backends(settings.required_database_url())) == count

    with open_app(patient, name="patient") as app, serving(app, patient) as port:
        target = f"127.0.0.1:{port}"
        with WalletClient(target) as client, Wire(target) as wire, ThreadPoolExecutor(2) as pool:
            open_funded(client, alice=10)
            get = wallet_pb.GetWalletRequest(name="wallets/alice")
            with owner.transaction():
                owner.execute("LOCK TABLE wallets IN ACCESS EXCLUSIVE MODE")
                hasty = pool.submit(wire.call, "WalletService/GetWallet", get, timeout_s=0.4)
                assert wait_until(lambda: are_waiting(1), timeout_s=30)
                assert hasty.result(30).code == "DEADLINE_EXCEEDED"
                assert wait_until(lambda: are_waiting(0), timeout_s=30)
                calm = pool.submit(wire.call, "WalletService/GetWallet", get, timeout_s=25)
                assert wait_until(lambda: are_waiting(1), timeout_s=30)
            assert calm.result(30).code == "OK"


def test_a_deadline_that_passes_in_the_queue_leaves_nothing(
    app: App, client: WalletClient, owner: psycopg.Connection
) -> None:
    """Already passed, passed while the wallet is stuck, and over the wire: nothing was done, the id is still free."""

    open_funded(client, alice=10, bob=0)
    command = Transfer(
        request=books.request(),
        id=new_id(),
        source=WalletId("alice"),
        destination=WalletId("bob"),
        amount=DomainMoney("USD", 3),
    )
    before = everything(owner)

    with pytest.raises(errors.DeadlineTooShort):
        app.ledger.post(command, monotonic() - 1)
    with owner.transaction():
        owner.execute("SELECT FROM wallets WHERE id = 'alice' FOR UPDATE")
        with pytest.raises((errors.DeadlineTooShort, errors.OutcomeUnknown)):
            app.ledger.post(command, monotonic() + 0.1)
    app.ledger.post(replace(command, request=books.request(), validate_only=True))  # queued after it, so it is done

    assert everything(owner) == before
    assert not app.ledger.post(command).replayed


def test_a_full_queue_is_reported_as_overloaded(
    settings: Settings, owner: psycopg.Connection, database: Database
) -> None:
    """SERVER_OVERLOADED with RetryInfo: this attempt did nothing."""

    small = settings.replaced(commit_queue_max=1, commit_batch_max=1)
    with open_app(small, name="small") as app, serving(app, small) as port:
        target = f"127.0.0.1:{port}"
        with WalletClient(target) as client, Wire(target) as wire:
            open_funded(client, alice=100, bob=0)
            with owner.transaction():
                owner.execute("SELECT FROM wallets WHERE id = 'alice' FOR UPDATE")
                answers = together([partial(wire.call, TRANSFER, transfer()) for _ in range(12)])
            outcomes = [cast("Any", answer) for answer in answers]
            full = [answer for answer in outcomes if answer.reason == "SERVER_OVERLOADED"]
            done = [answer for answer in outcomes if answer.code == "OK"]
            assert full != []
            assert {(answer.code, answer.retry_ms is None) for answer in full} == {("RESOURCE_EXHAUSTED", False)}
            assert client.get_wallet("wallets/bob").balance.minor_units == len(done)
    assert database.broken_rules() == []


def test_a_creation_rejected_as_overloaded_was_not_made(settings: Settings, owner: psycopg.Connection) -> None:
    """SERVER_OVERLOADED means that this attempt did nothing: so it may not be answered after a commit."""

    small = settings.replaced(pool_size=1, pool_timeout_s=0.2, lock_timeout_s=5.0)
    names = [f"late-{number}" for number in range(12)]
    waiting = threading.Barrier(5)

    with open_app(small, name="small") as app, ThreadPoolExecutor(16) as pool:

        def keep_the_connection() -> None:
            waiting.wait(3)
            with transaction(app.reads.engine) as tx:
                tx.execute("SELECT pg_sleep(0.4)")

        def is_stuck() -> bool:
            return owner.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (1,)

        books.open_wallet(app, "first")
        with owner.transaction():
            owner.execute("SELECT FROM wallets WHERE id = 'system:external:USD' FOR UPDATE")
            creations = {name: pool.submit(books.open_wallet, app, name) for name in names}
            assert wait_until(is_stuck, timeout_s=30)
            for _ in range(4):
                pool.submit(keep_the_connection)
            waiting.wait(3)
        found = {name: creation.exception() for name, creation in creations.items()}

    made = {name for (name,) in owner.execute("SELECT id FROM wallets").fetchall()}
    assert {name for name in made if isinstance(found.get(name), errors.ServerOverloaded)} == set()
