"""Refusals as they are stored with their requests, for ever: a code each, and kept names for what they are about.

No name in Python is stored, so no rename makes a stored refusal unreadable. What was stored in the first version, class
names and reasons in words, is read as well. Golden values: ``tests/unit/test_stored_refusals.py``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from wallet_core.domain.model.errors import (
    Because,
    CurrencyMismatch,
    EtagMismatch,
    InsufficientFunds,
    LimitExceeded,
    Refusal,
    ResourceExists,
    ResourceNotFound,
    StateTransitionForbidden,
    WalletNotActive,
)

Stored = Mapping[str, str | int]

_ITEM, _BECAUSE = "item", "because"


@dataclass(frozen=True, slots=True)
class _Form:
    """How one refusal is stored: its code, the name kept for each attribute, and what it was called at first."""

    code: str
    kept: Mapping[str, str]
    first_called: str


_FORMS: Mapping[type[Refusal], _Form] = {
    ResourceNotFound: _Form("RESOURCE_NOT_FOUND", {"resource": "resource"}, "ResourceNotFound"),
    ResourceExists: _Form("RESOURCE_EXISTS", {"resource": "resource"}, "ResourceExists"),
    CurrencyMismatch: _Form("CURRENCY_MISMATCH", {"resource": "resource", "currency": "currency"}, "CurrencyMismatch"),
    WalletNotActive: _Form("WALLET_NOT_ACTIVE", {"resource": "resource", "state": "state"}, "WalletNotActive"),
    InsufficientFunds: _Form(
        "INSUFFICIENT_FUNDS",
        {"wallet": "wallet", "currency": "currency", "available": "available", "required": "required"},
        "InsufficientFunds",
    ),
    LimitExceeded: _Form("LIMIT_EXCEEDED", {"resource": "resource", "limit": "limit"}, "LimitExceeded"),
    StateTransitionForbidden: _Form(
        "STATE_TRANSITION_FORBIDDEN",
        {"resource": "resource", "state": "state", "because": "because"},
        "StateTransitionForbidden",
    ),
    EtagMismatch: _Form("ETAG_MISMATCH", {"resource": "resource"}, "EtagMismatch"),
}
_KINDS = {name: kind for kind, form in _FORMS.items() for name in (form.code, form.first_called)}

# A code for each thing that can stand in the way.
BECAUSE_CODES: Mapping[Because, str] = {
    Because.NOT_SCHEDULED: "NOT_SCHEDULED",
    Because.NOT_UNDER_WAY: "NOT_UNDER_WAY",
    Because.CALL_UNDER_WAY: "CALL_UNDER_WAY",
    Because.NOT_UNAPPLIED_FUNDS: "NOT_UNAPPLIED_FUNDS",
    Because.BANK_SAYS_EXECUTED: "BANK_SAYS_EXECUTED",
    Because.NOTHING_TO_NOTE: "NOTHING_TO_NOTE",
    Because.NO_DISCREPANCY: "NO_DISCREPANCY",
    Because.LEDGER_NOT_REPLACED: "LEDGER_NOT_REPLACED",
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
    Because.RULE_ENDS_SOONER: "RULE_ENDS_SOONER",
}
_BECAUSE_BY_CODE = {code: because for because, code in BECAUSE_CODES.items()}


def to_record(refusal: Refusal) -> tuple[str, Stored]:
    """Return the code of a refusal and what it is about, as both are stored."""
    form = _FORMS[type(refusal)]
    about: dict[str, str | int] = {name: getattr(refusal, attribute) for attribute, name in form.kept.items()}
    if _BECAUSE in about:
        about[_BECAUSE] = _in_codes(str(about[_BECAUSE]))
    return form.code, about if refusal.item is None else about | {_ITEM: refusal.item}


def from_record(code: str, about: Stored) -> Refusal:
    """Bring back a refusal that was stored, in any version."""
    kind = _KINDS[code]
    values = {attribute: about[name] for attribute, name in _FORMS[kind].kept.items() if name in about}
    if _BECAUSE in values:
        values[_BECAUSE] = _in_words(str(values[_BECAUSE]))
    refusal = kind(**values)
    item = about.get(_ITEM)
    refusal.item = int(item) if item is not None else None
    return refusal


def _in_codes(because: str) -> str:
    """Return a reason as a code; after the name of what it is about, where there is one."""
    for one, code in BECAUSE_CODES.items():
        if because == one or because.endswith(f" {one}"):
            return because.removesuffix(one) + code
    return because


def _in_words(because: str) -> str:
    about, _, code = because.rpartition(" ")
    words = _BECAUSE_BY_CODE.get(code)
    if words is None:
        return because  # as the first version stored it, in words
    return f"{about} {words}" if about else words
