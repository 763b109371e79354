"""Refusals as they are stored with their requests for ever: a code each, and its details by stored names.

No name in Python is stored, so no rename makes a stored refusal unreadable. Golden values:
``tests/unit/test_stored_refusals.py``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from wallet_core.domain.model.errors import (
    Because,
    CurrencyMismatch,
    EtagMismatch,
    ExternalReferenceReused,
    InsufficientFunds,
    LimitExceeded,
    Refusal,
    ResourceExists,
    ResourceNotFound,
    StateTransitionForbidden,
    WalletNotActive,
)

StoredDetails = Mapping[str, str | int]

_ITEM, _BECAUSE = "item", "because"


@dataclass(frozen=True, slots=True)
class _Form:
    """How one refusal is stored: its code, and the stored name of each attribute."""

    code: str
    attributes: Mapping[str, str]


_FORMS: Mapping[type[Refusal], _Form] = {
    ResourceNotFound: _Form("RESOURCE_NOT_FOUND", {"resource": "resource"}),
    ResourceExists: _Form("RESOURCE_EXISTS", {"resource": "resource"}),
    CurrencyMismatch: _Form("CURRENCY_MISMATCH", {"resource": "resource", "currency": "currency"}),
    WalletNotActive: _Form("WALLET_NOT_ACTIVE", {"resource": "resource", "state": "state"}),
    InsufficientFunds: _Form(
        "INSUFFICIENT_FUNDS",
        {"wallet": "wallet", "currency": "currency", "available": "available", "required": "required"},
    ),
    LimitExceeded: _Form("LIMIT_EXCEEDED", {"resource": "resource", "limit": "limit"}),
    StateTransitionForbidden: _Form(
        "STATE_TRANSITION_FORBIDDEN",
        {"resource": "resource", "state": "state", "because": "because"},
    ),
    EtagMismatch: _Form("ETAG_MISMATCH", {"resource": "resource"}),
    ExternalReferenceReused: _Form("EXTERNAL_REFERENCE_REUSED", {"reference": "reference", "resource": "resource"}),
}
_KINDS = {form.code: kind for kind, form in _FORMS.items()}

# The stored code of each reason.
BECAUSE_CODES: Mapping[Because, str] = {
    Because.NOT_SCHEDULED: "NOT_SCHEDULED",
    Because.NOT_IN_PROGRESS: "NOT_IN_PROGRESS",
    Because.CALL_IN_FLIGHT: "CALL_IN_FLIGHT",
    Because.NO_UNAPPLIED_FUNDS: "NO_UNAPPLIED_FUNDS",
    Because.BANK_SAYS_EXECUTED: "BANK_SAYS_EXECUTED",
    Because.NOTHING_TO_ACKNOWLEDGE: "NOTHING_TO_ACKNOWLEDGE",
    Because.NO_DISCREPANCY: "NO_DISCREPANCY",
    Because.STATEMENT_NOT_REPLACED: "STATEMENT_NOT_REPLACED",
    Because.HOLD_ENDED: "HOLD_ENDED",
    Because.HOLD_TIME_OVER: "HOLD_TIME_OVER",
    Because.NOT_REVERSIBLE: "NOT_REVERSIBLE",
    Because.NOTHING_LEFT: "NOTHING_LEFT",
    Because.NOT_ACTIVE: "NOT_ACTIVE",
    Because.NOT_FROZEN: "NOT_FROZEN",
    Because.CLOSED: "CLOSED",
    Because.BALANCE: "BALANCE",
    Because.STILL_OPEN: "STILL_OPEN",
    Because.RULE_ENDED: "RULE_ENDED",
    Because.RULE_ENDS_EARLIER: "RULE_ENDS_EARLIER",
    Because.WEBHOOK_DELETED: "WEBHOOK_DELETED",
}
_BECAUSE_BY_CODE = {code: because for because, code in BECAUSE_CODES.items()}


def to_record(refusal: Refusal) -> tuple[str, StoredDetails]:
    """Return the code and the details of a refusal, as they are stored."""
    form = _FORMS[type(refusal)]
    details: dict[str, str | int] = {name: getattr(refusal, attribute) for attribute, name in form.attributes.items()}
    if _BECAUSE in details:
        details[_BECAUSE] = _to_code(str(details[_BECAUSE]))
    return form.code, details if refusal.item is None else details | {_ITEM: refusal.item}


def from_record(code: str, details: StoredDetails) -> Refusal:
    """Return the refusal that was stored with this code and these details."""
    kind = _KINDS[code]
    values = {attribute: details[name] for attribute, name in _FORMS[kind].attributes.items()}
    if _BECAUSE in values:
        values[_BECAUSE] = _from_code(str(values[_BECAUSE]))
    refusal = kind(**values)
    item = details.get(_ITEM)
    refusal.item = int(item) if item is not None else None
    return refusal


def _to_code(because: str) -> str:
    """Return a reason as its code, after the resource name that it begins with, if any."""
    for one, code in BECAUSE_CODES.items():
        if because == one or because.endswith(f" {one}"):
            return because.removesuffix(one) + code
    return because


def _from_code(because: str) -> str:
    resource, _, code = because.rpartition(" ")
    words = _BECAUSE_BY_CODE.get(code, code)
    return f"{resource} {words}" if resource else words
