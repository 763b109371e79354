"""Open a wallet."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Decision, LockSet, OpenedWallet
from wallet_core.domain.deciding.fingerprint import Form, always, unless
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.access import Right
from wallet_core.domain.model.errors import InvalidField, ResourceExists
from wallet_core.domain.model.event import EventType
from wallet_core.domain.model.money import Currency
from wallet_core.domain.model.wallet import (
    SYSTEM_ROLES,
    Labels,
    Role,
    Wallet,
    WalletDetails,
    WalletId,
    WalletState,
    system_wallet,
    system_wallet_key,
    wallet_name,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateWallet(Command):
    """Open an empty wallet, and with the first one of its currency the service wallets."""

    method: ClassVar[str] = "CreateWallet"
    form: ClassVar[Form] = (
        *always("asked_id", "currency", "owner", "display_name"),
        *unless(labels={}, overdraft_limit=0),
    )

    id: WalletId
    """The requested id, or a generated one."""
    asked_id: WalletId | None
    currency: str
    listed: Currency | None
    """The currency as ISO 4217 lists it in this release; None where it does not, or no longer."""
    owner: str
    display_name: str
    labels: Labels = field(default_factory=dict)
    overdraft_limit: int = 0
    """In minor units."""

    def lock_set(self) -> LockSet:
        """Lock a wallet with this id, if there is one, and the service wallets."""
        return LockSet(wallets=frozenset({self.id}) | system_wallets(self.currency), new_wallets=1)

    def authorize(self) -> None:
        """Refuse a limit below zero, and an owner that the caller may not act for."""
        if self.overdraft_limit < 0:
            raise InvalidField("wallet.overdraft_limit", "must not be below zero")
        if self.request is not None:
            self.request.access.require_owner(self.owner)

    def wallets_to_authorize(self, ledger: LedgerState) -> Iterable[Wallet | None]:
        """Change no wallet that exists."""
        del ledger
        return ()

    def decide(self, ledger: LedgerState) -> Decision:
        """Refuse a currency that is not listed, credit and labels without their rights, and an id that is taken."""
        if self.listed is None:
            raise not_listed("wallet.currency_code", self.currency)
        if self.overdraft_limit:
            self.access.require_right(Right.CREDIT)
        if self.labels:
            self.access.require_right(Right.LABEL)
        if self.id in ledger.wallets:
            raise ResourceExists(wallet_name(self.id))
        wallet = Wallet(
            key=ledger.next_key(),
            id=self.id,
            role=Role.ORDINARY,
            currency=self.currency,
            state=WalletState.ACTIVE,
            balance=0,
            held=0,
            overdraft_limit=self.overdraft_limit,
            sequence=0,
            last_time=ledger.now,
            owner=self.owner,
            labels=self.labels,
        )
        details = WalletDetails(display_name=self.display_name, create_time=ledger.now)
        opened = OpenedWallet(wallet=wallet, details=details)
        missing = missing_system_wallets(ledger, self.currency)
        return Decision(
            subject=wallet.name,
            opens=(*missing, opened),
            first_of=self.listed if missing else None,
            event=EventType.WALLET_CREATED,
        )


def not_listed(field: str, currency: str) -> InvalidField:
    """Return the refusal of a new wallet in a currency that is unknown or was withdrawn."""
    return InvalidField(field, f"{currency!r} is not a currency with minor units that ISO 4217 lists now")


def system_wallets(currency: str) -> frozenset[WalletId]:
    """Return the service wallets of a currency."""
    return frozenset(system_wallet(role, currency) for role in SYSTEM_ROLES)


def missing_system_wallets(ledger: LedgerState, currency: str) -> tuple[OpenedWallet, ...]:
    """Return the service wallets of a currency that do not exist yet."""
    return tuple(
        _system(role, currency, ledger) for role in SYSTEM_ROLES if system_wallet(role, currency) not in ledger.wallets
    )


def _system(role: Role, currency: str, ledger: LedgerState) -> OpenedWallet:
    wallet = Wallet(
        key=system_wallet_key(role, currency),
        id=system_wallet(role, currency),
        role=role,
        currency=currency,
        state=WalletState.ACTIVE,
        balance=0,
        held=0,
        overdraft_limit=0,
        sequence=0,
        last_time=ledger.now,
    )
    return OpenedWallet(wallet=wallet, details=WalletDetails(display_name="", create_time=ledger.now))
