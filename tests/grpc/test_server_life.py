"""The server from its first call to its last: health, reflection, a lost database, an orderly and a sudden end."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from psycopg import sql
from pydantic import SecretStr
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support.callers import balance, count, open_funded, refusal, served, usd
from tests.support.database import Cluster, Database, cut_all_others
from tests.support.loaded_server import Load, server_process, start
from tests.support.start_up import StartUp
from tests.support.toolchain import installed
from tests.support.wire import Wire
from wallet_client import NotConnected, WalletClient
from wallet_core.bootstrap import open_app
from wallet_core.settings import Settings
from wallet_grpc.descriptors import SERVICES
from wallet_grpc.server.process import main
from wallet_grpc.server.serving import serving
from walletctl.local.waiting import wait_until

ALICE, BOB = "wallets/alice", "wallets/bob"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
ALL_SERVICES = {*SERVICES, "grpc.health.v1.Health"}


@contextmanager
def channel_to(target: str) -> Iterator[grpc.Channel]:
    """Return a channel of its own."""
    with grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield channel


def health_of(target: str, service: str = "") -> int:
    """Check the health of a service, or of all."""
    with channel_to(target) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        return int(stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5).status)


@contextmanager
def shut_off(cluster: Cluster, database: Database) -> Iterator[None]:
    """Cut all connections to a database and let no new ones in, until the end."""
    name = urlsplit(database.url).path.removeprefix("/")
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with psycopg.connect(cluster.url, autocommit=True) as admin:
        admin.execute(allow.format(sql.Identifier(name), sql.Literal(False)))  # noqa: FBT003  # SQL's own word
        try:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            yield
        finally:
            admin.execute(allow.format(sql.Identifier(name), sql.Literal(True)))  # noqa: FBT003  # SQL's own word


def test_health_is_serving_for_each_service_and_as_a_whole(server: str) -> None:
    """One that does not exist is not found."""

    assert {service: health_of(server, service) for service in ("", *SERVICES)} == dict.fromkeys(
        ("", *SERVICES), SERVING
    )
    with pytest.raises(grpc.RpcError) as caught:
        health_of(server, "wallet.v1.NoSuchService")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_database_that_refuses_connections_is_reported_and_recovers(
    cluster: Cluster, own_database: Database, settings: Settings
) -> None:
    """O3: NOT_SERVING everywhere and DATABASE_UNAVAILABLE with RetryInfo; SERVING and as before once it is back."""

    mine = settings.replaced(database_url=SecretStr(own_database.url))
    with open_app(mine, name="life") as app, serving(app, mine) as port:
        target = f"127.0.0.1:{port}"
        with WalletClient(target) as client, Wire(target) as wire:
            open_funded(client, alice=10)
            get = wallet_pb.GetWalletRequest(name=ALICE)
            create = wallet_pb.CreateWalletRequest(
                wallet=wallet_pb.Wallet(currency_code="USD"), request_id=str(uuid4())
            )
            with shut_off(cluster, own_database):
                assert wait_until(lambda: health_of(target) == NOT_SERVING, timeout_s=30)
                assert {health_of(target, service) for service in SERVICES} == {NOT_SERVING}
                answers = [wire.call("WalletService/GetWallet", get), wire.call("WalletService/CreateWallet", create)]
            for answer in answers:
                assert (answer.code, answer.reason) == ("UNAVAILABLE", "DATABASE_UNAVAILABLE")
                assert answer.retry_ms is not None
                assert own_database.url not in answer.message
            assert wait_until(lambda: health_of(target) == SERVING, timeout_s=30)
            assert wire.call("WalletService/CreateWallet", create).code == "OK"
            assert client.deposit(ALICE, usd(5)).available.minor_units == 15


@pytest.mark.parametrize(
    "call",
    [
        lambda client, _: client.get_wallet(ALICE),
        lambda client, _: list(client.list_transactions(ALICE)),
        lambda client, name: client.get_withdrawal(name),
        lambda client, _: list(client.list_withdrawals()),
        lambda client, _: client.deposit(ALICE, usd(1)),
        lambda client, name: client.cancel_withdrawal(name),
    ],
    ids=["get_wallet", "list_transactions", "get_withdrawal", "list_withdrawals", "deposit", "cancel"],
)
def test_the_first_call_after_all_connections_were_cut_succeeds(
    settings: Settings, owner: psycopg.Connection, call: Callable[[WalletClient, str], object]
) -> None:
    """A database that was restarted in between costs no caller an error: a new connection is tried first."""

    calm = settings.replaced(health_interval_s=60.0)
    with served(calm) as client:
        open_funded(client, alice=10)
        name = client.schedule_withdrawal(ALICE, usd(1)).withdrawal.name
        cut_all_others(owner)

        assert call(client, name)


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_lists_all_services(server: str, version: str) -> None:
    """By both names of the protocol, as tools look them up."""

    request = reflection_pb2.ServerReflectionRequest(list_services="")
    with channel_to(server) as channel:
        info = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        (response,) = list(info(iter([request]), timeout=5))

    assert {service.name for service in response.list_services_response.service} >= ALL_SERVICES


def test_reflection_knows_the_messages(server: str) -> None:
    """What a client needs to call by hand."""

    with channel_to(server) as channel:
        files = ProtoReflectionDescriptorDatabase(channel)
        found = files.FindFileContainingSymbol("wallet.v1.TransactionService")

    assert found.name == "wallet/v1/transaction_service.proto"


def test_buf_lists_all_services(server: str) -> None:
    """The tool of the README, as it comes."""

    listed = subprocess.run(
        [
            installed("buf"),
            "curl",
            "--list-services",
            "--protocol",
            "grpc",
            "--http2-prior-knowledge",
            f"http://{server}",
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert set(listed.stdout.split()) >= ALL_SERVICES


def test_a_call_past_its_deadline_does_at_most_what_its_id_records(
    client: WalletClient, server: str, owner: psycopg.Connection
) -> None:
    """Passed before it is sent, or while the wallet is stuck: repeated with the same id it is done once."""

    open_funded(client, alice=10)
    ids = [str(uuid4()) for _ in range(6)]
    with owner.transaction():
        owner.execute("SELECT FROM wallets WHERE id = 'alice' FOR UPDATE")
        for id_, timeout_s in zip(ids, (0.0, 0.001, 0.01, 0.05, 0.1, 0.35), strict=True):
            with WalletClient(server, timeout_s=timeout_s) as hasty:
                error = refusal(partial(hasty.deposit, ALICE, usd(1), request_id=id_))
            assert error.code in {"DEADLINE_EXCEEDED", "ABORTED"} or type(error) is NotConnected

    for id_ in ids:
        client.deposit(ALICE, usd(1), request_id=id_)
    assert balance(client, "alice") == 16


@pytest.mark.alone
def test_a_server_stopped_under_load_finishes_what_it_began(own_database: Database, tmp_path: Path) -> None:
    """SIGTERM: exit code 0, every OK is in the ledger, everything done was answered, and no call was cut off."""

    with server_process(tmp_path / "log", own_database.url) as server:
        with WalletClient(server.target) as client:
            open_funded(client, alice=1_000_000, bob=0)
        with Load(server.target, callers=48).running() as load:
            assert wait_until(lambda: len(load.paid) > 300, timeout_s=30)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(30) == 0

    with psycopg.connect(own_database.url) as owner:
        query = "SELECT request_id::text, subject FROM requests WHERE method = 'Transfer'"
        stored: dict[str, str] = dict(owner.execute(query).fetchall())
    assert load.paid.items() <= stored.items()
    unknown = stored.keys() - load.paid.keys()
    # gRPC's core drops, with a bare CANCELLED, calls that it had not handed over yet: they did nothing.
    assert unknown == set(), f"{len(unknown)} calls were committed and not answered: {load.failed}"


@pytest.mark.alone
def test_a_server_killed_under_load_loses_and_doubles_nothing(own_database: Database, tmp_path: Path) -> None:
    """Kill -9: every acknowledged transfer is there; every id, repeated at a new process, is one transaction."""

    with server_process(tmp_path / "first", own_database.url) as server:
        with WalletClient(server.target) as client:
            open_funded(client, alice=1_000_000, bob=0)
        with Load(server.target).running() as load:
            assert wait_until(lambda: len(load.paid) > 300, timeout_s=30)
            server.process.kill()
            assert server.process.wait(30) == -signal.SIGKILL

    with server_process(tmp_path / "second", own_database.url) as server, WalletClient(server.target) as client:
        again = {id_: client.transfer(ALICE, BOB, usd(1), request_id=id_) for id_ in load.sent}
        names = {id_: made.transaction.name for id_, made in again.items()}
        assert load.paid.items() <= names.items()
        assert all(again[id_].replayed for id_ in load.paid)
        assert len(set(names.values())) == len(load.sent)
        assert balance(client, "bob") == len(load.sent)
    with psycopg.connect(own_database.url) as owner:
        assert count(owner, "transactions") == len(load.sent) + 1


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "WALLET_DATABASE_URL is not set"),
        ({"database_url": "nonsense"}, "WALLET_DATABASE_URL"),
        ({"database_url": "postgresql://u:hidden@127.0.0.1:1/x", "database_wait_s": 0.3}, "the database cannot"),
        ({"pool_size": "many"}, "WALLET_POOL_SIZE"),
    ],
    ids=["no_url", "no_such_url", "no_database", "no_number"],
)
def test_a_server_that_cannot_start_reports_why(start_up: StartUp, settings: dict[str, object], text: str) -> None:
    """O2: exit code 1, a line that names what to mend, no traceback, no password."""

    ended = start_up(main, **settings)

    assert ended.code == 1
    assert ended.error_output.startswith("wallet-grpc cannot start: ")
    assert text in ended.error_output
    assert "Traceback" not in ended.error_output
    assert "attempt" not in ended.error_output  # a start is no call, which has an outcome
    assert "hidden" not in ended.error_output


def test_the_process_of_a_server_that_cannot_start_ends_with_1(tmp_path: Path) -> None:
    """What its main function prints and returns is what the process prints and ends with."""

    process = start(tmp_path / "log", {})

    assert process.wait(30) == 1
    assert (tmp_path / "log").read_text().startswith("wallet-grpc cannot start: WALLET_DATABASE_URL is not set")


def test_a_server_whose_port_is_taken_reports_it(server: str, own_database: Database, start_up: StartUp) -> None:
    """Two servers on one port must be configured: the second one ends with a line that names the port."""

    port = server.rpartition(":")[2]
    ended = start_up(main, database_url=own_database.url, grpc_port=port)

    assert ended.code == 1
    (output,) = ended.error_output.splitlines()
    assert "wallet-grpc cannot start: " in output
    assert port in output


def test_a_server_waiting_for_its_database_stops_on_sigterm(tmp_path: Path) -> None:
    """SIGTERM while the database is not there yet.

    The process does not wait out the half minute that a start may take.
    """

    url = "postgresql://u@127.0.0.1:1/x"
    process = start(tmp_path / "log", {"WALLET_DATABASE_URL": url, "WALLET_DATABASE_WAIT_S": "60"})
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait(30)
