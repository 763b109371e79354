"""The service as the user who is signed in may use it: one connection per language, each call with the user's token."""

from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

from wallet_client import AsyncWalletClient, CallError, Tls
from wallet_console.settings import ConsoleSettings
from wallet_console.texts import LANGUAGES

Result = TypeVar("Result")

token_now: ContextVar[str] = ContextVar("token_now")
"""The token of the request that is being answered."""


class Service:
    """The clients, and what is the same for every user."""

    def __init__(self, clients: Mapping[str, AsyncWalletClient]) -> None:
        self._clients = clients
        self._exponents: dict[str, int] = {}

    def client(self, language: str) -> AsyncWalletClient:
        """Return the client whose errors are in this language."""
        return self._clients[language]

    async def exponents(self, language: str) -> Mapping[str, int]:
        """Return the number of decimals of each currency, which never changes."""
        if not self._exponents:
            self._exponents = {one.code: one.exponent for one in await self.client(language).list_currencies()}
        return self._exponents


@asynccontextmanager
async def open_service(settings: ConsoleSettings) -> AsyncIterator[Service]:
    """Connect to the service, in this event loop."""
    tls = Tls(ca=_read(settings.target_ca), server_name=settings.target_server_name) if settings.target_tls else None
    token = None if settings.login == "none" else _token
    async with AsyncExitStack() as stack:
        yield Service(
            {
                language: await stack.enter_async_context(
                    AsyncWalletClient(
                        settings.target,
                        timeout_s=settings.timeout_s,
                        accept_language=language,
                        token=token,
                        tls=tls,
                    )
                )
                for language in LANGUAGES
            }
        )


async def attempt(call: Awaitable[Result]) -> Result | CallError:
    """Return the result of a read, or its error: a page shows what its user may read."""
    try:
        return await call
    except CallError as error:
        if error.reason == "CREDENTIALS_INVALID":
            raise
        return error


async def _token() -> str:
    return token_now.get()


def _read(path: Path | None) -> bytes | None:
    return path.read_bytes() if path is not None else None
