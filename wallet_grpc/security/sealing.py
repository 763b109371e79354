"""Encrypts tokens that callers store and send back: they can neither read nor change them.

If they were only signed, a position in the journal or in a list would reveal the activity of others.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NoBase64

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES = 64
# Lengths would reveal the number of digits.
_PADDED_TO = 16


class SealBroken(Exception):
    """The service did not issue this token, or issued it for something else."""


class Seal:
    """AES-SIV, which is deterministic: equal contents with equal bindings give equal tokens."""

    def __init__(self, secret: str) -> None:
        self._cipher = AESSIV(HKDF(SHA512(), _KEY_BYTES, salt=None, info=b"wallet tokens").derive(secret.encode()))

    def closed(self, content: bytes, bound_to: str) -> str:
        """Return the token of *content*, bound to *bound_to*; *content* must not end with a space."""
        padded = content.ljust(-(-len(content) // _PADDED_TO) * _PADDED_TO)
        return urlsafe_b64encode(self._cipher.encrypt(padded, [bound_to.encode()])).rstrip(b"=").decode()

    def opened(self, token: str, bound_to: str) -> bytes:
        """Return the content of a token; raise ``SealBroken`` for one that was not issued exactly so."""
        try:
            sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
            content = self._cipher.decrypt(sealed, [bound_to.encode()]).rstrip(b" ")
        except (NoBase64, ValueError, InvalidTag):
            raise SealBroken from None
        if self.closed(content, bound_to) != token:
            raise SealBroken  # base64 ignores invalid characters
        return content
