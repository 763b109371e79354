"""Why no server could be reached, as gRPC tells it, in plain words.

Only the words come from here. That nothing was sent is known without them (``connection``): a text that a new version
of gRPC writes in another way is shown as it is, and misleads nobody.
"""

import re
from enum import StrEnum
from urllib.parse import unquote

_OF_AN_ADDRESS = re.compile(r"last error: (?:[A-Z_]+: )?(?:ipv[46]:)?(?P<address>\S+): (?P<said>.*)", re.DOTALL)


class Cause(StrEnum):
    """Why a client could not connect. Where several servers say different things, the first of these counts."""

    CERTIFICATE_NOT_TRUSTED = "CERTIFICATE_NOT_TRUSTED"
    """The server's certificate is signed by nobody whom the client trusts, or is no longer valid."""
    CERTIFICATE_FOR_ANOTHER_NAME = "CERTIFICATE_FOR_ANOTHER_NAME"
    """The server's certificate is not for the name that it was called by."""
    NO_TLS = "NO_TLS"
    """The client speaks TLS and the server does not."""
    NAME_NOT_FOUND = "NAME_NOT_FOUND"
    """The host's name has no address."""
    CLOSED = "CLOSED"
    """The server closes connections at once: it may want TLS, or a certificate, or speak something else."""
    NOT_SERVING = "NOT_SERVING"
    """The server is there and says that it does not serve: its database is away, or it is stopping."""
    REFUSED = "REFUSED"
    """Nothing listens at the address."""
    NO_ANSWER = "NO_ANSWER"
    """Nothing was heard."""
    OTHER = "OTHER"
    """What gRPC says is in the message."""


# Those that waiting does not mend.
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
    Cause.CERTIFICATE_NOT_TRUSTED: "shows a certificate that is not trusted ({said})",
    Cause.CERTIFICATE_FOR_ANOTHER_NAME: "shows a certificate that is for another name",
    Cause.NO_TLS: "does not speak TLS",
    Cause.NAME_NOT_FOUND: "cannot be resolved ({said})",
    Cause.CLOSED: "closes the connection",
    Cause.NOT_SERVING: "says that it is not serving",
    Cause.REFUSED: "refuses the connection",
    Cause.NO_ANSWER: "did not answer within {said}",
    Cause.OTHER: "cannot be reached ({said})",
}

_REMEDIES = {
    Cause.CERTIFICATE_NOT_TRUSTED: "Give the certificate of who signs it (Tls(ca=…), --ca), or have it renewed",
    Cause.CERTIFICATE_FOR_ANOTHER_NAME: "Call it by its own name, or give that (Tls(server_name=…), --server-name)",
    Cause.NO_TLS: "Check the port, or call it without TLS",
    Cause.NAME_NOT_FOUND: "Check the host's name",
    Cause.NOT_SERVING: "Its database may be away, or it is stopping: wait, or call another server",
    Cause.REFUSED: "Check the address, and that a server runs there",
    Cause.NO_ANSWER: "Check the address, and what stands between",
    Cause.OTHER: "Check the address",
}
# What a server that closes connections may want.
_WANTS_TLS = "It may speak TLS: call it so (Tls(…), --ca), or check the port; or it has all the connections it takes"
_WANTS_CERTIFICATE = "It may want another certificate of yours (Tls(certificate=…, key=…), --certificate, --key)"


class Failures:
    """What was heard of each address while a client tried to connect."""

    def __init__(self, target: str, *, speaks_tls: bool) -> None:
        self._target = target
        self.limit_s = 0.0
        """How long it was tried."""
        self._closed = _WANTS_CERTIFICATE if speaks_tls else _WANTS_TLS
        self._heard: dict[str, tuple[Cause, str]] = {}

    def note(self, told: str) -> None:
        """Note what gRPC tells of a call that it could not send; it names one address at a time."""
        cause = next((cause for sign, cause in _SIGNS.items() if sign in told.lower()), Cause.OTHER)
        found = _OF_AN_ADDRESS.search(told)
        address, said = (unquote(found["address"]), found["said"]) if found else (self._target, told)
        self._heard[address] = (cause, said.removesuffix(": OK"))

    def __bool__(self) -> bool:
        return bool(self._heard)

    @property
    def cause(self) -> Cause:
        """The one that tells most."""
        order = list(Cause)
        return min((cause for cause, _ in self._heard.values()), key=order.index, default=Cause.NO_ANSWER)

    @property
    def are_lasting(self) -> bool:
        """Whether waiting is of no use."""
        return bool(self._heard) and all(cause in LASTING for cause, _ in self._heard.values())

    def __str__(self) -> str:
        heard = self._heard or {self._target: (Cause.NO_ANSWER, f"{self.limit_s:g} s")}
        words = "; ".join(f"{address} {_WORDS[cause].format(said=said)}" for address, (cause, said) in heard.items())
        remedy = self._closed if self.cause is Cause.CLOSED else _REMEDIES[self.cause]
        return f"No server was reached: {words}. Nothing was sent. {remedy}; then ask again."
