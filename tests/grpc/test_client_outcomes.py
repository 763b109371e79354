"""How the client classifies refusals: not done, or unknown; and what its channel retries."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, NoReturn, cast
from uuid import uuid4

import pytest
from google.rpc import error_details_pb2
from wallet.v1 import transaction_service_pb2 as pb

from tests.support.callers import balance, open_funded, usd
from wallet_client import (
    CallError,
    CallFailed,
    OutcomeUnknown,
    TransferItem,
    WalletClient,
    item_failed,
    new_request_id,
    unknown_outcome,
)
from wallet_client.errors import settle_items
from wallet_core.domain.model.errors import (
    DatabaseUnavailable,
    EtagMismatch,
    ServerOverloaded,
    TransactionConflict,
    WalletError,
)
from wallet_core.domain.model.errors import (
    OutcomeUnknown as CommitUnknown,
)
from wallet_core.ledger.ledger import Ledger
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.errors.catalogue import CATALOGUE
from wallet_grpc.errors.kinds import CredentialsInvalid
from wallet_grpc.server.serving import serving

ALICE = "wallets/alice"


@dataclass
class Trouble:
    """A ledger that does its work and then raises, a given number of times."""

    ledger: Ledger
    done_but: list[WalletError] = field(default_factory=list)
    """Raised after the work was done."""
    instead: list[WalletError] = field(default_factory=list)
    """Raised instead of doing it, once nothing is left of the other."""
    called_at: list[float] = field(default_factory=list)

    def post(self, *arguments: Any) -> Any:  # noqa: ANN401  # as the ledger's
        """Do it, or raise."""
        self.called_at.append(monotonic())
        if self.done_but:
            self.ledger.post(*arguments)
            raise self.done_but.pop(0)
        if self.instead:
            raise self.instead.pop(0)
        return self.ledger.post(*arguments)


@pytest.fixture
def trouble(app: App) -> Trouble:
    """Return a ledger that makes no trouble yet."""
    return Trouble(app.ledger)


@pytest.fixture
def client(app: App, settings: Settings, trouble: Trouble) -> Iterator[WalletClient]:
    """Return a client of a server on that ledger, with a wallet that has 1,000."""
    with served(replace(app, ledger=cast("Ledger", trouble)), settings) as client:
        open_funded(client, alice=1000)
        trouble.called_at.clear()
        yield client


@contextmanager
def served(app: App, settings: Settings) -> Iterator[WalletClient]:
    """Serve; yield a client."""
    with serving(app, settings) as port, WalletClient(f"127.0.0.1:{port}") as client:
        yield client


def failed(call: Callable[[], object]) -> CallError:
    """Return the error of a call that fails."""
    with pytest.raises(CallError) as caught:
        call()
    return caught.value


def deposit(client: WalletClient, request_id: str | None = None) -> Any:  # noqa: ANN401  # a response
    """Deposit 5."""
    return client.deposit(ALICE, usd(5), request_id=request_id)


def test_a_refusal_after_the_channels_own_retry_leaves_the_outcome_unknown(
    client: WalletClient, trouble: Trouble
) -> None:
    """The first attempt had done it, its answer was lost, the repeat was rejected: a further repeat finds it."""

    trouble.done_but = [DatabaseUnavailable()]
    trouble.instead = [CredentialsInvalid("expired just now")]
    error = failed(lambda: deposit(client))
    found = deposit(client, error.request_id)

    assert isinstance(error, OutcomeUnknown)
    assert (error.reason, error.code) == ("CREDENTIALS_INVALID", "UNAUTHENTICATED")
    assert found.replayed
    assert (balance(client, "alice"), len(trouble.called_at)) == (1005, 3)


@pytest.mark.parametrize("error", [TransactionConflict(), DatabaseUnavailable()])
def test_a_call_that_the_channel_retries_is_done_once(
    client: WalletClient, trouble: Trouble, error: WalletError
) -> None:
    """Under the same id: the caller sees neither the loss nor the retry."""

    trouble.done_but = [error]
    assert deposit(client).replayed

    trouble.instead = [error]
    assert not deposit(client).replayed
    assert balance(client, "alice") == 1010


def test_a_refusal_of_the_only_attempt_reports_that_nothing_was_done(client: WalletClient, trouble: Trouble) -> None:
    """Nothing is left open, and nothing is remembered."""

    trouble.instead = [CredentialsInvalid("none"), CredentialsInvalid("none")]
    first = failed(lambda: deposit(client))
    again = failed(lambda: deposit(client, first.request_id))

    assert [type(error) for error in (first, again)] == [CallFailed, CallFailed]
    assert not deposit(client, first.request_id).replayed


def test_a_refusal_after_the_callers_own_attempt_leaves_the_outcome_unknown(
    client: WalletClient, trouble: Trouble
) -> None:
    """Until it is found out; then the id is settled."""

    trouble.done_but = [CommitUnknown()]
    first = failed(lambda: deposit(client))
    trouble.instead = [CredentialsInvalid("expired"), CredentialsInvalid("expired")]
    again = failed(lambda: deposit(client, first.request_id))
    other = failed(lambda: deposit(client))

    assert [type(error) for error in (first, again, other)] == [OutcomeUnknown, OutcomeUnknown, CallFailed]
    assert deposit(client, again.request_id).replayed
    trouble.instead = [CredentialsInvalid("expired")]
    assert type(failed(lambda: deposit(client, first.request_id))) is CallFailed


def test_a_final_refusal_is_final_after_any_attempts(client: WalletClient, trouble: Trouble) -> None:
    """What was decided once is what every attempt came to."""

    request_id = str(uuid4())
    trouble.instead = [DatabaseUnavailable()]
    error = failed(lambda: client.transfer(ALICE, "wallets/nobody", usd(1), request_id=request_id))

    assert (type(error), error.reason) == (CallFailed, "RESOURCE_NOT_FOUND")
    assert len(trouble.called_at) == 2


def test_a_read_has_no_outcome_to_find_out(client: WalletClient) -> None:
    """A read changes nothing."""

    assert type(failed(lambda: client.get_wallet("wallets/nobody"))) is CallFailed


def test_a_final_refusal_is_not_retried_by_the_channel(client: WalletClient, trouble: Trouble) -> None:
    """Though ABORTED is a retryable code: the decision stands, and a retry costs the caller's time."""

    trouble.instead = [EtagMismatch(ALICE), EtagMismatch(ALICE)]
    error = failed(lambda: deposit(client))

    assert (error.reason, error.code, len(trouble.called_at)) == ("ETAG_MISMATCH", "ABORTED", 1)


