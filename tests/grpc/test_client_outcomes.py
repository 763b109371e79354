"""What our client makes of refusals: nothing was done, or it is not known; and what its channel asks again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, cast
from uuid import uuid4

import pytest

from tests.support.callers import balance, open_funded, usd
from wallet_core.domain.errors import (
    DatabaseUnavailable,
    EtagMismatch,
    ServerOverloaded,
    TransactionConflict,
    WalletError,
)
from wallet_core.domain.errors import (
    OutcomeUnknown as CommitUnknown,
)
from wallet_core.ledger.ledger import Ledger
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.client import CallFailed, OutcomeUnknown, WalletClient
from wallet_grpc.client import errors as client_errors
from wallet_grpc.errors import CATALOGUE, CredentialsInvalid, Kind
from wallet_grpc.process import server_limits
from wallet_grpc.server import serving

ALICE = "wallets/alice"


@dataclass
class Trouble:
    """A ledger that does its work and then says something else, as often as it is told to."""

    ledger: Ledger
    done_but: list[WalletError] = field(default_factory=list)
    """Said after the work was done."""
    instead: list[WalletError] = field(default_factory=list)
    """Said instead of doing it, once nothing is left of the other."""
    asked_at: list[float] = field(default_factory=list)

    def post(self, *arguments: Any) -> Any:  # noqa: ANN401  # as the ledger's
        """Do it, or say so."""
        self.asked_at.append(monotonic())
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
        trouble.asked_at.clear()
        yield client


@contextmanager
def served(app: App, settings: Settings) -> Iterator[WalletClient]:
    """Serve; yield a client."""
    with serving(app, server_limits(settings)) as port, WalletClient(f"127.0.0.1:{port}") as client:
        yield client


def failed(call: Callable[[], object]) -> CallFailed:
    """Return the error of a call that fails."""
    with pytest.raises(CallFailed) as caught:
        call()
    return caught.value


def deposit(client: WalletClient, request_id: str | None = None) -> Any:  # noqa: ANN401  # a response
    """Deposit 5."""
    return client.deposit(ALICE, usd(5), request_id=request_id)


def test_a_refusal_after_the_channel_has_asked_before_leaves_the_outcome_unknown(
    client: WalletClient, trouble: Trouble
) -> None:
    """The first attempt had done it, its answer was lost, the repeat was turned away: it is found when asked again."""

    trouble.done_but = [DatabaseUnavailable()]
    trouble.instead = [CredentialsInvalid("expired just now")]
    error = failed(lambda: deposit(client))
    found = deposit(client, error.request_id)

    assert isinstance(error, OutcomeUnknown)
    assert (error.reason, error.code) == ("CREDENTIALS_INVALID", "UNAUTHENTICATED")
    assert found.replayed
    assert (balance(client, "alice"), len(trouble.asked_at)) == (1005, 3)


@pytest.mark.parametrize("error", [TransactionConflict(), DatabaseUnavailable()])
def test_what_the_channel_asks_again_is_done_once(client: WalletClient, trouble: Trouble, error: WalletError) -> None:
    """Under the same id: the caller hears of neither the loss nor the repeat."""

    trouble.done_but = [error]
    assert deposit(client).replayed

    trouble.instead = [error]
    assert not deposit(client).replayed
    assert balance(client, "alice") == 1010


def test_a_refusal_of_the_only_attempt_says_that_nothing_was_done(client: WalletClient, trouble: Trouble) -> None:
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


def test_a_final_refusal_is_final_whatever_came_before(client: WalletClient, trouble: Trouble) -> None:
    """What was decided once is what every attempt came to."""

    request_id = str(uuid4())
    trouble.instead = [DatabaseUnavailable()]
    error = failed(lambda: client.transfer(ALICE, "wallets/nobody", usd(1), request_id=request_id))

    assert (type(error), error.reason) == (CallFailed, "RESOURCE_NOT_FOUND")
    assert len(trouble.asked_at) == 2


def test_who_reads_has_no_outcome_to_find_out(client: WalletClient) -> None:
    """A read changes nothing."""

    assert type(failed(lambda: client.get_wallet("wallets/nobody"))) is CallFailed


def test_what_is_final_is_not_asked_again_by_the_channel(client: WalletClient, trouble: Trouble) -> None:
    """Though ABORTED is a code that is: the decision stands, and asking costs the caller's time."""

    trouble.instead = [EtagMismatch(ALICE), EtagMismatch(ALICE)]
    error = failed(lambda: deposit(client))

    assert (error.reason, error.code, len(trouble.asked_at)) == ("ETAG_MISMATCH", "ABORTED", 1)


def test_a_server_with_too_much_to_do_is_not_asked_again_at_once(client: WalletClient, trouble: Trouble) -> None:
    """It says how long to wait, and the channel does."""

    trouble.instead = [ServerOverloaded(), ServerOverloaded()]
    deposit(client)

    waits = [after - before for before, after in zip(trouble.asked_at, trouble.asked_at[1:], strict=False)]
    told_s = (CATALOGUE[ServerOverloaded].retry_after_ms or 0) / 1000
    assert len(waits) == 2
    assert min(waits) >= told_s * 0.95


def test_the_client_knows_the_kind_of_every_reason() -> None:
    """One that it does not know leaves the outcome unknown, which is safe; one that it knows wrongly is not."""

    kinds = {kind: {face.reason_name for face in CATALOGUE.values() if face.kind is kind} for kind in Kind}

    assert kinds[Kind.FINAL] | {"REQUEST_ID_REUSED"} == client_errors._FINAL  # noqa: SLF001  # what is compared
    assert kinds[Kind.THIS_ATTEMPT] - {"REQUEST_ID_REUSED"} == client_errors._THIS_ATTEMPT  # noqa: SLF001  # what is compared
