"""The keys that verify tokens: a JWK set in a file or at a URL, reloaded when it changes.

An unknown key triggers a reload, but at most every *retry_s*: invented key ids must not cause a request to the issuer
each. While the set cannot be read, the last one stays valid, for at most *keep_s*.
"""

import asyncio
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import structlog
from jwt import PyJWK

from wallet_core.deadline import run_alone

_log = structlog.get_logger("wallet.keys")

# Calls that wait for an unknown key at once; further calls are refused immediately.
_QUEUE_MAX = 8


class KeysUnreadable(Exception):
    """The set of keys cannot be read; the message has the source and the cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLimits:
    """How keys are read. Values come from the settings, which explain them."""

    refresh_s: float
    retry_s: float
    keep_s: float
    timeout_s: float
    max_bytes: int


@dataclass(slots=True)
class KeySet:
    """The issuer's keys, by their ids."""

    source: str
    """A path, or an address that begins with ``https://`` (``http://`` for development)."""
    limits: KeyLimits
    _keys: dict[str, PyJWK] = field(default_factory=dict)
    _read_at: float = 0.0
    _tried_at: float = 0.0
    _reading: threading.Lock = field(default_factory=threading.Lock)
    _waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_QUEUE_MAX))

    def load(self) -> None:
        """Read the set for the first time; raise ``KeysUnreadable`` where that fails."""
        self._keys = self._read()
        self._read_at = self._tried_at = monotonic()

    def find(self, key_id: str) -> PyJWK | None:
        """Return a key, reloading the set where necessary; None where there is no key of that id."""
        if key_id not in self._keys:
            self._look_for_unknown()
        elif monotonic() - self._read_at >= self.limits.refresh_s and self._reading.acquire(blocking=False):
            self._read_again()
        if monotonic() - self._read_at > self.limits.keep_s:
            return None
        return self._keys.get(key_id)

    def _look_for_unknown(self) -> None:
        """Wait for a reload; the number of waiting calls is limited, because callers can invent key ids."""
        if not self._waiting.acquire(blocking=False):
            return
        try:
            if self._reading.acquire(timeout=self.limits.timeout_s):
                self._read_again()
        finally:
            self._waiting.release()

    def _read_again(self) -> None:
        """Reload the set, unless that was just tried; the caller has acquired the lock, which is released here."""
        try:
            if monotonic() - self._tried_at < self.limits.retry_s:
                return
            self._keys = self._read()
            self._read_at = self._tried_at = monotonic()
        except KeysUnreadable as error:
            self._tried_at = monotonic()
            _log.warning("keys unreadable", cause=str(error))
        finally:
            self._reading.release()

    def _read(self) -> dict[str, PyJWK]:
        try:
            found = dict(map(_key, filter(_is_public, json.loads(self._text())["keys"])))
        except Exception as error:  # noqa: BLE001  # foreign data, which may be anything
            raise KeysUnreadable(f"{self.source}: {str(error) or type(error).__name__}") from None
        if not found:
            raise KeysUnreadable(f"{self.source}: has no public key with an id, of kind RSA, EC or OKP")
        return found

    def _text(self) -> str:
        if not self.source.startswith(("https://", "http://")):
            return Path(self.source).read_text(encoding="utf-8")
        return run_alone(self._fetch()).decode("utf-8")

    async def _fetch(self) -> bytes:
        async with (
            asyncio.timeout(self.limits.timeout_s),  # the library's timeout is for each of many steps
            httpx.AsyncClient(timeout=self.limits.timeout_s, follow_redirects=False) as client,
            client.stream("GET", self.source) as answer,
        ):
            answer.raise_for_status()
            body = b""
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > self.limits.max_bytes:
                    raise ValueError("the response is too large")
            return body


def _is_public(jwk: object) -> bool:
    """Return whether a key may be used: a published key must not be one that can sign."""
    return (
        isinstance(jwk, dict)
        and isinstance(jwk.get("kid"), str)
        and jwk.get("kty") in {"RSA", "EC", "OKP"}
        and jwk.get("use") in {None, "sig"}
        and "d" not in jwk
    )


def _key(jwk: dict[str, Any]) -> tuple[str, PyJWK]:
    return jwk["kid"], PyJWK(jwk)
