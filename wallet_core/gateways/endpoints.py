"""Endpoints of webhooks over HTTP, by the Standard Webhooks specification.

The host is looked up once for each request, and the connection is made to an address that was checked: a name that
leads elsewhere a moment later changes nothing. Redirects are not followed, and proxies of the environment are not used.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import httpx
from standardwebhooks import Webhook as Signer

from wallet_core.addresses import EndpointPolicy
from wallet_core.deadline import run_alone
from wallet_core.domain.model.webhook import Answer

_ERROR_MAX = 200
_DIGITS_MAX = 9
_PORTS = {"http": 80, "https": 443}
_SEPARATE_LINES = {"\n", "\t"}


class _RefusedError(Exception):
    """Nothing may be sent there."""


async def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a host, the best first."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


Resolve = Callable[[str, int], Awaitable[list[str]]]


@dataclass(frozen=True)
class HttpEndpoints:
    """Sends events; every request ends within *deadline_s*."""

    policy: EndpointPolicy
    deadline_s: float
    response_max_bytes: int
    ca: Path | None = None
    resolve: Resolve = look_up

    def send(self, url: str, *, message: str, body: bytes, secrets: Sequence[str], now: datetime) -> Answer:
        """Send one signed request, dated *now*; return what came of it. Never raises."""
        begun = monotonic()
        received = _Received()
        error = ""
        try:
            run_alone(self._send(url, signed(message, body, secrets, now), body, received))
        except _RefusedError as refused:
            error = str(refused)
        except TimeoutError:
            error = f"no response within {self.deadline_s:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as failed:
            error = f"{type(failed).__name__}: {failed}"
        return Answer(
            status=received.status,
            retry_after_s=_seconds(received.retry_after, now),
            response=_text(bytes(received.body)),
            # Once there is a status, it alone counts: the rest of the response is for people.
            error="" if received.status else _text(error.encode())[:_ERROR_MAX],
            latency=timedelta(seconds=monotonic() - begun),
        )

    async def _send(self, url: str, headers: dict[str, str], body: bytes, received: "_Received") -> None:
        async with asyncio.timeout(self.deadline_s):
            if wrong := self.policy.wrong_with(url):
                raise _RefusedError(f"the URL {wrong}")
            parts = urlsplit(url)
            host = parts.hostname or ""
            addresses = await self.resolve(host, parts.port or _PORTS[parts.scheme])
            # All of them: a name that leads to one of our own machines is no mistake of one moment.
            if not addresses or not all(map(self.policy.permits, addresses)):
                raise _RefusedError("the host resolves to an address that webhooks may not be sent to")
            failed: httpx.TransportError | None = None
            for address in addresses:
                try:
                    await self._send_to(address, url, host, headers, body, received)
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                    failed = error
                else:
                    return
            if failed is not None:
                raise failed

    async def _send_to(  # noqa: PLR0913, PLR0917  # one request's parts
        self, address: str, url: str, host: str, headers: dict[str, str], body: bytes, received: "_Received"
    ) -> None:
        parts = httpx.URL(url)
        pinned = parts.copy_with(host=address)
        async with (
            httpx.AsyncClient(verify=self._tls, trust_env=False, follow_redirects=False, timeout=None) as client,  # noqa: S113  # the one around it
            client.stream(
                "POST",
                pinned,
                headers={**headers, "Host": parts.netloc.decode("ascii")},
                content=body,
                # The certificate must be the host's, not the address's.
                extensions={"sni_hostname": host},
            ) as response,
        ):
            received.status, received.retry_after = response.status_code, response.headers.get("Retry-After", "")
            # As it comes: unpacking it could fill the memory.
            async for chunk in response.aiter_raw():
                received.body += chunk[: self.response_max_bytes - len(received.body)]
                if len(received.body) >= self.response_max_bytes:
                    return

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """The trusted authorities, loaded once: it takes longer than a request."""
        return ssl.create_default_context(cafile=self.ca)


class _Received:
    """What was received before the request ended, however it ended."""

    def __init__(self) -> None:
        self.status = 0
        self.retry_after = ""
        self.body = bytearray()


def signed(message: str, body: bytes, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """Return the headers of a request, with a signature by each secret."""
    signatures = [Signer(secret).sign(message, now, body.decode()) for secret in secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": "wallet-webhooks/1",
        "Accept-Encoding": "identity",
        "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _seconds(retry_after: str, now: datetime) -> float | None:
    """Read Retry-After: seconds, or a date."""
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        return float(text) if len(text) <= _DIGITS_MAX else 10.0**_DIGITS_MAX
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())


def _text(body: bytes) -> str:
    """Return bytes as text that can be stored and shown: without characters that could manipulate a terminal."""
    return "".join(
        char if char.isprintable() or char in _SEPARATE_LINES else " " for char in body.decode("utf-8", "replace")
    )
