"""Change a wallet's details, limit or state; never its balance."""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import ChangedWallet, Decision, LockSet
from wallet_core.domain.deciding.fingerprint import Form, always, unless
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.access import Right, refuse_system_wallets
from wallet_core.domain.model.errors import (
    Because,
    CurrencyMismatch,
    EtagMismatch,
    InvalidField,
    LimitExceeded,
    StateTransitionForbidden,
    WalletNotActive,
)
from wallet_core.domain.model.event import EventType
from wallet_core.domain.model.money import INT64_MAX, Money
from wallet_core.domain.model.wallet import Labels, Wallet, WalletId, WalletState, wallet_name

_CHANGE = always("wallet", "etag")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWallet(Command):
    """What all changes have in common."""

    event: ClassVar[EventType]

    wallet: WalletId
    etag: str
    """The etag that the wallet must still have; empty for any."""

    def lock_set(self) -> LockSet:
        """Lock the wallet."""
        return LockSet(wallets=frozenset({self.wallet}), details=frozenset({self.wallet}))

    def authorize(self) -> None:
        """Refuse service wallets."""
        refuse_system_wallets(self.wallet)

    def wallets_to_authorize(self, ledger: LedgerState) -> Iterable[Wallet | None]:
        """Change the wallet."""
        return (ledger.wallets.get(self.wallet),)

    def require_rights(self) -> None:
        """Raise ``PermissionMissing`` where the change needs a right beyond its call's scope; most do not."""

    def decide(self, ledger: LedgerState) -> Decision:
        """Change it, if its etag is the one that the caller has read."""
        self.require_rights()
        wallet, view = ledger.wallet(self.wallet), ledger.view(self.wallet)
        if self.etag and self.etag != view.etag:
            raise EtagMismatch(wallet.name)
        before = ChangedWallet(
            id=wallet.id,
            state=wallet.state,
            overdraft_limit=wallet.overdraft_limit,
            labels=wallet.labels,
            details=replace(ledger.details[wallet.id], revision=view.revision + 1),
        )
        changed = self.change(ledger, wallet, before)
        return Decision(subject=wallet_name(self.wallet), wallet=changed, event=self.event)

    @abstractmethod
    def change(self, ledger: LedgerState, wallet: Wallet, before: ChangedWallet) -> ChangedWallet:
        """Return the changed wallet; *before* is the present one, with the next revision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateWallet(ChangeWallet):
    """Change display name, labels and overdraft limit; None leaves one unchanged."""

    method: ClassVar[str] = "UpdateWallet"
    form: ClassVar[Form] = (
        *_CHANGE,
        *always("display_name", "labels", "overdraft_limit"),
        *unless(clear_overdraft_limit=False),
    )
    event: ClassVar[EventType] = EventType.WALLET_UPDATED

    display_name: str | None
    labels: Labels | None
    overdraft_limit: Money | None
    clear_overdraft_limit: bool = False
    """Whether to set the limit to zero, without naming the currency."""

    def authorize(self) -> None:
        """Refuse service wallets, and a limit below zero."""
        refuse_system_wallets(self.wallet)
        if self.overdraft_limit is not None and self.overdraft_limit.minor < 0:
            raise InvalidField("wallet.overdraft_limit", "must not be below zero")

    def require_rights(self) -> None:
        """Refuse changes of credit and labels without their rights, even to the present value."""
        if self.overdraft_limit is not None or self.clear_overdraft_limit:
            self.access.require_right(Right.CREDIT)
        if self.labels is not None:
            self.access.require_right(Right.LABEL)

    def change(self, ledger: LedgerState, wallet: Wallet, before: ChangedWallet) -> ChangedWallet:
        """Refuse a closed wallet, and a limit below what is in use of it."""
        del ledger
        if wallet.state is WalletState.CLOSED:
            raise WalletNotActive(wallet.name, wallet.state)
        details = before.details
        if self.display_name is not None:
            details = replace(details, display_name=self.display_name)
        return replace(
            before,
            details=details,
            labels=before.labels if self.labels is None else self.labels,
            overdraft_limit=self._limit(wallet),
        )

    def _limit(self, wallet: Wallet) -> int:
        if self.overdraft_limit is not None and self.overdraft_limit.currency != wallet.currency:
            raise CurrencyMismatch(wallet.name, wallet.currency)
        limit = 0 if self.clear_overdraft_limit else wallet.overdraft_limit
        if self.overdraft_limit is not None:
            limit = self.overdraft_limit.minor
        own = wallet.balance - wallet.held
        if limit < -own:
            raise LimitExceeded(wallet.name, -own)
        if wallet.balance + limit > INT64_MAX:
            raise LimitExceeded(wallet.name, INT64_MAX)
        return limit


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeWallet(ChangeWallet):
    """Allow credits, and no debits."""

    method: ClassVar[str] = "FreezeWallet"
    form: ClassVar[Form] = _CHANGE
    event: ClassVar[EventType] = EventType.WALLET_FROZEN

    def change(self, ledger: LedgerState, wallet: Wallet, before: ChangedWallet) -> ChangedWallet:
        """Refuse a wallet that is not active."""
        del ledger
        return _changed(wallet, before, WalletState.ACTIVE, WalletState.FROZEN, Because.NOT_ACTIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfreezeWallet(ChangeWallet):
    """Allow debits again."""

    method: ClassVar[str] = "UnfreezeWallet"
    form: ClassVar[Form] = _CHANGE
    event: ClassVar[EventType] = EventType.WALLET_UNFROZEN

    def change(self, ledger: LedgerState, wallet: Wallet, before: ChangedWallet) -> ChangedWallet:
        """Refuse a wallet that is not frozen."""
        del ledger
        return _changed(wallet, before, WalletState.FROZEN, WalletState.ACTIVE, Because.NOT_FROZEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseWallet(ChangeWallet):
    """Close a wallet for good."""

    method: ClassVar[str] = "CloseWallet"
    form: ClassVar[Form] = _CHANGE
    event: ClassVar[EventType] = EventType.WALLET_CLOSED

    def lock_set(self) -> LockSet:
        """Lock the wallet and read its open orders and holds."""
        only = frozenset({self.wallet})
        return LockSet(wallets=only, details=only, open_items=only)

    def change(self, ledger: LedgerState, wallet: Wallet, before: ChangedWallet) -> ChangedWallet:
        """Refuse a wallet that is closed, whose balance is not zero, or that has open orders or holds."""
        if wallet.state is WalletState.CLOSED:
            raise StateTransitionForbidden(wallet.name, wallet.state, Because.CLOSED)
        if wallet.balance != 0:
            raise StateTransitionForbidden(wallet.name, wallet.state, Because.BALANCE)
        if (open_ := ledger.open_item_in(wallet.id)) is not None:
            raise StateTransitionForbidden(wallet.name, wallet.state, f"{open_} {Because.STILL_OPEN}")
        return replace(before, state=WalletState.CLOSED)


def _changed(
    wallet: Wallet, before: ChangedWallet, only_from: WalletState, to: WalletState, because: Because
) -> ChangedWallet:
    if wallet.state is not only_from:
        raise StateTransitionForbidden(wallet.name, wallet.state, because)
    return replace(before, state=to)
