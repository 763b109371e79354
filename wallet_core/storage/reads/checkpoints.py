"""Checkpoints and the public halves of their keys."""

from sqlalchemy import text

from wallet_core.domain.model.checkpoint import Checkpoint
from wallet_core.storage.connections.reader import Reader

_CHECKPOINTS = text("""
SELECT number, statement, key_id, signature FROM checkpoints WHERE number > :number ORDER BY number LIMIT :limit
""")
_KEYS = text("SELECT key_id, public_key FROM checkpoint_keys ORDER BY time, key_id")


class CheckpointReads(Reader):
    """Reads of checkpoints."""

    def checkpoints_after(self, number: int, limit: int) -> list[Checkpoint]:
        """Return the checkpoints after a journal number, in their order."""
        rows = self.read(lambda tx: tx.execute(_CHECKPOINTS, {"number": number, "limit": limit}).all())
        return [Checkpoint(*row) for row in rows]

    def checkpoint_keys(self) -> dict[str, bytes]:
        """Return the public keys that checkpoints were signed with, each under its id, in the order of first use."""
        return {key_id: bytes(public) for key_id, public in self.read(lambda tx: tx.execute(_KEYS).all())}
