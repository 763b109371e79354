"""Export checkpoints, to keep them elsewhere."""

from collections.abc import Iterator, Sequence

from wallet_core.domain.model.checkpoint import Checkpoint
from wallet_core.usecases.app import App

# A statement with all currencies of the world has about 20 KB, and gRPC clients accept 4 MiB by default.
_PAGE = 100


def export_checkpoints(app: App, first_number: int) -> Iterator[Sequence[Checkpoint]]:
    """Yield the checkpoints from a number on, in their order, some at a time."""
    after = max(0, first_number - 1)
    while page := app.reads.checkpoints_after(after, _PAGE):
        yield page
        after = page[-1].number
