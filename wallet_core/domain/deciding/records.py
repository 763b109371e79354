"""Idempotency records: the outcome of each request, stored for ever and replayed to repeats."""

from dataclasses import dataclass

from wallet_core.domain.deciding.decision import Done, Outcome, Refused, Request
from wallet_core.domain.model.errors import LedgerBroken, Refusal, RequestIdReused
from wallet_core.domain.model.stored_refusals import from_record, to_record


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The outcome of a request: the resource it made or changed, or its refusal."""

    request: Request
    method: str
    fingerprint: bytes
    subject: str | None = None
    available: int | None = None
    refusal: Refusal | None = None

    def replay(self, method: str, fingerprint: bytes) -> Outcome:
        """Return the outcome again to a call with the same method and fingerprint; refuse another use of the id."""
        if (method, fingerprint) != (self.method, self.fingerprint):
            return Refused(RequestIdReused(str(self.request.id), self.method, self.subject or ""))
        if self.refusal is not None:
            # A copy: two callers' threads may raise it at the same time.
            refusal = from_record(*to_record(self.refusal))
            refusal.replayed = True
            return Refused(refusal)
        if self.subject is None:
            raise LedgerBroken
        return Done(subject=self.subject, available=self.available, replayed=True)


def record_of(request: Request, method: str, fingerprint: bytes, outcome: Outcome) -> Record | None:
    """Return the record of an outcome, None where a repeat is to be decided anew."""
    if isinstance(outcome, Done):
        subject, available = outcome.subject, outcome.available
        return Record(request=request, method=method, fingerprint=fingerprint, subject=subject, available=available)
    if not isinstance(outcome.refusal, Refusal) or not outcome.refusal.recorded:
        return None
    return Record(request=request, method=method, fingerprint=fingerprint, refusal=outcome.refusal)
