"""``GetServiceInfo``: what a caller must know of the service, as it is configured, and nothing secret."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from wallet.v1 import info_service_pb2 as pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support.api import Api
from tests.support.issuer import Issuer, bearer
from tests.support.requests import money, new_id
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.server.info import service_info
from wallet_grpc.server.process import authentication
from wallet_grpc.server.serving import serving
from wallet_grpc.servicers.streams import StreamLimits

SECRET = "a secret of thirty-two characters at least"  # of this test


def asked(app: App, settings: Settings, *metadata: tuple[str, str]) -> Any:  # noqa: ANN401  # any response
    """Return the response of a server with these settings, or its error."""
    with (
        serving(app, settings, authentication(settings)) as port,
        Api(f"127.0.0.1:{port}", metadata=metadata) as api,
    ):
        return api.call("InfoService/GetServiceInfo", pb.GetServiceInfoRequest())


def test_version_schema_and_currencies_are_those_of_the_service(api: Api, owner: psycopg.Connection) -> None:
    """The version of the installed release, the schema that the database has, and no withdrawn currency."""

    info = api.ok(pb.GetServiceInfoRequest()).service_info

    assert info.version == version("wallet-grpc")
    assert owner.execute("SELECT version_num FROM alembic_version").fetchone() == (info.schema_version,)
    assert list(info.open_currency_codes) == sorted(info.open_currency_codes)
    assert {"USD", "JPY"} <= set(info.open_currency_codes)
    assert "BGN" not in info.open_currency_codes
    assert (info.mode, info.bank_statement) == (pb.ServiceInfo.MODE_DEVELOPMENT, True)
    assert info.security == pb.Security()


def test_limits_are_those_that_calls_meet(api: Api) -> None:
    """What is at a limit passes, what is beyond it is refused, on the same server."""

    limits = api.ok(pb.GetServiceInfoRequest()).service_info.limits
    api.open_all("alice", "bob")
    api.deposit("alice", 10_000)
    items = [
        transaction_pb.TransferItem(source="wallets/alice", destination="wallets/bob", amount=money(1))
    ] * limits.batch_transfers_max

    def batch(items: list[transaction_pb.TransferItem]) -> Message:
        return transaction_pb.BatchTransferRequest(
            mode=transaction_pb.BATCH_MODE_ATOMIC, items=items, request_id=new_id()
        )

    assert len(api.ok(batch(items)).results) == limits.batch_transfers_max
    assert api.refused(batch([*items, items[0]])).reason == "INVALID_FIELDS"
    names = ["wallets/alice"] * limits.batch_wallets_max
    assert len(api.ok(wallet_pb.BatchGetWalletsRequest(names=names)).wallets) == limits.batch_wallets_max
    assert api.refused(wallet_pb.BatchGetWalletsRequest(names=[*names, names[0]])).reason == "INVALID_FIELDS"
    listed = transaction_pb.ListTransactionsRequest(wallet="wallets/alice")
    assert len(api.ok(listed).transactions) == limits.page_size_default
    listed.page_size = limits.page_size_max + 1
    assert len(api.ok(listed).transactions) == limits.page_size_max


def test_settings_are_reported_as_they_are_and_no_secret_with_them(settings: Settings, tmp_path: Path) -> None:
    """Every number of a server with settings of its own; neither addresses, keys nor files are in the response."""

    own = settings.replaced(
        mode="production",
        grpc_message_max_bytes=2_000_000,
        page_max_bytes=1_000_000,
        amount_max=777,
        deadline_min_s=0.25,
        deadline_max_s=20.0,
        grpc_connection_streams_max=33,
        caller_calls_per_s=100,
        owner_calls_per_s=50,
        bank_provides_statement=False,
        auth_dev_secret=SECRET,
        tls_certificate=tmp_path / "certificate.pem",
        tls_key=tmp_path / "key.pem",
        tls_client_ca=tmp_path / "ca.pem",
        bank_token="another secret",  # of this test
    )
    limits = StreamLimits(most=9, share=0.5, stall_s=1, stopping_s=1, longest_s=90)

    info = service_info(own, exports=limits, watches=limits)

    assert info.mode == pb.ServiceInfo.MODE_PRODUCTION
    assert info.security == pb.Security(tls=True, tokens=True, client_certificates=True)
    assert not info.bank_statement
    assert info.limits == pb.Limits(
        request_max_bytes=2_000_000,
        page_size_default=50,
        page_size_max=1000,
        page_max_bytes=1_000_000,
        batch_transfers_max=1000,
        batch_wallets_max=100,
        amount_max_minor_units=777,
        deadline_min=Duration(nanos=250_000_000),
        deadline_max=Duration(seconds=20),
        connection_calls_max=33,
        watches_max=9,
        caller_watches_max=4,
        exports_max=9,
        caller_exports_max=4,
        export_max=Duration(seconds=90),
        caller_calls_per_second=100,
        owner_calls_per_second=50,
    )
    said = MessageToJson(info)
    assert not [word for word in ("secret", "postgres", "http", str(tmp_path), "127.0.0.1") if word in said]


@pytest.mark.own_app
def test_every_known_caller_may_ask_and_nobody_else(app: App, guarded: Settings, issuer: Issuer) -> None:
    """Whatever its scopes, and confined to an owner or not."""

    def answer(*metadata: tuple[str, str]) -> str:
        answer = asked(app, guarded, *metadata)
        return str(answer.reason or answer.code)

    assert answer(*bearer(issuer.token("events.read"))) == "OK"
    assert answer(*bearer(issuer.token("wallet.read", owner="ada"))) == "OK"
    assert answer() == "CREDENTIALS_INVALID"
