"""A client that reaches no server reports soon why, and that nothing was sent; what may have been sent is unknown."""

import asyncio
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any

import pytest
import trustme
from typer.testing import CliRunner

from tests.support.callers import refusal, usd
from tests.support.ports import free_ports
from tests.support.recording import certificate, recording
from wallet_client import (
    AsyncWalletClient,
    CallError,
    Cause,
    NotConnected,
    OutcomeUnknown,
    Tls,
    WalletClient,
    new_request_id,
    unknown_outcome,
)
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.server.serving import serving
from walletctl.cli import cli
from walletctl.local.waiting import wait_until

ALICE = "wallets/alice"
# The longest time a client may take, with room for a busy machine; the time of the calls themselves is far longer.
SOON_S, PATIENCE_S = 5.0, 20.0


@contextmanager
def listening() -> Iterator[int]:
    """Listen, and send nothing to those who connect."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@dataclass(frozen=True)
class Failure:
    """What a client's change came to, and after how long."""

    error: CallError
    after_s: float


def deposit(target: str, tls: Tls | None, **changes: Any) -> Failure:  # noqa: ANN401  # of the client
    """Deposit with a new client for threads; it must fail."""
    began = monotonic()
    with WalletClient(target, tls=tls, timeout_s=PATIENCE_S, **changes) as client:
        return Failure(refusal(partial(client.deposit, ALICE, usd(1))), monotonic() - began)


def deposit_by_asyncio(target: str, tls: Tls | None) -> Failure:
    """Deposit with a new client for asyncio; it must fail."""

    async def failures() -> Failure:
        began = monotonic()
        async with AsyncWalletClient(target, tls=tls, timeout_s=PATIENCE_S) as client:
            with pytest.raises(CallError) as caught:
                await client.deposit(ALICE, usd(1))
            return Failure(caught.value, monotonic() - began)

    return asyncio.run(failures())


CLIENTS: Mapping[str, Callable[[str, Tls | None], Failure]] = {"threads": deposit, "asyncio": deposit_by_asyncio}

CASES = {
    "refused": (Cause.REFUSED, "refuses the connection"),
    "name": (Cause.NAME_NOT_FOUND, "nowhere.invalid:50051 cannot be resolved"),
    "wrong-ca": (Cause.CERTIFICATE_NOT_TRUSTED, "--ca"),
    "wrong-name": (Cause.CERTIFICATE_FOR_ANOTHER_NAME, "--server-name"),
    "tls-to-plaintext": (Cause.NO_TLS, "does not use TLS"),
    "plaintext-to-tls": (Cause.CLOSED, "Is it a TLS server?"),
    "no-certificate": (Cause.CLOSED, "--certificate"),
    "not-serving": (Cause.NOT_SERVING, "reports that it is not serving"),
    "silent": (Cause.NO_ANSWER, "did not answer within 1.5 s"),
    "two": (Cause.CERTIFICATE_FOR_ANOTHER_NAME, "certificate for another name"),
}


