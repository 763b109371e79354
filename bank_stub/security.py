"""Authentication of callers: TLS, client certificates, and a bearer token. Without any, all callers are accepted."""

import hmac
import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Files: the bank's certificate chain with its key, the authority of its callers' (PEM), and their token."""

    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    token_file: Path | None = None

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS context, None without TLS. Raises OSError if a file cannot be used."""
        if self.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key, password="")
        if self.client_ca is not None:
            context.load_verify_locations(self.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def lets_in(self, authorization: str | None) -> bool:
        """Return whether a call is authenticated; the token is read each time, so a new one is valid immediately."""
        if self.token_file is None:
            return True
        wanted = f"Bearer {self.token_file.read_text().strip()}"
        return hmac.compare_digest((authorization or "").encode(), wanted.encode())
