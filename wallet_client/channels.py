"""The channel and what else there is in two forms: for threads and for asyncio."""

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
    """Return a channel for threads; without *tls* it speaks in the clear."""
    options = _options(authority(target, tls))
    if tls is None:
        return grpc.insecure_channel(target, options=options)
    return grpc.secure_channel(target, tls.credentials(), options=options)


def open_aio_channel(target: str, tls: Tls | None) -> aio.Channel:
    """Return a channel for asyncio; without *tls* it speaks in the clear."""
    options = _options(authority(target, tls))
    if tls is None:
        return aio.insecure_channel(target, options=options)
    return aio.secure_channel(target, tls.credentials(), options=options)


def is_ready(channel: grpc.Channel) -> bool:
    """Tell whether a server can be called now, and connect where none can."""
    # What asyncio's get_state does. The only other way here is a thread that polls for as long as the channel lives.
    state = channel._channel.check_connectivity_state(True)  # type: ignore[attr-defined]  # noqa: FBT003, SLF001
    return bool(state == grpc.ChannelConnectivity.READY.value[0])


def aio_is_ready(channel: aio.Channel) -> bool:
    """Tell whether a server can be called now, and connect where none can."""
    return channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY


class EveryThread:
    """Where a client for threads may be used."""

    def check(self) -> None:
        """Accept any."""


class OneLoop:
    """Where a client for asyncio may be used: gRPC binds its channel to the event loop that it is opened in."""

    def __init__(self) -> None:
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                "Make an AsyncWalletClient inside of a coroutine: it belongs to its event loop."
            ) from None

    def check(self) -> None:
        """Raise ``RuntimeError`` in another event loop, where a call would never end."""
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError(
                "This AsyncWalletClient belongs to the event loop that it was made in, and this is another one. "
                "Nothing was sent. Make a client in each loop."
            )


def pause(seconds: float, closing: threading.Event) -> None:
    """Wait, or until the client is closed."""
    closing.wait(seconds)


async def aio_pause(seconds: float, closing: threading.Event) -> None:
    """Wait, or until the client is closed."""
    until = time.monotonic() + seconds
    while not closing.is_set() and time.monotonic() < until:  # noqa: ASYNC110  # closed from any thread
        await asyncio.sleep(min(0.1, seconds))


# What a stream raises whose channel is closed, beside an error of gRPC's.
CUT: tuple[type[BaseException], ...] = (ValueError,)
AIO_CUT: tuple[type[BaseException], ...] = (asyncio.CancelledError, aio.UsageError)


def given_up() -> bool:
    """Tell whether whoever reads a stream was told to give up: no, a thread is told nothing."""
    return False


def aio_given_up() -> bool:
    """Tell whether whoever reads a stream was told to give up, which looks like a closed channel."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _options(name: str | None) -> Sequence[tuple[str, str | int]]:
    policy = resources.files("wallet.v1").joinpath("wallet_grpc_service_config.json").read_text()
    return [
        *([("grpc.default_authority", name)] if name is not None else []),
        # How to share calls among servers, to ask each for its health, and to repeat what may be repeated.
        ("grpc.service_config", policy),
        # Whatever the size: an answer that were cut off would look like a call that was not made.
        ("grpc.max_receive_message_length", -1),
        # A connection of its own: clients that are to spread over servers do not share one.
        ("grpc.use_local_subchannel_pool", 1),
        # A server that was away for a while is met again soon after it is back.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
        # A server that is gone without a word is noticed while a call waits for it, e.g. a watch where nothing happens.
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
    ]
