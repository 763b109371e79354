"""Sign a checkpoint where one is due."""

from dataclasses import dataclass

from wallet_core.ports import Signer
from wallet_core.storage.scheduling.checkpoints import Checkpoints


@dataclass(frozen=True, slots=True)
class Checkpointing:
    """What signs the checkpoints of a process, and how often."""

    checkpoints: Checkpoints
    signer: Signer | None
    """None: it signs none."""
    every_records: int
    every_s: float

    def write_if_due(self) -> bool:
        """Sign and store a checkpoint where one is due; return whether it was.

        Raises ``ServiceError`` where the database fails, and what the signer raises.
        """
        if self.signer is None:
            return False
        return self.checkpoints.write_if_due(
            self.signer.sign, self.signer.public_key(), every_records=self.every_records, every_s=self.every_s
        )
