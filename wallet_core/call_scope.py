"""What the ledger has decided for the call at hand: said by the ledger, asked where the call is answered.

Once something was done, no error of the same call may say that nothing was: ``interceptors/errors.py`` sees to that for
every call, and what is shown of wallets is decided by what was seen under their locks, not by another read.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class CallScope:
    """What is known of one call."""

    is_done: bool = False
    """Whether something that it asked for was done, now or when it was first asked."""
    owners: dict[str, str] = field(default_factory=dict)
    """The owners of wallets that it was decided on, by wallet; for callers that are confined to one owner."""


_scope: ContextVar[CallScope | None] = ContextVar("call_scope", default=None)


def begin_call() -> CallScope:
    """Begin a call on this thread; what was known of the one before it is forgotten."""
    scope = CallScope()
    _scope.set(scope)
    return scope


def note_done(owners: Mapping[str, str], *, only_validated: bool) -> None:
    """Say that the ledger has decided for what this thread's call asked; jobs have no call, and nothing is kept."""
    scope = _scope.get()
    if scope is not None:
        scope.is_done = scope.is_done or not only_validated
        scope.owners.update(owners)


def known_owners() -> Mapping[str, str]:
    """Return the owners that were seen under lock for this thread's call."""
    scope = _scope.get()
    return scope.owners if scope is not None else {}
