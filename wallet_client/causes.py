"""Why no server could be reached: gRPC's error text as a cause, a message and a remedy.

That nothing was sent is known without this text (``connection``). If a new version of gRPC words an error differently,
the message shows gRPC's own text.
"""

import re
from enum import StrEnum
from urllib.parse import unquote

_OF_AN_ADDRESS = re.compile(r"last error: (?:[A-Z_]+: )?(?:ipv[46]:)?(?P<address>\S+): (?P<text>.*)", re.DOTALL)


class Cause(StrEnum):
    """Why a client could not connect. Where addresses fail for different causes, the first in this order counts."""

    CERTIFICATE_NOT_TRUSTED = "CERTIFICATE_NOT_TRUSTED"
    """The server's certificate is not signed by an authority that the client trusts, or it has expired."""
    CERTIFICATE_FOR_ANOTHER_NAME = "CERTIFICATE_FOR_ANOTHER_NAME"
    """The server's certificate is for another host name."""
    NO_TLS = "NO_TLS"
    """The client uses TLS and the server does not."""
    NAME_NOT_FOUND = "NAME_NOT_FOUND"
    """The host name cannot be resolved."""
    CLOSED = "CLOSED"
    """The server closes connections at once: it may require TLS or a client certificate, or not be a gRPC server."""
    NOT_SERVING = "NOT_SERVING"
    """The server reports NOT_SERVING: its database is unavailable, or it is shutting down."""
    REFUSED = "REFUSED"
    """No process listens at the address."""
    NO_ANSWER = "NO_ANSWER"
    """There was no response."""
    OTHER = "OTHER"
    """Another cause; the message has gRPC's text."""


# Causes that waiting does not resolve.
LASTING = frozenset({Cause.CERTIFICATE_NOT_TRUSTED, Cause.CERTIFICATE_FOR_ANOTHER_NAME, Cause.NO_TLS})

_SIGNS = {
    "certificate_verify_failed": Cause.CERTIFICATE_NOT_TRUSTED,
    "hostname verification check failed": Cause.CERTIFICATE_FOR_ANOTHER_NAME,
    "wrong_version_number": Cause.NO_TLS,
    "errors resolving": Cause.NAME_NOT_FOUND,
    "backend unhealthy": Cause.NOT_SERVING,
    "connection refused": Cause.REFUSED,
    "no such file": Cause.REFUSED,
    "socket closed": Cause.CLOSED,
    "connection reset": Cause.CLOSED,
    "failed parsing http/2": Cause.CLOSED,
}

_WORDS = {
    Cause.CERTIFICATE_NOT_TRUSTED: "has a certificate that is not trusted ({text})",
    Cause.CERTIFICATE_FOR_ANOTHER_NAME: "has a certificate for another name",
    Cause.NO_TLS: "does not use TLS",
    Cause.NAME_NOT_FOUND: "cannot be resolved ({text})",
    Cause.CLOSED: "closes the connection",
    Cause.NOT_SERVING: "reports that it is not serving",
    Cause.REFUSED: "refuses the connection",
    Cause.NO_ANSWER: "did not answer within {text}",
    Cause.OTHER: "cannot be reached ({text})",
}

_REMEDIES = {
    Cause.CERTIFICATE_NOT_TRUSTED: "Give the certificate of its authority (Tls(ca=…), --ca), or renew the server's",
    Cause.CERTIFICATE_FOR_ANOTHER_NAME: "Use the certificate's name, or give it (Tls(server_name=…), --server-name)",
    Cause.NO_TLS: "Check the port, or connect without TLS",
    Cause.NAME_NOT_FOUND: "Check the host name",
    Cause.NOT_SERVING: "Its database may be unavailable, or it is shutting down: wait, or use another server",
    Cause.REFUSED: "Check the address, and that a server runs there",
    Cause.NO_ANSWER: "Check the address, and firewalls and proxies on the way",
    Cause.OTHER: "Check the address",
}
# Remedies for a server that closes connections.
_WANTS_TLS = "Is it a TLS server? Use TLS (Tls(ca=…), --ca), or check the port; or its connections are exhausted"
_WANTS_CERTIFICATE = "It may require another client certificate (Tls(certificate=…, key=…), --certificate, --key)"


class Failures:
    """The failures of each address while a client tried to connect."""

    def __init__(self, target: str, *, speaks_tls: bool) -> None:
        self._target = target
        self.limit_s = 0.0
        """How long the client tried, in seconds."""
        self._closed = _WANTS_CERTIFICATE if speaks_tls else _WANTS_TLS
        self._failures: dict[str, tuple[Cause, str]] = {}

    def record(self, message: str) -> None:
        """Record gRPC's error text of a call that it could not send; it names one address at a time."""
        cause = next((cause for sign, cause in _SIGNS.items() if sign in message.lower()), Cause.OTHER)
        found = _OF_AN_ADDRESS.search(message)
        address, text = (unquote(found["address"]), found["text"]) if found else (self._target, message)
        self._failures[address] = (cause, text.removesuffix(": OK"))

    def __bool__(self) -> bool:
        return bool(self._failures)

    @property
    def cause(self) -> Cause:
        """The most specific cause."""
        order = list(Cause)
        return min((cause for cause, _ in self._failures.values()), key=order.index, default=Cause.NO_ANSWER)

    @property
    def are_lasting(self) -> bool:
        """Whether waiting does not help."""
        return bool(self._failures) and all(cause in LASTING for cause, _ in self._failures.values())

    def __str__(self) -> str:
        failures = self._failures or {self._target: (Cause.NO_ANSWER, f"{self.limit_s:g} s")}
        failed = "; ".join(
            f"{address} {_WORDS[cause].format(text=text)}" for address, (cause, text) in failures.items()
        )
        remedy = self._closed if self.cause is Cause.CLOSED else _REMEDIES[self.cause]
        return f"No server was reached: {failed}. Nothing was sent. {remedy}; then retry."
