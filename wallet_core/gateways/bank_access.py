"""How the bank knows us, and we the bank: a bearer token, and TLS.

Files are read anew as they change, without a restart.
"""

import re
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Generic, TypeVar

import structlog

_log = structlog.get_logger("wallet.bank")

_TOKEN = re.compile(r"[\x21-\x7e]+")

Found = TypeVar("Found")


class BankAccessUnusable(Exception):
    """What the bank knows us by cannot be used; the message says which file and why, and has no secret in it."""


class _Followed(Generic[Found]):
    """What is made from files: made anew when they change, and while they cannot be used, what was made last."""

    def __init__(self, files: Sequence[Path], make: Callable[[], Found]) -> None:
        self._files = files
        self._make = make
        self._making = threading.Lock()
        self._made: tuple[object, Found] | None = None
        self._logged = ""

    def now(self) -> Found:
        """Return it; raise ``BankAccessUnusable`` where the files could never be used."""
        with self._making:
            try:
                # Before they are read, or what changes meanwhile would go unseen.
                stamp = tuple((f.st_mtime_ns, f.st_ino, f.st_size) for f in (file.stat() for file in self._files))
                if self._made is None or self._made[0] != stamp:
                    self._made = (stamp, self._make())
                self._logged = ""
            except (OSError, ValueError) as error:
                cause = f"{', '.join(map(str, self._files)) or 'the token that is set'}: {error}"
                if self._made is None:
                    raise BankAccessUnusable(cause) from None
                # Half of a change, most likely: the last ones go on until the rest is there.
                if cause != self._logged:
                    _log.warning("bank access unusable", cause=cause)
                self._logged = cause
            return self._made[1]


@dataclass(frozen=True, slots=True)
class BankAccess:
    """What one call to the bank shows, and whom it believes."""

    token: str | None
    tls: ssl.SSLContext


class BankCredentials:
    """Where it is found: a token or a file that holds one; our certificate and key, and the bank's authority, PEM.

    Without *ca* the bank's certificate must be signed by an authority that this machine trusts.
    """

    def __init__(
        self,
        *,
        token: str | None = None,
        token_file: Path | None = None,
        ca: Path | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        self._token = _Followed(
            [token_file] if token_file is not None else [],
            lambda: _token(token if token_file is None else token_file.read_text("ascii", "replace")),
        )
        self._tls = _Followed(
            [file for file in (ca, certificate, key) if file is not None], lambda: _tls(ca, certificate, key)
        )

    def now(self) -> BankAccess:
        """Return what is valid now; raise ``BankAccessUnusable`` where a file could never be used."""
        return BankAccess(self._token.now(), self._tls.now())


def _token(text: str | None) -> str | None:
    """Return the token that a text is, but for what surrounds it; raise ValueError, which does not repeat it."""
    if text is None:
        return None
    token = text.strip()
    if not _TOKEN.fullmatch(token):
        raise ValueError("holds no token: one word of printable ASCII")
    return token


def _tls(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    if ca is None and certificate is None:
        return _trusting_the_machines()
    context = ssl.create_default_context(cafile=ca)
    if certificate is not None:
        context.load_cert_chain(certificate, key, password="")
    return context


@cache
def _trusting_the_machines() -> ssl.SSLContext:
    """Load the machine's certificate store once: it takes longer than a payment."""
    return ssl.create_default_context()
