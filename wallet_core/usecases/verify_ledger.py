"""Verify the ledger, from a server or by hand, against the checkpoints in the database and those kept elsewhere."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

from wallet_core.domain.model.checkpoint import Checkpoint, checkpoint_name
from wallet_core.domain.model.errors import ResourceNotFound
from wallet_core.storage.connections.engine import Engine
from wallet_core.storage.reads.checkpoints import CheckpointReads
from wallet_core.storage.verify.audit import ALONE, Audit, IsSigned, Pace
from wallet_core.storage.verify.checks import Check, Progress, verify, verify_in_slices

__all__ = ["Auditor", "Check", "Pace", "Progress"]


@dataclass(frozen=True, slots=True)
class Auditor:
    """Verifies the ledger on connections of its own, which no timeout ends."""

    engine: Engine
    is_signed: IsSigned
    trusted: Mapping[str, bytes] | None
    """The public keys that are trusted, each under its id; None: those in the database."""
    pace: Pace = ALONE

    def verify(
        self, *, since: int = 0, kept: Sequence[Checkpoint] = (), one_snapshot: bool = False
    ) -> Generator[Progress, None, None]:
        """Check every rule; yield the progress, the same object each time, at the end with the whole result.

        From checkpoint *since* on only, unless it is 0. In *one_snapshot* nothing is written meanwhile as far as the
        check can see, which suits a replica; else each slice of a table has its own.

        Closing the iterator ends the check soon. Raises ``ResourceNotFound`` where there is no checkpoint *since* that
        a trusted key has signed, ``DatabaseUnavailable``, and ``ServerOverloaded`` where no connection is free.
        """
        # Connections keep the plans of their statements: those of an earlier check may have been made while the ledger
        # was small, and would go through all of a slice for each of its rows.
        self.engine.dispose()
        audit = Audit(
            is_signed=self.is_signed, trusted=self.trusted, kept=kept, since=self._checkpoint(since), pace=self.pace
        )
        return verify(self.engine, audit) if one_snapshot else verify_in_slices(self.engine, audit)

    def _checkpoint(self, number: int) -> Checkpoint | None:
        if not number:
            return None
        reads = CheckpointReads(self.engine)
        found = next(iter(reads.checkpoints_after(number - 1, 1)), None)
        keys = self.trusted if self.trusted is not None else reads.checkpoint_keys()
        if found is None or found.number != number or not self.is_signed(found, keys):
            raise ResourceNotFound(checkpoint_name(number))
        return found