@pytest.fixture(scope="module")
def failures() -> Iterator[dict[tuple[str, str], Failure]]:
    """Return each client's error in each case: all at once, for most take as long as a client tries."""
    ours = trustme.CA()
    trusting, doubting = Tls(ca=ours.cert_pem.bytes()), Tls(ca=trustme.CA().cert_pem.bytes())
    with ExitStack() as stack:
        plain, right, other, mutual, ill = (
            stack.enter_context(each)
            for each in (
                recording(),
                recording(certificate(ours, "127.0.0.1")),
                recording(certificate(ours, "wallet.internal")),
                recording(certificate(ours, "127.0.0.1", of_callers=True)),
                recording(is_serving=False),
            )
        )
        silent = stack.enter_context(listening())
        (closed,) = free_ports(1)
        targets: dict[str, tuple[str, Tls | None]] = {
            "refused": (f"127.0.0.1:{closed}", None),
            "name": ("nowhere.invalid:50051", None),
            "wrong-ca": (f"127.0.0.1:{right[0]}", doubting),
            "wrong-name": (f"127.0.0.1:{other[0]}", trusting),
            "tls-to-plaintext": (f"127.0.0.1:{plain[0]}", trusting),
            "plaintext-to-tls": (f"127.0.0.1:{right[0]}", None),
            "no-certificate": (f"127.0.0.1:{mutual[0]}", trusting),
            "not-serving": (f"127.0.0.1:{ill[0]}", None),
            "silent": (f"127.0.0.1:{silent}", None),
            "two": (f"ipv4:127.0.0.1:{other[0]},127.0.0.1:{closed}", trusting),
        }
        pool = stack.enter_context(ThreadPoolExecutor(len(targets) * len(CLIENTS)))
        pending = {(case, kind): pool.submit(call, *targets[case]) for case in CASES for kind, call in CLIENTS.items()}
        yield {key: future.result() for key, future in pending.items()}
        assert [calls.came for _, calls in (plain, right, other, mutual, ill)] == [[]] * 5


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("case", CASES)
def test_a_client_that_reaches_no_server_reports_why(
    case: str, client: str, failures: Mapping[tuple[str, str], Failure]
) -> None:
    """Soon, in plain words, with what to do; nothing was sent. Of two addresses the more specific error counts."""

    cause, words = CASES[case]
    error = failures[case, client].error

    assert (type(error), getattr(error, "cause", None)) == (NotConnected, cause), error.message
    assert words in error.message
    assert "Nothing was sent." in error.message
    assert (error.outcome, error.code) == ("NOT_DONE_RETRY", "UNAVAILABLE")
    assert error.request_id is not None
    assert failures[case, client].after_s < SOON_S


@dataclass
class Stopped:
    """A service that can be started and stopped, always at one port."""

    app: App
    settings: Settings
    port: int
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def target(self) -> str:
        """Where it is, or was."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve."""
        limits = self.settings.replaced(grpc_port=self.port)
        self.stack.enter_context(serving(self.app, limits))

    def stop(self) -> None:
        """Serve no more."""
        self.stack.close()


@pytest.fixture
def service(app: App, settings: Settings) -> Iterator[Stopped]:
    """Return a service that runs, with a wallet."""
    service = Stopped(app, settings, free_ports(1)[0])
    service.start()
    with WalletClient(service.target) as client:
        client.create_wallet("alice", "USD")
    yield service
    service.stop()


def client_with_short_deadline(target: str) -> WalletClient:
    """Return one whose calls have little time, though more than it takes to connect."""
    return WalletClient(target, timeout_s=1.6, connect_timeout_s=0.8)


def test_a_client_that_was_connected_waits_for_a_server_as_long_as_the_call_has_time(service: Stopped) -> None:
    """One that comes back is called; without one nothing was sent, and the same id does it later, once."""

    id_ = new_request_id()
    with WalletClient(service.target) as client, client_with_short_deadline(service.target) as hasty:
        assert [each.get_wallet(ALICE).balance.minor_units for each in (client, hasty)] == [0, 0]
        service.stop()
        began = monotonic()
        error = refusal(partial(hasty.deposit, ALICE, usd(1), request_id=id_))
        assert monotonic() - began > 1.5
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(client.deposit, ALICE, usd(1))
            service.start()
            assert not waiting.result(PATIENCE_S).replayed
        done = hasty.deposit(ALICE, usd(1), request_id=id_)

        assert isinstance(error, NotConnected)
        assert (error.cause, error.request_id) == (Cause.REFUSED, id_)
        assert not done.replayed
        assert client.get_wallet(ALICE).balance.minor_units == 2