def test_an_overloaded_server_is_not_retried_at_once(client: WalletClient, trouble: Trouble) -> None:
    """It names the time to wait, and the channel waits."""

    trouble.instead = [ServerOverloaded(), ServerOverloaded()]
    deposit(client)

    waits = [after - before for before, after in zip(trouble.called_at, trouble.called_at[1:], strict=False)]
    advised_s = (CATALOGUE[ServerOverloaded].retry_after_ms or 0) / 1000
    assert len(waits) == 2
    assert min(waits) >= advised_s * 0.95


def test_what_is_not_done_and_what_is_unknown_are_caught_apart() -> None:
    """A caller that handles refusals must not swallow what may have been done."""

    assert not issubclass(OutcomeUnknown, CallFailed)
    assert not issubclass(CallFailed, OutcomeUnknown)
    assert issubclass(CallFailed, CallError)
    assert issubclass(OutcomeUnknown, CallError)


def test_a_used_id_gives_no_outcome_to_an_attempt_that_may_have_used_it(client: WalletClient, trouble: Trouble) -> None:
    """REQUEST_ID_REUSED after an unknown attempt: the first one was done, so the id is not free, and not settled."""

    trouble.done_but = [CommitUnknown()]
    first = failed(lambda: deposit(client))
    other = failed(lambda: client.deposit(ALICE, usd(6), request_id=first.request_id))
    fresh = failed(lambda: client.deposit(ALICE, usd(6), request_id=deposited(client)))

    assert (type(other), other.reason) == (OutcomeUnknown, "REQUEST_ID_REUSED")
    assert (type(fresh), fresh.reason) == (CallFailed, "REQUEST_ID_REUSED")
    assert deposit(client, first.request_id).replayed


def deposited(client: WalletClient) -> str:
    """Deposit under a new id; return it."""
    id_ = new_request_id()
    deposit(client, id_)
    return id_


