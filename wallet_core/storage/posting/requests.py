"""Idempotency records: read under the locks, written once with the outcome, and never changed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from wallet_core.domain.deciding.decision import Request
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.deciding.records import Record
from wallet_core.domain.model.stored_refusals import StoredDetails, from_record, to_record
from wallet_core.storage.connections.engine import Tx
from wallet_core.storage.posting.columns import Column, Insert

RECORDS = """
SELECT r.caller, r.request_id, r.method, r.fingerprint, r.subject, r.available, r.refusal, r.refusal_details
FROM unnest(%s::text[], %s::uuid[]) AS requested (caller, request_id)
JOIN requests AS r ON r.caller = requested.caller AND r.request_id = requested.request_id
"""


class _Row(NamedTuple):
    """A record as a row, with the code and the details of its refusal if it is one."""

    record: Record
    refusal: str | None
    details: StoredDetails | None
    time: datetime


INSERT_RECORDS: Insert[_Row] = Insert(
    "requests",
    [
        Column("caller", "text", "record.request.caller"),
        Column("request_id", "uuid", "record.request.id"),
        Column("method", "text", "record.method"),
        Column("fingerprint", "bytea", "record.fingerprint"),
        Column("subject", "text", "record.subject"),
        Column("available", "bigint", "record.available"),
        Column("refusal", "text", "refusal"),
        Column("refusal_details", "jsonb", "details"),
        Column("time", "timestamptz", "time"),
    ],
)


def store_records(tx: Tx, ledger: LedgerState) -> None:
    """Write the records of a batch."""
    # By caller and id: two batches with the same requests in another order would wait for each other in a ring.
    records = sorted(ledger.pending.records, key=lambda one: (one.request.caller, one.request.id))
    INSERT_RECORDS.write(tx, [_Row(one, *_refusal(one), ledger.now) for one in records])


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
