"""Credentials of a client: tokens and TLS."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import grpc

# A token, or a function that returns a valid one: tokens expire, clients live on.
Token: TypeAlias = str | Callable[[], str]
AioToken: TypeAlias = str | Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Use TLS. Certificates and keys are PEM.

    Example:
        >>> WalletClient("wallet.example:443", tls=Tls(ca=Path("ca.pem").read_bytes()))
    """

    ca: bytes | None = None
    """The authority that signs the server's certificate; None: the authorities that the machine trusts."""
    certificate: bytes | None = None
    """The client's certificate chain, where the server requires one, with its ``key``."""
    key: bytes | None = None
    server_name: str | None = None
    """The name in the server's certificate; None: the host of the target. Required for several hosts."""

    def credentials(self) -> grpc.ChannelCredentials:
        """Return the credentials for a gRPC channel."""
        return grpc.ssl_channel_credentials(self.ca, self.key, self.certificate)