@pytest.mark.parametrize(
    ("outcome", "attempted", "kind"),
    [
        ("NOT_DONE", (), CallFailed),
        ("NOT_DONE", ("id",), CallFailed),
        ("NOT_DONE_RETRY", (), CallFailed),
        ("NOT_DONE_RETRY", ("id",), OutcomeUnknown),
        ("UNKNOWN", (), OutcomeUnknown),
        ("OF_TOMORROW", (), OutcomeUnknown),
        ("", (), OutcomeUnknown),
    ],
)
def test_a_reason_that_is_new_is_understood_by_its_outcome(
    outcome: str,
    attempted: Sequence[str],
    kind: type[CallError],
) -> None:
    """No client keeps a table of reasons."""

    info = error_details_pb2.ErrorInfo(reason="REASON_OF_TOMORROW", metadata={"outcome": outcome} if outcome else {})
    result = pb.BatchTransferResult()
    result.error.code = 9
    result.error.details.add().Pack(info)
    settle_items([result], ["id"], attempted)

    error = item_failed(result, "id")
    assert type(error) is kind
    assert error is not None
    assert (error.reason, error.request_id) == ("REASON_OF_TOMORROW", "id")


def test_an_item_of_unknown_outcome_is_distinguished_and_remembered(app: App, settings: Settings) -> None:
    """By the same rule as a call: repeated under its id it is found; until then no refusal settles it."""

    class Losing:
        """A ledger whose answers to batches are lost, a given number of times."""

        def __init__(self) -> None:
            self.times = 1

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # as the ledger's
            return getattr(app.ledger, name)

        def post_all(self, *arguments: Any) -> Any:  # noqa: ANN401  # as the ledger's
            done = app.ledger.post_all(*arguments)
            if self.times:
                self.times -= 1
                return [CommitUnknown() for _ in done]
            return done

    item = TransferItem(source=ALICE, destination="wallets/bob", amount=usd(5))
    with served(replace(app, ledger=cast("Ledger", Losing())), settings) as client:
        open_funded(client, alice=10, bob=0)
        (lost,) = client.batch_transfer([item], atomic=False).results
        broke = client.batch_transfer([replace(item, amount=usd(6))], atomic=False)
        (found,) = client.batch_transfer([item], atomic=False).results
        error, later = item_failed(lost, item.request_id), item_failed(broke.results[0], item.request_id)

        assert (type(error), error and error.reason) == (OutcomeUnknown, "OUTCOME_UNKNOWN")
        assert (type(later), later and later.reason) == (OutcomeUnknown, "REQUEST_ID_REUSED")
        assert found.replayed
        assert balance(client, "bob") == 5


def test_a_change_hands_its_request_id_over_before_it_is_sent(server: str) -> None:
    """The one that was made up, too; where it cannot be kept nothing is sent. A read has none."""

    kept: list[str] = []

    def keep(request_id: str) -> None:
        kept.append(request_id)
        if len(kept) > 1:
            raise OSError("the log is full")

    with WalletClient(server, before_change=keep) as client:
        client.create_wallet("alice", "USD")
        with pytest.raises(OSError, match="the log is full"):
            client.deposit(ALICE, usd(5), request_id=new_request_id())
        assert balance(client, "alice") == 0
    with WalletClient(server) as other:
        again = other.create_wallet("alice", "USD", request_id=kept[0])

    assert again.replayed
    assert len(set(kept)) == 2


def test_an_interrupted_call_prints_its_request_id(client: WalletClient, trouble: Trouble) -> None:
    """Ctrl-C: what is raised is what interrupted it, and among its causes is what is open, with the id."""

    class Interrupts:
        def __call__(self, *_: object, **__: object) -> NoReturn:
            raise KeyboardInterrupt

    id_ = new_request_id()
    client._transactions.Deposit = cast("Any", Interrupts())  # noqa: SLF001  # as a signal would
    with pytest.raises(KeyboardInterrupt) as caught:
        client.deposit(ALICE, usd(5), request_id=id_)
    open_ = unknown_outcome(caught.value)

    assert open_ is not None
    assert open_.request_id == id_
    assert id_ in open_.message
    assert unknown_outcome(ValueError()) is None
    assert trouble.called_at == []
