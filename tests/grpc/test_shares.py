"""One caller, or one owner, gets no more than its share: of exports, of watches, of calls each second."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import psycopg
import pytest
from google.protobuf.message import Message
from wallet.v1 import event_service_pb2 as event_pb
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support.api import Api
from tests.support.idle import Idle
from tests.support.issuer import SECRET, bearer, by_secret
from tests.support.long_history import write_history
from tests.support.requests import money, new_id
from wallet_core.documents.pdf import PdfDocuments
from wallet_core.domain.model.receipt import Language, Receipt
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.interceptors.rates import cost_of
from wallet_grpc.security.access import CONFINED
from wallet_grpc.security.tokens import DEVELOPMENT_ISSUER
from wallet_grpc.server.process import authentication
from wallet_grpc.server.serving import serving
from walletctl.local.waiting import wait_until

# So wide that a part of an export is more than what a connection takes from a server whose caller does not read.
WIDE = "\U0001f4a5" * 100
EXPORT = pb.ExportStatementRequest(wallet="wallets/alice")
EXPORT.start_time.FromJsonString("2000-01-01T00:00:00Z")
EXPORT.end_time.FromJsonString("9000-01-01T00:00:00Z")
RATE_LIMITED = ("RESOURCE_EXHAUSTED", "RATE_LIMITED")
OVERLOADED = ("RESOURCE_EXHAUSTED", "SERVER_OVERLOADED")


@contextmanager
def served(app: App, settings: Settings, **changes: object) -> Iterator[str]:
    """Serve callers with tokens."""
    guarded = settings.replaced(**{"auth_dev_secret": SECRET, **changes})
    with serving(app, guarded, authentication(guarded)) as port:
        yield f"127.0.0.1:{port}"


def token(client: str, owner: str | None = None) -> tuple[tuple[str, str]]:
    """Return what a caller brings, confined to an owner or to none."""
    confined = {"owner": owner, "scope": " ".join(CONFINED)} if owner is not None else {}
    return bearer(by_secret(client_id=client, iss=DEVELOPMENT_ISSUER, **confined))


def as_(target: str, client: str, owner: str | None = None) -> Api:
    """Return a channel of a caller."""
    return Api(target, metadata=token(client, owner))


def outcome_of(api: Api, method: str, request: Message) -> tuple[str, str]:
    """Return how a call ends."""
    answer = api.call(method, request, timeout_s=20)
    return answer.code, answer.reason


def test_one_caller_or_owner_never_has_all_exports(app: App, settings: Settings, owner: psycopg.Connection) -> None:
    """Half of four: a third is refused to it, while another caller's begins. As none is read, all of them end."""

    with served(app, settings, exports_max=4, stream_stall_s=3.0) as target, ExitStack() as open_:
        admin = open_.enter_context(as_(target, "admin"))
        for wallet in ("alice", "bob"):
            request = wallet_pb.CreateWalletRequest(
                wallet_id=wallet, wallet=wallet_pb.Wallet(currency_code="USD", owner="anna"), request_id=new_id()
            )
            admin.ok(request)
        write_history(owner, 3000, description=WIDE)
        begun = []
        for client, whose in (("shop", None), ("shop", None), ("app", "anna")):
            idle = open_.enter_context(Idle(target, metadata=token(client, whose)))
            begun.append(idle.stream(EXPORT, timeout_s=None))
            assert next(begun[-1]).data
        shop, other = open_.enter_context(as_(target, "shop")), open_.enter_context(as_(target, "other", "anna"))
        assert outcome_of(shop, "TransactionService/ExportStatement", EXPORT) == RATE_LIMITED
        idle = open_.enter_context(Idle(target, metadata=token("other", "anna")))
        begun.append(idle.stream(EXPORT, timeout_s=None))
        assert next(begun[-1]).data
        # Now all four are taken, and the owner's two are of different callers.
        assert outcome_of(other, "TransactionService/ExportStatement", EXPORT) == OVERLOADED
        free = partial(outcome_of, shop, "TransactionService/ExportStatement", EXPORT)
        assert wait_until(lambda: free() == ("OK", ""), timeout_s=30)