def test_a_client_for_asyncio_that_was_connected_waits_as_well(service: Stopped) -> None:
    """What is cancelled while it waits was not sent either: nothing is open."""

    async def story() -> tuple[CallError, BaseException]:
        async with AsyncWalletClient(service.target, timeout_s=1.5) as client:
            await client.get_wallet(ALICE)
            await asyncio.to_thread(service.stop)
            with pytest.raises(CallError) as refused:
                await client.deposit(ALICE, usd(1))
            with pytest.raises(TimeoutError) as cancelled:
                await asyncio.wait_for(client.deposit(ALICE, usd(1)), 0.2)
            await asyncio.to_thread(service.start)
            assert not (await client.deposit(ALICE, usd(1))).replayed
            return refused.value, cancelled.value

    refused, cancelled = asyncio.run(story())
    assert type(refused) is NotConnected
    assert unknown_outcome(cancelled) is None


def test_an_id_that_an_earlier_attempt_may_have_used_stays_unknown_though_nothing_was_sent_now() -> None:
    """That the last attempt was not sent reveals nothing of the one before."""

    id_ = new_request_id()
    with ExitStack() as stack:
        server = stack.enter_context(ExitStack())
        port, calls = server.enter_context(recording())
        client = stack.enter_context(WalletClient(f"127.0.0.1:{port}", timeout_s=1.0))
        first = refusal(partial(client.deposit, ALICE, usd(1), request_id=id_))
        server.close()
        again = refusal(partial(client.deposit, ALICE, usd(1), request_id=id_))
        other = refusal(partial(client.deposit, ALICE, usd(1)))

    assert calls.came == ["/wallet.v1.TransactionService/Deposit"]
    assert [type(error) for error in (first, again, other)] == [OutcomeUnknown, OutcomeUnknown, NotConnected]
    assert again.request_id == id_
    assert "An earlier attempt may have been done" in str(again)


def test_a_call_whose_first_attempt_had_left_is_unknown_though_the_last_one_had_not() -> None:
    """The server takes it and dies; the channel retries and reaches no server, which is gRPC's last error."""

    with ExitStack() as stack:
        server = stack.enter_context(ExitStack())
        port, calls = server.enter_context(recording())
        client = stack.enter_context(WalletClient(f"127.0.0.1:{port}", timeout_s=2.0))
        pool = stack.enter_context(ThreadPoolExecutor(1))
        pending = pool.submit(refusal, partial(client.deposit, ALICE, usd(1)))
        assert wait_until(lambda: calls.came != [], timeout_s=SOON_S)
        server.close()

        assert type(pending.result(PATIENCE_S)) is OutcomeUnknown


def test_a_permanent_connection_error_is_reported_soon_by_a_client_that_was_connected() -> None:
    """The server comes back with another issuer's certificate: not after the whole time that the call has."""

    ours, (port,) = trustme.CA(), free_ports(1)
    with WalletClient(f"127.0.0.1:{port}", tls=Tls(ca=ours.cert_pem.bytes()), timeout_s=PATIENCE_S) as client:
        with recording(certificate(ours, "127.0.0.1"), port=port):
            assert client.is_serving(SOON_S)
        with recording(certificate(trustme.CA(), "127.0.0.1"), port=port):
            began = monotonic()
            error = refusal(partial(client.deposit, ALICE, usd(1)))

    assert isinstance(error, NotConnected)
    assert (error.cause, error.passes) == (Cause.CERTIFICATE_NOT_TRUSTED, False)
    assert monotonic() - began < SOON_S


def test_a_watch_that_reaches_no_server_reports_why_too() -> None:
    """It does not retry without a limit and without a message."""

    (closed,) = free_ports(1)
    with WalletClient(f"127.0.0.1:{closed}") as client, pytest.raises(NotConnected, match="refuses the connection"):
        next(iter(client.watch_events()))


def test_walletctl_reports_why_it_reaches_no_server() -> None:
    """By an exit code of its own and the cause, with what to do."""

    (closed,) = free_ports(1)
    began = monotonic()
    done = CliRunner().invoke(cli, ["--target", f"127.0.0.1:{closed}", "deposit", "alice", "1.00", "USD"])

    assert done.exit_code == 3
    assert done.output.startswith("REFUSED No server was reached:")
    assert "Nothing was sent." in done.output
    assert monotonic() - began < SOON_S
