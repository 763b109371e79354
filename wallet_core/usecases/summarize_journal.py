"""Sum up the journal's records that are older than they are kept."""

from dataclasses import dataclass
from datetime import timedelta

from wallet_core.ports import Signer
from wallet_core.storage.retention.summaries import IsTrusted, Summaries


@dataclass(frozen=True, slots=True)
class Summarizing:
    """What sums up the journal in a process, and how long records are kept."""

    summaries: Summaries
    signer: Signer | None
    is_trusted: IsTrusted
    kept: timedelta | None
    """None: for ever."""

    def write_if_due(self) -> bool:
        """Sum up a step of the records that are old enough; return whether there were any.

        Raises ``ServiceError`` where the database fails, and what the signer raises.
        """
        if self.signer is None or self.kept is None:
            return False
        return self.summaries.write_if_due(
            self.signer.sign_summary, self.is_trusted, self.signer.public_key(), kept=self.kept
        )
