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
    """The credentials for the bank cannot be used; the message says which file and why, without secrets."""


class _Followed(Generic[Found]):
    """A value made from files: made again when they change; while they cannot be used, the last one."""

    def __init__(self, files: Sequence[Path], make: Callable[[], Found]) -> None:
        self._files = files
        self._make = make
        self._making = threading.Lock()
        self._made: tuple[object, Found] | None = None
        self._logged = ""

    def now(self) -> Found:
        """Return the value; raise ``BankAccessUnusable`` where the files were never usable."""
        with self._making:
            try:
                # Before they are read, so that a change during the read is detected.
                stamp = tuple((f.st_mtime_ns, f.st_ino, f.st_size) for f in (file.stat() for file in self._files))
                if self._made is None or self._made[0] != stamp:
                    self._made = (stamp, self._make())
                self._logged = ""
            except (OSError, ValueError) as error:
                cause = f"{', '.join(map(str, self._files)) or 'the token that is set'}: {error}"
                if self._made is None:
                    raise BankAccessUnusable(cause) from None
                # Probably half of a change: the last value is used until the change is complete.
                if cause != self._logged:
                    _log.warning("bank access unusable", cause=cause)
                self._logged = cause
            return self._made[1]


@dataclass(frozen=True, slots=True)
class BankAccess:
    """The credentials of one call to the bank, and the authorities that it trusts."""

    token: str | None
    tls: ssl.SSLContext


class BankCredentials:
    """The sources of credentials: a token or its file; our certificate and key, and the bank's authority, in PEM.

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
        """Return the present credentials; raise ``BankAccessUnusable`` where a file was never usable."""
        return BankAccess(self._token.now(), self._tls.now())


def _token(text: str | None) -> str | None:
    """Return the token in a text, without surrounding blanks; raise ValueError, which does not repeat it."""
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
