"""Once a change was committed, no answer reports it as not done, with any failure after it: on every call."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest
from google.protobuf.message import Message
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import webhook_service_pb2 as webhook_pb

from tests.support.api import Api
from tests.support.fuzz_trial import WRITES
from tests.support.requests import an_item, an_update, changed, each, new_id
from tests.support.wire import Answer
from tests.support.world import World, bases
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.security.access import CONFINED, SCOPES, Scope

# Of these calls others need the wallet as it was.
LAST = ("WalletService/FreezeWallet", "WalletService/CloseWallet", "WebhookService/DeleteWebhook")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings with few reads that give up soon; commands have connections of their own."""
    return settings.replaced(pool_size=2, pool_timeout_s=0.05)


@contextmanager
def no_reads(app: App, settings: Settings) -> Iterator[None]:
    """Hold every connection that reads have, as any flood of lists and exports does."""
    with ExitStack() as stack:
        for _ in range(settings.connections.pool_size):
            stack.enter_context(app.reads.engine.connect())
        yield


def requests(names: Mapping[str, str], scopes: frozenset[Scope]) -> list[tuple[str, Message]]:
    """Return one request of every call that changes something, in an order in which all of them can be done."""
    if scopes != frozenset(Scope):
        names = {**names, "webhook": names["webhook of anna"]}
    by_path = bases(names)
    assert set(by_path) == set(WRITES)
    if Scope.WALLET_CREDIT not in scopes:
        by_path["WalletService/UpdateWallet"] = an_update("alice", display_name="x")
    ordered = sorted(by_path, key=lambda path: path in LAST)
    return [(path, changed(by_path[path], request_id=new_id())) for path in ordered]


def says_that_it_may_be_done(answer: Answer) -> bool:
    """Return whether an answer after the commit is right: the first result, or an unknown outcome."""
    return answer.code == "OK" or (answer.reason, answer.outcome) == ("OUTCOME_UNKNOWN", "UNKNOWN")


@pytest.mark.parametrize(("who", "scopes"), [("operator", frozenset(Scope)), ("anna", CONFINED)])
def test_what_was_committed_is_answered_so_though_nothing_can_be_read(
    world: World, app: App, settings: Settings, who: str, scopes: frozenset[Scope]
) -> None:
    """A change reads nothing after its commit; a repeat that cannot read its result reports an unknown outcome."""

    caller = world.callers[who]
    # The key that seals names is read once, before a change.
    webhook = world.names["webhook of anna" if who == "anna" else "webhook"]
    caller.ok(webhook_pb.PingWebhookRequest(name=webhook, request_id=new_id(), validate_only=True))
    unknown = 0
    for path, request in requests(world.names, scopes):
        if SCOPES[f"/wallet.v1.{path}"] not in scopes:
            continue
        with no_reads(app, settings):
            first, again = caller.call(path, request), caller.call(path, request)
        assert first.code == "OK", (path, first)
        assert says_that_it_may_be_done(again), (path, again)
        unknown += again.code != "OK"
        assert replayed(caller, path, request), path
    assert unknown > 10


def replayed(caller: Api, path: str, request: Message) -> bool:
    """Repeat; return whether it was answered as done before."""
    del path
    return bool(caller.ok(request).replayed)


def test_a_repeated_item_of_a_batch_gives_no_outcome_to_a_new_one(world: World, app: App, settings: Settings) -> None:
    """The result of the repeated item cannot be read.

    The outcome is unknown, also of the one that was done just now.
    """

    operator = world.callers["operator"]
    old = an_item("alice", "bob", 1, request_id=new_id())
    operator.ok(each([old]))
    new = an_item("alice", "bob", 2, request_id=new_id())
    before = operator.balances("alice", "bob")

    with no_reads(app, settings):
        answer = operator.call("TransactionService/BatchTransfer", each([old, new]))

    assert (answer.reason, answer.outcome) == ("OUTCOME_UNKNOWN", "UNKNOWN")
    found: pb.BatchTransferResponse = operator.ok(each([old, new]))
    assert [result.replayed for result in found.results] == [True, True]
    assert operator.balances("alice", "bob") != before
