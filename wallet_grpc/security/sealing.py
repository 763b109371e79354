"""Seals what callers carry for us and bring back: they can neither read it nor change it.

Were it only signed, a place in the journal or in the list of wallets would tell how much happens to others.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NoBase64

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES = 64
# Lengths tell of numbers how many digits they have.
_PADDED_TO = 16


class SealBroken(Exception):
    """A token is not ours, or was given for something else."""


class Seal:
    """AES-SIV: what is alike and bound to the same is sealed alike, so a token may be compared with another."""

    def __init__(self, secret: str) -> None:
        self._cipher = AESSIV(HKDF(SHA512(), _KEY_BYTES, salt=None, info=b"wallet tokens").derive(secret.encode()))

    def closed(self, said: bytes, bound_to: str) -> str:
        """Return a token that says this, for what it is bound to alone; *said* does not end with a space."""
        padded = said.ljust(-(-len(said) // _PADDED_TO) * _PADDED_TO)
        return urlsafe_b64encode(self._cipher.encrypt(padded, [bound_to.encode()])).rstrip(b"=").decode()

    def opened(self, token: str, bound_to: str) -> bytes:
        """Return what a token says; raise ``SealBroken`` for one that is not ours, to the last letter."""
        try:
            sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
            said = self._cipher.decrypt(sealed, [bound_to.encode()]).rstrip(b" ")
        except (NoBase64, ValueError, InvalidTag):
            raise SealBroken from None
        if self.closed(said, bound_to) != token:
            raise SealBroken  # base64 overlooks letters that are none
        return said