def test_one_owner_has_one_share_for_all_its_callers(app: App, settings: Settings) -> None:
    """Watches of different callers for one owner count together."""

    with served(app, settings, watchers_max=4) as target, ExitStack() as open_:
        streams = []
        for client in ("one", "two"):
            api = open_.enter_context(as_(target, client, "anna"))
            streams.append(api.stream(event_pb.WatchEventsRequest(), timeout_s=None))
            assert next(streams[-1]).resume_token
        third = open_.enter_context(as_(target, "three", "anna"))
        assert outcome_of(third, "EventService/WatchEvents", event_pb.WatchEventsRequest()) == RATE_LIMITED
        elsewhere = open_.enter_context(as_(target, "three", "bert"))
        stream = elsewhere.stream(event_pb.WatchEventsRequest(), timeout_s=None)
        assert next(stream).resume_token
        streams[0].cancel()

        is_let_in = partial(outcome_of, third, "EventService/WatchEvents", event_pb.WatchEventsRequest())
        assert wait_until(lambda: is_let_in() == ("OK", ""), timeout_s=30)
        for one in (*streams, stream):
            one.cancel()


def test_costly_calls_count_for_what_they_cost(app: App, settings: Settings) -> None:
    """A receipt takes what fifty reads do; what is refused leaves other callers, and other owners, alone."""

    with served(app, settings, caller_calls_per_s=60, owner_calls_per_s=60) as target, ExitStack() as open_:
        shop, other = open_.enter_context(as_(target, "shop")), open_.enter_context(as_(target, "other"))
        receipt = pb.GetReceiptRequest(name="transactions/00000000-0000-7000-8000-000000000001")
        answers = {outcome_of(shop, "TransactionService/GetReceipt", receipt) for _ in range(2)}
        assert answers == {("NOT_FOUND", "RESOURCE_NOT_FOUND"), RATE_LIMITED}
        assert outcome_of(other, "WalletService/ListWallets", wallet_pb.ListWalletsRequest()) == ("OK", "")

        # Different callers, one owner.
        confined = [open_.enter_context(as_(target, name, "anna")) for name in ("a", "b")]
        answers_of_owner = {outcome_of(one, "TransactionService/GetReceipt", receipt) for one in confined}
        assert RATE_LIMITED in answers_of_owner
        bert = open_.enter_context(as_(target, "a", "bert"))
        assert outcome_of(bert, "WalletService/ListWallets", wallet_pb.ListWalletsRequest()) == ("OK", "")


def test_what_each_call_costs() -> None:
    """A read is one; large requests count by their size, with any content."""

    batch = pb.BatchTransferRequest(request_id=new_id())
    for _ in range(1000):
        batch.items.add(
            source="wallets/alice", destination="wallets/bob", amount=money(100), description="Salary of November"
        )
    prefix = "/wallet.v1.TransactionService/"
    assert cost_of("/wallet.v1.WalletService/GetWallet", b"x" * 40) == 1
    assert cost_of(f"{prefix}Transfer", b"x" * 300) == 1
    assert cost_of(f"{prefix}GetReceipt", b"x" * 40) == 50
    assert cost_of(f"{prefix}ExportStatement", b"x" * 40) == 50
    assert 50 < cost_of(f"{prefix}BatchTransfer", batch.SerializeToString()) < 200


def test_receipt_is_drawn_once(app: App, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """It never changes: requested again it is the same bytes, without drawing; another language is another one."""

    drawn: list[object] = []
    draw = PdfDocuments.receipt

    def drawing(self: PdfDocuments, receipt: Receipt, language: Language) -> bytes:
        drawn.append(receipt.transaction)
        return draw(self, receipt, language)

    monkeypatch.setattr(PdfDocuments, "receipt", drawing)
    with serving(app, settings) as port, Api(f"127.0.0.1:{port}") as api:
        api.open_all("alice")
        name = api.deposit("alice", 5).name
        found = [api.ok(pb.GetReceiptRequest(name=name, language=language)).pdf for language in ("en", "en", "fa")]

    assert found[0] == found[1] != found[2]
    assert len(drawn) == 2
