"""TLS: the server's certificate and its clients' authority, reloaded without a restart when the files change."""

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import grpc
import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import (
    DNSName,
    ExtensionNotFound,
    SubjectAlternativeName,
    UniformResourceIdentifier,
    load_pem_x509_certificate,
)

_log = structlog.get_logger("wallet.tls")

# Cached client certificates; gRPC has verified each when its connection was made.
_CERTIFICATES_KNOWN = 1024


class CertificateUnusable(Exception):
    """The certificate files cannot be used; the message has the files and the cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """The files of the certificate chain, the private key, and the clients' authority where one is required."""

    certificate: Path
    key: Path
    client_ca: Path | None

    def read(self) -> grpc.ServerCertificateConfiguration:
        """Read all files; raise ``CertificateUnusable`` unless they match."""
        try:
            # gRPC accepts any content and then fails at every handshake: check it before.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self.key, password="")
            _require_usual_key(self.certificate.read_bytes())
            if self.client_ca is not None:
                context.load_verify_locations(self.client_ca)
            return grpc.ssl_server_certificate_configuration(
                [(self.key.read_bytes(), self.certificate.read_bytes())],
                self.client_ca.read_bytes() if self.client_ca is not None else None,
            )
        except (OSError, ValueError) as error:
            files = ", ".join(str(file) for file in self._all())
            raise CertificateUnusable(f"{files}: {error}") from None

    def stamp(self) -> tuple[tuple[int, int], ...]:
        """Return a value that changes when a file does; raise ``OSError`` where one is missing."""
        return tuple((found.st_mtime_ns, found.st_ino) for found in (file.stat() for file in self._all()))

    def _all(self) -> tuple[Path, ...]:
        return (self.certificate, self.key) if self.client_ca is None else (self.certificate, self.key, self.client_ca)


def _require_usual_key(certificate: bytes) -> None:
    key = load_pem_x509_certificate(certificate).public_key()
    by_curve = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1)
    if not by_curve and not isinstance(key, RSAPublicKey):
        raise ValueError("gRPC supports TLS with keys of RSA, P-256 and P-384 only")


def server_credentials(files: CertificateFiles) -> grpc.ServerCredentials:
    """Return credentials that are reloaded with the files; raise ``CertificateUnusable``."""
    follow = _following(files)  # before the files are read, or a change in between would be missed
    return grpc.dynamic_ssl_server_credentials(
        files.read(),
        follow,  # type: ignore[arg-type]  # None is documented, but not typed
        require_client_authentication=files.client_ca is not None,
    )


def _following(files: CertificateFiles) -> Callable[[], grpc.ServerCertificateConfiguration | None]:
    """Return the function that gRPC calls at every handshake: a new configuration, or None if nothing changed."""
    try:
        seen = files.stamp()
    except OSError as error:
        raise CertificateUnusable(str(error)) from None
    looking = threading.Lock()

    def look() -> grpc.ServerCertificateConfiguration | None:
        nonlocal seen
        with looking:
            try:
                now = files.stamp()
                if now == seen:
                    return None
                changed = files.read()
            except (OSError, CertificateUnusable) as error:
                # Most likely only some files are replaced yet: the last matching ones stay in use.
                _log.warning("certificate unusable", cause=str(error))
                return None
            seen = now
            _log.info("certificate changed")
            return changed

    return look


@lru_cache(maxsize=_CERTIFICATES_KNOWN)
def names_in(certificate: bytes) -> frozenset[str]:
    """Return the names by which a certificate (PEM) identifies a caller: DNS names, and URIs with their scheme.

    No e-mail address and no IP address: an authority may let people choose the former. Read from the certificate
    itself: a name is not truncated at a NUL.
    """
    try:
        found = load_pem_x509_certificate(certificate).extensions.get_extension_for_class(SubjectAlternativeName).value
    except (ExtensionNotFound, ValueError):
        return frozenset()
    dns = (name for name in found.get_values_for_type(DNSName) if "://" not in name)
    uris = (name for name in found.get_values_for_type(UniformResourceIdentifier) if "://" in name)
    return frozenset((*dns, *uris))
