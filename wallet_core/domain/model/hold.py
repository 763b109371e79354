"""Holds: money reserved in a wallet, still there but not available."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from wallet_core.domain.model.money import Money
from wallet_core.domain.model.wallet import WalletId


class HoldState(StrEnum):
    """Where a hold is in its life. It begins once and ends once."""

    ACTIVE = "ACTIVE"
    """Reserving what has not been captured of it."""
    CAPTURED = "CAPTURED"
    """Ended by its last capture; what was left of it is available again."""
    VOIDED = "VOIDED"
    """Ended by its caller; what was left of it is available again."""
    EXPIRED = "EXPIRED"
    """Ended by its time; what was left of it is available again."""


def hold_name(hold: UUID) -> str:
    """Return the resource name of a hold."""
    return f"holds/{hold}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Money reserved until it is captured, voided or expires. It hangs on its wallet."""

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

    @property
    def name(self) -> str:
        """The resource name."""
        return hold_name(self.id)

    @property
    def held(self) -> int:
        """How many minor units of its wallet it reserves now."""
        return self.amount.minor - self.captured if self.state is HoldState.ACTIVE else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldClaim:
    """The right to let one hold expire, proven by the fence."""

    hold: UUID
    wallet: WalletId
    fence: int
