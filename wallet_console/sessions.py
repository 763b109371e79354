"""Sessions, in the memory of this process: a browser has a random id and nothing else.

Tokens are too long for cookies and must end at once when their user signs out. A restart of the console signs all out.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic, time

import jwt

from wallet_console.settings import ConsoleSettings

_ID_BYTES = 32


@dataclass(slots=True)
class Session:
    """A person who is signed in."""

    token: str
    person: str
    ends: float
    """By the monotonic clock."""
    used: float


class Sessions:
    """All sessions, the one that was used last at the end."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._longest_s, self._idle_s, self._most = settings.session_s, settings.session_idle_s, settings.sessions_max
        self._sessions: dict[str, Session] = {}
        self._key = secrets.token_bytes(_ID_BYTES)

    def begin(self, token: str) -> str:
        """Begin a session with a token that the service has accepted; return its id."""
        id_, now = new_id(), monotonic()
        person, left_s = _claims(token)
        self._sessions[id_] = Session(token, person, ends=now + min(self._longest_s, left_s), used=now)
        while len(self._sessions) > self._most:
            del self._sessions[next(iter(self._sessions))]
        return id_

    def find(self, id_: str, *, used: bool = True) -> Session | None:
        """Return a session that has not ended; *used*: by its person, and not by a page that updates itself."""
        session, now = self._sessions.get(id_), monotonic()
        if session is None or now >= session.ends or now - session.used >= self._idle_s:
            self.end(id_)
            return None
        if used:
            self._sessions[id_] = self._sessions.pop(id_)
            session.used = now
        return session

    def end(self, id_: str) -> None:
        """End a session."""
        self._sessions.pop(id_, None)

    def alive(self) -> Iterator[tuple[str, Session]]:
        """Yield the sessions that have not ended, the one that was used last first."""
        now = monotonic()
        for id_, session in reversed(list(self._sessions.items())):
            if now < session.ends and now - session.used < self._idle_s:
                yield id_, session

    def csrf(self, id_: str) -> str:
        """Return what every form of a session has: no other page can know it."""
        return hmac.new(self._key, id_.encode(), hashlib.sha256).hexdigest()

    def is_own_form(self, id_: str, csrf: str) -> bool:
        """Return whether a form was made for this session."""
        return hmac.compare_digest(self.csrf(id_).encode(), csrf.encode())


def new_id() -> str:
    """Return a new id, which cannot be guessed."""
    return secrets.token_urlsafe(_ID_BYTES)


def _claims(token: str) -> tuple[str, float]:
    """Return whom a token names, and the seconds until it expires. Not checked here: the service checks each call."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return "", float("inf")
    person = next((str(claims[name]) for name in ("sub", "client_id", "azp") if claims.get(name)), "")
    expires = claims.get("exp")
    return person, (float(expires) - time() if isinstance(expires, int | float) else float("inf"))
