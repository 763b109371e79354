"""The base of all commands: a request of a caller or of a job, as a value that knows its locks and its rules."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from wallet_core.domain.deciding.decision import Decision, LockSet, Request, UniqueReference
from wallet_core.domain.deciding.fingerprint import Fingerprinted, Form
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.access import EVERYTHING, NOBODY, Access, Person
from wallet_core.domain.model.wallet import Wallet


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Fingerprinted, ABC):
    """A request that is decided on locked rows.

    Commands of callers have a ``form``, by which a repeat of a request is recognised. Commands of jobs have none and no
    request: state and fence guard them.
    """

    method: ClassVar[str]
    form: ClassVar[Form] = ()
    runs_before_batch: ClassVar[bool] = False
    """Whether it is decided before the rest of its batch, which is then decided at the same instant."""

    request: Request | None = None
    """None for the service's own jobs."""
    validate_only: bool = False

    @property
    def caller(self) -> str:
        """The calling system; empty for the service's own jobs."""
        return self.request.caller if self.request is not None else ""

    @property
    def access(self) -> Access:
        """What the caller may do."""
        return self.request.access if self.request is not None else EVERYTHING

    @property
    def person(self) -> Person:
        """The person who uses the calling system."""
        return self.request.person if self.request is not None else NOBODY

    def reference(self, external_reference: str, payment: str, *, unique: bool) -> Mapping[UniqueReference, str]:
        """Return a reference that must be *unique*, with the name of the *payment* that is to have it; or nothing."""
        if not unique or self.request is None:
            return {}
        return {UniqueReference(self.request.caller, external_reference): payment}

    @property
    def weight(self) -> int:
        """The work of it, counted in calls: the weight of a batch is limited."""
        return 1

    @abstractmethod
    def lock_set(self) -> LockSet:
        """Return the rows to lock and read before deciding."""

    def authorize(self) -> None:  # most commands need no right beyond their call's scope
        """Raise if the caller may not make this request; checked before anything is looked up."""

    def wallets_to_authorize(self, ledger: LedgerState) -> Iterable[Wallet | None]:
        """Return the wallets that it debits or changes, None for one that does not exist; not those it only credits.

        A caller that is confined to one owner's wallets may debit or change these alone. The default permits none.
        """
        del ledger
        return (None,)

    def require_owner(self, ledger: LedgerState) -> None:
        """Raise ``PermissionMissing`` where the caller is confined to one owner and this is another's."""
        self.access.require(self.wallets_to_authorize(ledger))

    @abstractmethod
    def decide(self, ledger: LedgerState) -> Decision:
        """Return the decision and change nothing; raise a ``Refusal`` to refuse."""
