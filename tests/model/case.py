"""A case: a command on the refusal ledger, and whether it is refused."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from tests.model.refusal_ledger import RefusalLedger
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.model.errors import (
    Refusal,
    RequestIdReused,
    StateTransitionForbidden,
)

MakeCommand = Callable[[RefusalLedger], Command]

SYSTEM = "system:external:USD"
NO_SUCH = uuid4()


@dataclass(frozen=True, slots=True)
class Case:
    """A command, and how it is refused, if it is."""

    name: str
    command: MakeCommand
    refused: type[Refusal] | None = None


def reused(command: MakeCommand) -> list[Case]:
    """Return the two cases of any verb whose request id belongs to another request."""
    return [
        Case("under a used id", lambda s: replace(command(s), request=s.used), RequestIdReused),
        Case("under a refused id", lambda s: replace(command(s), request=s.refused), RequestIdReused),
    ]


def ended(call: Callable[[UUID], Command], *resources: str) -> list[Case]:
    """Return a case for each of some resources that have ended."""

    def of(resource: str) -> MakeCommand:
        return lambda ledger: call(ledger[resource])

    return [Case(f"of what is {resource}", of(resource), StateTransitionForbidden) for resource in resources]
