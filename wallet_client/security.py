"""How a client shows who it is, and whom it believes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import grpc

# A token, or what returns the one that is valid now: tokens end, clients go on.
Token: TypeAlias = str | Callable[[], str]
AioToken: TypeAlias = str | Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Speak TLS. Certificates and keys are PEM."""

    ca: bytes | None = None
    """Who signs the server's certificate; None: whom the machine trusts."""
    certificate: bytes | None = None
    """The client's own certificate chain, where the server wants one, with its ``key``."""
    key: bytes | None = None
    server_name: str | None = None
    """The name that the server's certificate must be for; None: the host in the target. Several hosts need it."""

    def credentials(self) -> grpc.ChannelCredentials:
        """Return it as gRPC takes it."""
        return grpc.ssl_channel_credentials(self.ca, self.key, self.certificate)
