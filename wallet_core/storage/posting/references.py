"""Unique external references: looked up and written for payments that request it, and for no others.

No lock covers two payments between different wallets, so the primary key decides between two at once: the loser's
batch is rolled back and runs once more, and then finds the winner's row.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from wallet_core.domain.deciding.decision import UniqueReference
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.storage.connections.engine import Cursor, Tx
from wallet_core.storage.posting.arrays import texts
from wallet_core.storage.posting.columns import Column, Insert

_REFERENCES = """
SELECT r.caller, r.reference, r.payment
FROM unnest(%s::text[], %s::text[]) AS requested (caller, reference)
JOIN unique_references AS r ON r.caller = requested.caller AND r.reference = requested.reference
"""


class _Row(NamedTuple):
    """A reference as a row."""

    reference: UniqueReference
    payment: str


_COLUMNS: list[Column[_Row]] = [
    Column("caller", "text", "reference.caller"),
    Column("reference", "text", "reference.text"),
    Column("payment", "text", "payment"),
]
_INSERT_REFERENCES: Insert[_Row] = Insert("unique_references", _COLUMNS)


def read_references(tx: Tx, references: Sequence[UniqueReference]) -> Cursor:
    """Send the look-up of the payments that have these references."""
    return tx.execute(_REFERENCES, [texts(one.caller for one in references), texts(one.text for one in references)])


def references_of(rows: Iterable[Sequence[Any]]) -> dict[UniqueReference, str]:
    """Return the references in rows of that look-up, each with its payment."""
    return {UniqueReference(caller, reference): payment for caller, reference, payment in rows}


def store_references(tx: Tx, ledger: LedgerState) -> None:
    """Write the references that a batch uses, in one order, so that no two batches wait for each other in a ring."""
    used = sorted(ledger.pending.references.items(), key=lambda one: (one[0].caller, one[0].text))
    rows = [_Row(*one) for one in used]
    _INSERT_REFERENCES.write(tx, rows)
