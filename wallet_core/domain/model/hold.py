"""Holds: money reserved in a wallet, in its balance but not available."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from wallet_core.domain.model.money import Money
from wallet_core.domain.model.wallet import WalletId


class HoldState(StrEnum):
    """The state of a hold. All but ACTIVE are final."""

    ACTIVE = "ACTIVE"
    """Reserves what is not captured of it."""
    CAPTURED = "CAPTURED"
    """Ended by its last capture; the rest is available again."""
    VOIDED = "VOIDED"
    """Ended by its caller; the rest is available again."""
    EXPIRED = "EXPIRED"
    """Ended by its expire time; the rest is available again."""


def hold_name(hold: UUID) -> str:
    """Return the resource name of a hold."""
    return f"holds/{hold}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Money reserved until it is captured, voided or expires. Its wallet's lock protects it."""

    id: UUID
    wallet: WalletId
    amount: Money
    captured: int = 0
    """In minor units."""
    state: HoldState = HoldState.ACTIVE
    expire_time: datetime
    description: str
    create_time: datetime
    update_time: datetime
    fence: int = 0
    caller: str = ""
    """The calling system that requested it."""

    @property
    def name(self) -> str:
        """The resource name."""
        return hold_name(self.id)

    @property
    def held(self) -> int:
        """What it reserves of its wallet now, in minor units."""
        return self.amount.minor - self.captured if self.state is HoldState.ACTIVE else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldClaim:
    """The right to expire one hold, proved by the fence."""

    hold: UUID
    wallet: WalletId
    fence: int
