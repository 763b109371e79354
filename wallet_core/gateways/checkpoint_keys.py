"""The keys of checkpoints: Ed25519, in PEM files, read anew for each use so that a rotation needs no restart."""

import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from wallet_core.domain.model.checkpoint import Checkpoint, Statement
from wallet_core.domain.model.summary import Summary, SummaryStatement

_END = b"-----END PUBLIC KEY-----"

SignedT = TypeVar("SignedT", bound=Checkpoint)


class KeyUnusable(Exception):
    """A file that has no key of a checkpoint."""


def key_id(public: bytes) -> str:
    """Return the id of a key: the first eight bytes of the SHA-256 of its public half, in hexadecimal digits."""
    return sha256(public).digest()[:8].hex()


def _raw(public: Ed25519PublicKey) -> bytes:
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


@dataclass(frozen=True, slots=True)
class CheckpointSigner:
    """Signs checkpoints with the key in a PEM file."""

    file: Path

    def public_key(self) -> bytes:
        """Return the public half of the key. Raises ``KeyUnusable``."""
        return _raw(self._key().public_key())

    def sign(self, statement: Statement) -> Checkpoint:
        """Return a statement as a checkpoint. Raises ``KeyUnusable``."""
        return self._signed(Checkpoint(statement.number, statement.text(), "", b""))

    def sign_summary(self, statement: SummaryStatement) -> Summary:
        """Return a statement as a summary. Raises ``KeyUnusable``."""
        return self._signed(Summary(statement.number, statement.text(), "", b""))

    def _signed(self, unsigned: SignedT) -> SignedT:
        key = self._key()
        return replace(unsigned, key_id=key_id(_raw(key.public_key())), signature=key.sign(unsigned.signed))

    def _key(self) -> Ed25519PrivateKey:
        try:
            key = load_pem_private_key(self.file.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise KeyUnusable(f"{self.file}: {error}") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyUnusable(f"{self.file}: not an Ed25519 key")
        return key


def is_signed(checkpoint: Checkpoint, public_keys: Mapping[str, bytes]) -> bool:
    """Return whether one of these keys, each under its id, has signed a checkpoint."""
    public = public_keys.get(checkpoint.key_id)
    if public is None or key_id(public) != checkpoint.key_id:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(checkpoint.signature, checkpoint.signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def new_key(file: Path) -> bytes:
    """Write a new signing key to a file that does not exist yet, for its owner only; return its public half.

    The file has its name only when it is complete. Raises ``OSError``.
    """
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor, unfinished = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # for its owner only
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(pem)
            opened.flush()
            os.fsync(descriptor)
        os.link(unfinished, file)  # refuses to replace one
    finally:
        Path(unfinished).unlink()
    return _raw(key.public_key())


def public_pem(public_keys: Iterable[bytes]) -> str:
    """Return public keys as the text of a PEM file."""
    return "".join(
        Ed25519PublicKey.from_public_bytes(one).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        for one in public_keys
    )


def read_public_keys(file: Path) -> dict[str, bytes]:
    """Return the public keys of a PEM file, each under its id. Raises ``KeyUnusable``."""
    try:
        blocks = [block + _END for block in file.read_bytes().split(_END) if block.strip()]
        keys = [load_pem_public_key(block) for block in blocks]
    except (OSError, ValueError) as error:
        raise KeyUnusable(f"{file}: {error}") from None
    if not keys or not all(isinstance(one, Ed25519PublicKey) for one in keys):
        raise KeyUnusable(f"{file}: no Ed25519 public keys")
    raw = [_raw(one) for one in keys if isinstance(one, Ed25519PublicKey)]
    return {key_id(one): one for one in raw}
