"""Idempotency records: read under the locks, written once with the outcome, and never changed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from wallet_core.domain.deciding.decision import Request
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.deciding.records import Record
from wallet_core.domain.model.stored_refusals import StoredDetails, from_record, to_record
from wallet_core.storage.connections.engine import Tx
from wallet_core.storage.posting.columns import Column, Insert

RECORDS = """
SELECT r.caller, r.request_id, r.method, r.fingerprint, r.subject, r.available, r.refusal, r.refusal_details
FROM unnest(%s::text[], %s::uuid[]) AS asked (caller, request_id)
JOIN requests AS r ON r.caller = asked.caller AND r.request_id = asked.request_id
"""

# A record, the code and the details of its refusal if it is one, and its time.
_Row = tuple[Record, str | None, StoredDetails | None, datetime]

INSERT_RECORDS: Insert[_Row] = Insert(
    "requests",
    [
        Column("caller", "text", lambda row: row[0].request.caller),
        Column("request_id", "uuid", lambda row: row[0].request.id),
        Column("method", "text", lambda row: row[0].method),
        Column("fingerprint", "bytea", lambda row: row[0].fingerprint),
        Column("subject", "text", lambda row: row[0].subject),
        Column("available", "bigint", lambda row: row[0].available),
        Column("refusal", "text", lambda row: row[1]),
        Column("refusal_details", "jsonb", lambda row: row[2]),
        Column("time", "timestamptz", lambda row: row[3]),
    ],
)


def store_records(tx: Tx, ledger: LedgerState) -> None:
    """Write the records of a batch."""
    # By caller and id: two batches with the same requests in another order would wait for each other in a ring.
    records = sorted(ledger.pending.records, key=lambda one: (one.request.caller, one.request.id))
    INSERT_RECORDS.write(tx, [(one, *_refusal(one), ledger.now) for one in records])


def _refusal(record: Record) -> tuple[str | None, StoredDetails | None]:
    return to_record(record.refusal) if record.refusal is not None else (None, None)


def record_of(row: Sequence[Any]) -> Record:
    """Return the record in a row of ``RECORDS``."""
    return _record(*row)


def _record(
    caller: str,
    request_id: UUID,
    method: str,
    fingerprint: bytes,
    subject: str | None,
    available: int | None,
    refusal: str | None,
    refusal_details: StoredDetails | None,
) -> Record:
    return Record(
        request=Request(caller, request_id),
        method=method,
        fingerprint=fingerprint,
        subject=subject,
        available=available,
        refusal=from_record(refusal, refusal_details or {}) if refusal is not None else None,
    )
