"""Cases of the verbs of holds."""

from uuid import UUID

from tests.model.case import NO_SUCH, SYSTEM, Case, ended, reused
from tests.model.refusal_ledger import LATE, PAST, usd
from tests.support.commands import (
    a_capture,
    a_hold,
    a_void,
)
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.model.errors import (
    CurrencyMismatch,
    InsufficientFunds,
    InvalidField,
    LimitExceeded,
    ResourceNotFound,
    SystemWalletForbidden,
    WalletNotActive,
)
from wallet_core.domain.model.money import Money


def _to_bob(hold: UUID) -> Command:
    return a_capture(hold, "bob")


HOLD_CASES: dict[str, list[Case]] = {
    "PlaceHold": [
        Case("of nothing", lambda _: a_hold("alice", usd(0), LATE), InvalidField),
        Case("until a time in the past", lambda _: a_hold("alice", usd(1), PAST), InvalidField),
        Case("in a system wallet", lambda _: a_hold(SYSTEM, usd(1), LATE), SystemWalletForbidden),
        *reused(lambda _: a_hold("alice", usd(1), LATE)),
        Case("in no wallet", lambda _: a_hold("nobody", usd(1), LATE), ResourceNotFound),
        Case("of dollars in euros", lambda _: a_hold("euro", usd(1), LATE), CurrencyMismatch),
        Case("in a frozen wallet", lambda _: a_hold("cold", usd(1), LATE), WalletNotActive),
        Case("in a closed wallet", lambda _: a_hold("gone", usd(1), LATE), WalletNotActive),
        Case("of more than there is", lambda _: a_hold("poor", usd(6), LATE), InsufficientFunds),
        Case("of what is held already", lambda _: a_hold("alice", usd(900), LATE), InsufficientFunds),
        Case("plain", lambda _: a_hold("alice", usd(7), LATE)),
        Case("of all there is", lambda _: a_hold("poor", usd(5), LATE)),
        Case("of what is overdrawn", lambda _: a_hold("over", usd(20), LATE)),
    ],
    "CaptureHold": [
        Case("of nothing", lambda s: a_capture(s["hold"], "bob", usd(0)), InvalidField),
        Case("to the wallet itself", lambda s: a_capture(s["hold"], "alice"), InvalidField),
        Case("to a system wallet", lambda s: a_capture(s["hold"], SYSTEM), SystemWalletForbidden),
        *reused(lambda s: a_capture(s["hold"], "bob")),
        Case("of no hold", lambda _: a_capture(NO_SUCH, "bob"), ResourceNotFound),
        Case("to no wallet", lambda s: a_capture(s["hold"], "nobody"), ResourceNotFound),
        Case("to euros", lambda s: a_capture(s["hold"], "euro"), CurrencyMismatch),
        Case("in euros", lambda s: a_capture(s["hold"], "bob", Money("EUR", 1)), CurrencyMismatch),
        Case("from a frozen wallet", lambda s: a_capture(s["cold_hold"], "bob"), WalletNotActive),
        Case("to a closed wallet", lambda s: a_capture(s["hold"], "gone"), WalletNotActive),
        *ended(_to_bob, "captured", "voided", "expired", "overdue"),
        Case("of more than is left", lambda s: a_capture(s["part_hold"], "bob", usd(21)), LimitExceeded),
        Case("to a full wallet", lambda s: a_capture(s["yen_hold"], "limit"), LimitExceeded),
        Case("of a part", lambda s: a_capture(s["hold"], "bob", usd(7))),
        Case("of the rest", lambda s: a_capture(s["hold"], "cold")),
        Case("of a part and no more", lambda s: a_capture(s["other_hold"], "bob", usd(7), final=True)),
        Case("of all that is left", lambda s: a_capture(s["part_hold"], "bob", usd(20))),
    ],
    "VoidHold": [
        *reused(lambda s: a_void(s["hold"])),
        Case("of no hold", lambda _: a_void(NO_SUCH), ResourceNotFound),
        *ended(a_void, "captured", "voided", "expired"),
        Case("plain", lambda s: a_void(s["hold"])),
        Case("of one captured in part", lambda s: a_void(s["part_hold"])),
        Case("in a frozen wallet", lambda s: a_void(s["cold_hold"])),
        Case("of one whose time is over", lambda s: a_void(s["overdue"])),
    ],
}
