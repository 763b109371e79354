"""Drop the journal's records that a summary sums up: as the database's owner, the only one who may."""

from collections.abc import Callable, Iterator, Mapping

from wallet_core.domain.model.checkpoint import Checkpoint
from wallet_core.domain.model.summary import Summary
from wallet_core.storage.connections.engine import Engine, transaction
from wallet_core.storage.errors import served
from wallet_core.storage.verify.checks import KEYS
from wallet_core.storage.verify.summaries import NEWEST

# Records that one transaction drops.
STEP = 10_000

# In their order, so that what is left has no gap whenever this ends. The summary's own record stays: the next hash
# follows from it.
DROP = """
DELETE FROM journal
WHERE number < %(start)s AND number < (SELECT min(number) FROM journal) + %(step)s
"""


class SummaryNotTrusted(Exception):
    """The newest summary has no signature of a trusted key."""


def prune(
    engine: Engine, is_trusted: Callable[[Checkpoint, Mapping[str, bytes]], bool], *, step: int = STEP
) -> Iterator[int]:
    """Drop what the newest summary sums up; yield how many records each step has dropped.

    Raises ``SummaryNotTrusted``, and ``ServiceError`` where the database fails.
    """
    with served(), transaction(engine) as tx:
        row = tx.execute(NEWEST).fetchone()
        keys = {key_id: bytes(public) for key_id, public in tx.execute(KEYS)}
    if row is None:
        return
    summary = Summary(*row)
    if not is_trusted(summary, keys):
        raise SummaryNotTrusted
    while True:
        with served(), transaction(engine) as tx:
            dropped = tx.execute(DROP, {"start": summary.number, "step": step}).rowcount
        if not dropped:
            return
        yield dropped
