"""What an audit is to check, against what, and how fast."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wallet_core.domain.model.checkpoint import Checkpoint

# Rows that one statement reads.
SLICE_ROWS = 20_000

IsSigned = Callable[[Checkpoint, Mapping[str, bytes]], bool]
"""Whether one of the keys, each under its id, has signed a checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast to check, and how much at once."""

    connections: int = 1
    """How many slices are checked at once, each on a connection of its own."""
    slice_rows: int = SLICE_ROWS
    pause_factor: float = 0.0
    """The pause after each slice, as a multiple of the time that the slice took."""


ALONE = Pace()


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What to check, and against what."""

    is_signed: IsSigned
    trusted: Mapping[str, bytes] | None = None
    """The public keys that are trusted, each under its id; None: those in the database, which its owner can change."""
    kept: Sequence[Checkpoint] = ()
    """Checkpoints that were kept outside the database."""
    since: Checkpoint | None = None
    """Check the journal and the transactions from this checkpoint on only: what lies before it was checked before."""
    pace: Pace = ALONE
