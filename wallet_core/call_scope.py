"""The ledger's decision for the current call: set by the ledger, read where the call is answered.

Once something was done, no error of the same call may report that nothing was: ``interceptors/errors.py`` ensures that.
The redaction of a response uses the owners that were read under lock, not another read.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class CallScope:
    """The state of one call."""

    is_done: bool = False
    """Whether its request was done, now or by an earlier attempt."""
    owners: dict[str, str] = field(default_factory=dict)
    """The owners of the locked wallets, by wallet; for callers that are confined to one owner."""


_scope: ContextVar[CallScope | None] = ContextVar("call_scope", default=None)


def begin_call() -> CallScope:
    """Begin a call on this thread, with a new state."""
    scope = CallScope()
    _scope.set(scope)
    return scope


def note_done(owners: Mapping[str, str], *, only_validated: bool) -> None:
    """Record that the ledger has decided this thread's call; a job has no call, and nothing is recorded."""
    scope = _scope.get()
    if scope is not None:
        scope.is_done = scope.is_done or not only_validated
        scope.owners.update(owners)


def known_owners() -> Mapping[str, str]:
    """Return the owners that were read under lock for this thread's call."""
    scope = _scope.get()
    return scope.owners if scope is not None else {}
