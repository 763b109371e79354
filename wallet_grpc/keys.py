"""The keys that tokens are signed with: a JWK set in a file or at a URL, read again as it changes.

A key that is not known is looked for at once, but not more often than every *retry_s*: made-up key ids must not make us
ask the issuer for each. While the set cannot be read, the last one stays in force, for *keep_s* at the longest.
"""

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import httpx
import structlog
from jwt import PyJWK, PyJWKSet, PyJWTError

_log = structlog.get_logger("wallet.keys")


class KeysUnreadable(Exception):
    """The set of keys cannot be read; the message says where and why."""


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

    def load(self) -> None:
        """Read the set for the first time; raise ``KeysUnreadable`` where that fails."""
        self._keys = self._read()
        self._read_at = self._tried_at = monotonic()

    def find(self, key_id: str) -> PyJWK | None:
        """Return a key, looking for it anew where it is time to; None where there is none of that id."""
        now = monotonic()
        due = now - self._read_at >= self.limits.refresh_s or key_id not in self._keys
        if due and now - self._tried_at >= self.limits.retry_s:
            self._refresh(wait=key_id not in self._keys)
        if monotonic() - self._read_at > self.limits.keep_s:
            return None
        return self._keys.get(key_id)

    def _refresh(self, *, wait: bool) -> None:
        """Read the set again, one at a time; only who has no key for its caller waits for that."""
        if not self._reading.acquire(blocking=wait):
            return
        try:
            if monotonic() - self._tried_at < self.limits.retry_s:
                return  # somebody else just has
            self._tried_at = monotonic()
            self._keys = self._read()
            self._read_at = monotonic()
        except KeysUnreadable as error:
            _log.warning("keys unreadable", cause=str(error))
        finally:
            self._reading.release()

    def _read(self) -> dict[str, PyJWK]:
        try:
            keys = PyJWKSet.from_dict(json.loads(self._text()))
        except (OSError, httpx.HTTPError, ValueError, AttributeError, PyJWTError) as error:
            raise KeysUnreadable(f"{self.source}: {str(error) or type(error).__name__}") from None
        # A set is public; one with a shared secret in it would let everybody sign who can read it.
        usable = [
            key for key in keys.keys if key.key_type in {"RSA", "EC", "OKP"} and key.public_key_use in {None, "sig"}
        ]
        found = {key.key_id: key for key in usable if key.key_id}
        if not found:
            raise KeysUnreadable(f"{self.source}: has no public key with an id, of kind RSA, EC or OKP")
        return found

    def _text(self) -> str:
        if not self.source.startswith(("https://", "http://")):
            return Path(self.source).read_text(encoding="utf-8")
        with (
            httpx.Client(timeout=self.limits.timeout_s, follow_redirects=False) as client,
            client.stream("GET", self.source) as answer,
        ):
            answer.raise_for_status()
            body = b""
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > self.limits.max_bytes:
                    raise ValueError("the answer is too large")
        return body.decode("utf-8")
