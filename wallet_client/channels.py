"""What differs between threads and asyncio: the channel, pauses, and the errors of a closed stream."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib import resources
from typing import TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message
from grpc import aio

from wallet_client.security import Tls
from wallet_client.target import authority

Response = TypeVar("Response", bound=Message)

Call: TypeAlias = Callable[..., Response]
AioCall: TypeAlias = Callable[..., Awaitable[Response]]


def open_channel(target: str, tls: Tls | None) -> grpc.Channel:
    """Return a channel for threads; without *tls* in plain text."""
    options = _options(authority(target, tls))
    if tls is None:
        return grpc.insecure_channel(target, options=options)
    return grpc.secure_channel(target, tls.credentials(), options=options)


def open_aio_channel(target: str, tls: Tls | None) -> aio.Channel:
    """Return a channel for asyncio; without *tls* in plain text."""
    options = _options(authority(target, tls))
    if tls is None:
        return aio.insecure_channel(target, options=options)
    return aio.secure_channel(target, tls.credentials(), options=options)


def is_ready(channel: grpc.Channel) -> bool:
    """Return whether a server can be called now; start to connect where none can."""
    # The same as asyncio's get_state. The public alternative is a thread that polls for the lifetime of the channel.
    state = channel._channel.check_connectivity_state(True)  # type: ignore[attr-defined]  # noqa: FBT003, SLF001
    return bool(state == grpc.ChannelConnectivity.READY.value[0])


def aio_is_ready(channel: aio.Channel) -> bool:
    """Return whether a server can be called now; start to connect where none can."""
    return channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY


class EveryThread:
    """A client for threads may be used on every thread."""

    def check(self) -> None:
        """Accept every thread."""


class OneLoop:
    """A client for asyncio may be used in one event loop: gRPC binds the channel to the loop that opens it."""

    def __init__(self) -> None:
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                "Create an AsyncWalletClient inside a coroutine: it belongs to the running event loop."
            ) from None

    def check(self) -> None:
        """Raise ``RuntimeError`` in another event loop, where a call would never return."""
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError(
                "This AsyncWalletClient belongs to the event loop that created it, and this is another one. "
                "Nothing was sent. Create a client in each loop."
            )


def pause(seconds: float, closing: threading.Event) -> None:
    """Wait for *seconds*, or until the client is closed."""
    closing.wait(seconds)


async def aio_pause(seconds: float, closing: threading.Event) -> None:
    """Wait for *seconds*, or until the client is closed."""
    until = time.monotonic() + seconds
    while not closing.is_set() and time.monotonic() < until:  # noqa: ASYNC110  # closed from any thread
        await asyncio.sleep(min(0.1, seconds))


# What a stream raises, apart from gRPC's errors, when its channel is closed.
CUT: tuple[type[BaseException], ...] = (ValueError,)
AIO_CUT: tuple[type[BaseException], ...] = (asyncio.CancelledError, aio.UsageError)


def given_up() -> bool:
    """Return whether the reader of a stream was cancelled: never, because threads cannot be cancelled."""
    return False


def aio_given_up() -> bool:
    """Return whether the reader of a stream was cancelled, which raises the same error as a closed channel."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _options(name: str | None) -> Sequence[tuple[str, str | int]]:
    policy = resources.files("wallet.v1").joinpath("wallet_grpc_service_config.json").read_text()
    return [
        *([("grpc.default_authority", name)] if name is not None else []),
        # Load balancing, health checking, and retries.
        ("grpc.service_config", policy),
        # No limit: a response that exceeds one would look like a call that was not made.
        ("grpc.max_receive_message_length", -1),
        # Own connections: clients that share one would not spread over servers.
        ("grpc.use_local_subchannel_pool", 1),
        # Reconnect soon after a server is back.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
        # Detect a server that vanished while a call waits, e.g. a watch without events.
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
    ]
