"""For every verb, every situation in which it is refused, and some in which it is not, on a stage that has them all."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from tests.support.commands import (
    Fields,
    OrderResolution,
    a_batch,
    a_cancelled_deposit,
    a_cancelled_withdrawal,
    a_capture,
    a_change,
    a_closed_discrepancy,
    a_deposit,
    a_hold,
    a_new_wallet,
    a_resolution,
    a_reversal,
    a_rule,
    a_scheduled_deposit,
    a_transfer,
    a_void,
    a_withdrawal,
    an_accepted_ledger,
    an_end,
    an_item,
    an_update,
    by_no_operator,
    lacking,
)
from tests.support.stage import LATE, LATER, PAST, SPOKEN_FOR, Stage, usd, yen
from wallet_core.domain.commands.payments.resolve_order import ResolveScheduledDeposit, ResolveWithdrawal
from wallet_core.domain.commands.wallets.change_wallet import CloseWallet, FreezeWallet, UnfreezeWallet
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.model.access import Right
from wallet_core.domain.model.commission_rule import Label, Payer
from wallet_core.domain.model.errors import (
    CurrencyMismatch,
    EtagMismatch,
    ExternalReferenceReused,
    InsufficientFunds,
    InvalidField,
    LimitExceeded,
    PermissionMissing,
    Refusal,
    RequestIdReused,
    ResourceExists,
    ResourceNotFound,
    StateTransitionForbidden,
    SystemWalletForbidden,
    WalletNotActive,
)
from wallet_core.domain.model.money import INT64_MAX, Money
from wallet_core.domain.model.payment_order import ResolutionKind

Asking = Callable[[Stage], Command]

SYSTEM = "system:external:USD"
EARNED = "system:commission:USD"
NO_SUCH = uuid4()


@dataclass(frozen=True, slots=True)
class Situation:
    """What is asked, and how it is refused, if it is."""

    name: str
    ask: Asking
    refused: type[Refusal] | None = None


def _reused(ask: Asking) -> list[Situation]:
    """Return the two situations that any verb can be in: its request id belongs to something else."""
    return [
        Situation("under a used id", lambda s: replace(ask(s), request=s.used), RequestIdReused),
        Situation("under a refused id", lambda s: replace(ask(s), request=s.refused), RequestIdReused),
    ]


def _ended(ask: Callable[[UUID], Command], *things: str) -> list[Situation]:
    """Return a situation for each of some things that it is too late for."""

    def of(thing: str) -> Asking:
        return lambda stage: ask(stage[thing])

    return [Situation(f"of what is {thing}", of(thing), StateTransitionForbidden) for thing in things]


def _to_bob(hold: UUID) -> Command:
    return a_capture(hold, "bob")


def _resolved(verb: type[OrderResolution], things: dict[str, str], *, to: str, full: Asking) -> list[Situation]:
    """Return the situations of an order that is settled by hand; *things* are those of its kind, *to* their wallet."""
    executed, not_executed, placed, noted = ResolutionKind

    def ask(thing: str, found: ResolutionKind, to: str | None = None, **fields: Fields) -> Asking:
        return lambda stage: a_resolution(verb, stage[things.get(thing, thing)], found, to, **fields)

    return [
        Situation("as done, for a wallet", ask("unclear", executed, to), InvalidField),
        Situation("as placed, for no wallet", ask("unapplied", placed), InvalidField),
        Situation("as not done, by a reference", ask("unclear", not_executed, bank_reference="r"), InvalidField),
        Situation("for a system wallet", ask("unapplied", placed, SYSTEM), SystemWalletForbidden),
        *_reused(ask("unclear", not_executed)),
        Situation("of none", lambda _: a_resolution(verb, NO_SUCH, executed), ResourceNotFound),
        Situation("of the other kind", ask("of the other kind", executed), ResourceNotFound),
        Situation("for a wallet that is not there", ask("unapplied", placed, "nobody"), ResourceNotFound),
        Situation("before it has begun", ask("scheduled", executed), StateTransitionForbidden),
        Situation("after it has ended", ask("ended", not_executed), StateTransitionForbidden),
        Situation("too soon", ask("in flight", not_executed), StateTransitionForbidden),
        Situation("against the bank's word", ask("doubtful", not_executed), StateTransitionForbidden),
        Situation("where no money waits", ask("ended", placed, to), StateTransitionForbidden),
        Situation("where nothing is to be noted", ask("unclear", noted), StateTransitionForbidden),
        Situation("for another currency", ask("unapplied", placed, "euro"), CurrencyMismatch),
        Situation("for a closed wallet", ask("unapplied", placed, things["closed"]), WalletNotActive),
        Situation("into a full wallet", full, LimitExceeded),
        Situation("as done", ask("unclear", executed, bank_reference="r", bank_evidence="it did")),
        Situation("as not done", ask("unclear too", not_executed)),
        Situation("as placed", ask("unapplied", placed, to)),
        Situation("as noted", ask("accepted late", noted)),
    ]


FINE = an_item("alice", "bob", usd(1))

SITUATIONS: dict[str, list[Situation]] = {
    "CreateWallet": [
        Situation("of a name that is taken", lambda _: a_new_wallet("alice"), ResourceExists),
        Situation("of a taken name in another currency", lambda _: a_new_wallet("alice", "EUR"), ResourceExists),
        Situation("with a limit below zero", lambda _: a_new_wallet("new", overdraft_limit=-1), InvalidField),
        *_reused(lambda _: a_new_wallet("new")),
        Situation(
            "with a limit by one who may give none",
            lambda _: lacking(Right.CREDIT, a_new_wallet("alice", overdraft_limit=7)),
            PermissionMissing,
        ),
        Situation(
            "with labels by one who may give none",
            lambda _: lacking(Right.LABEL, a_new_wallet("alice", labels={"a": "b"})),
            PermissionMissing,
        ),
        Situation("plain", lambda _: a_new_wallet("new")),
        Situation("with everything", lambda _: a_new_wallet("rich", labels={"a": "b"}, overdraft_limit=7, owner="o")),
        Situation("the first of its currency", lambda _: a_new_wallet("franc", "CHF")),
        Situation("by a made-up name", lambda _: a_new_wallet("made-up", asked_id=None)),
    ],
    "UpdateWallet": [
        Situation("with a limit below zero", lambda _: an_update("alice", overdraft_limit=usd(-1)), InvalidField),
        Situation("of a system wallet", lambda _: an_update(SYSTEM, display_name="x"), SystemWalletForbidden),
        *_reused(lambda _: an_update("alice", display_name="x")),
        Situation(
            "of the limit by one who may give none",
            lambda _: lacking(Right.CREDIT, an_update("nobody", clear_overdraft_limit=True)),
            PermissionMissing,
        ),
        Situation(
            "of the labels by one who may give none",
            lambda _: lacking(Right.LABEL, an_update("nobody", labels={})),
            PermissionMissing,
        ),
        Situation("of no wallet", lambda _: an_update("nobody", display_name="x"), ResourceNotFound),
        Situation("with an old etag", lambda _: an_update("cold", etag='"1"', display_name="x"), EtagMismatch),
        Situation("of a closed wallet", lambda _: an_update("gone", display_name="x"), WalletNotActive),
        Situation(
            "with a limit in euros", lambda _: an_update("bob", overdraft_limit=Money("EUR", 1)), CurrencyMismatch
        ),
        Situation("with a limit below its use", lambda _: an_update("over", overdraft_limit=usd(29)), LimitExceeded),
        Situation("without a limit in use", lambda _: an_update("over", clear_overdraft_limit=True), LimitExceeded),
        Situation("beyond counting", lambda _: an_update("bob", overdraft_limit=usd(INT64_MAX)), LimitExceeded),
        Situation("of everything", lambda _: an_update("bob", display_name="x", labels={}, overdraft_limit=usd(9))),
        Situation("of nothing but its etag", lambda _: an_update("alice", etag='"1"')),
        Situation("of a frozen wallet", lambda _: an_update("cold", labels={"tier": "gold"})),
        Situation("with a limit just in use", lambda _: an_update("over", overdraft_limit=usd(30))),
    ],
    "FreezeWallet": [
        Situation("of a system wallet", lambda _: a_change(FreezeWallet, SYSTEM), SystemWalletForbidden),
        *_reused(lambda _: a_change(FreezeWallet, "alice")),
        Situation("of no wallet", lambda _: a_change(FreezeWallet, "nobody"), ResourceNotFound),
        Situation("with an old etag", lambda _: a_change(FreezeWallet, "bob", '"0"'), EtagMismatch),
        Situation("of a frozen one", lambda _: a_change(FreezeWallet, "cold"), StateTransitionForbidden),
        Situation("of a closed one", lambda _: a_change(FreezeWallet, "gone"), StateTransitionForbidden),
        Situation("plain", lambda _: a_change(FreezeWallet, "alice")),
        Situation("with its etag", lambda _: a_change(FreezeWallet, "bob", '"1"')),
    ],
    "UnfreezeWallet": [
        Situation("of a system wallet", lambda _: a_change(UnfreezeWallet, SYSTEM), SystemWalletForbidden),
        *_reused(lambda _: a_change(UnfreezeWallet, "cold")),
        Situation("of no wallet", lambda _: a_change(UnfreezeWallet, "nobody"), ResourceNotFound),
        Situation("with an old etag", lambda _: a_change(UnfreezeWallet, "cold", '"1"'), EtagMismatch),
        Situation("of an active one", lambda _: a_change(UnfreezeWallet, "alice"), StateTransitionForbidden),
        Situation("of a closed one", lambda _: a_change(UnfreezeWallet, "gone"), StateTransitionForbidden),
        Situation("with its etag", lambda _: a_change(UnfreezeWallet, "cold", '"2"')),
    ],
    "CloseWallet": [
        Situation("of a system wallet", lambda _: a_change(CloseWallet, SYSTEM), SystemWalletForbidden),
        *_reused(lambda _: a_change(CloseWallet, "idle")),
        Situation("of no wallet", lambda _: a_change(CloseWallet, "nobody"), ResourceNotFound),
        Situation("with an old etag", lambda _: a_change(CloseWallet, "idle", '"0"'), EtagMismatch),
        Situation("of a closed one", lambda _: a_change(CloseWallet, "gone"), StateTransitionForbidden),
        Situation("with a balance", lambda _: a_change(CloseWallet, "alice"), StateTransitionForbidden),
        Situation("with a debt", lambda _: a_change(CloseWallet, "over"), StateTransitionForbidden),
        Situation("with a withdrawal open", lambda _: a_change(CloseWallet, "busy"), StateTransitionForbidden),
        Situation("with a deposit open", lambda _: a_change(CloseWallet, "keen"), StateTransitionForbidden),
        Situation("plain", lambda _: a_change(CloseWallet, "idle")),
        Situation("of an emptied one", lambda _: a_change(CloseWallet, "spent", '"1"')),
    ],
    "Deposit": [
        Situation("of nothing", lambda _: a_deposit("alice", usd(0)), InvalidField),
        Situation("into a system wallet", lambda _: a_deposit(SYSTEM, usd(1)), SystemWalletForbidden),
        *_reused(lambda _: a_deposit("alice", usd(1))),
        Situation(
            "under a used reference", lambda _: a_deposit("nobody", usd(1), **SPOKEN_FOR), ExternalReferenceReused
        ),
        Situation("without the reference", lambda _: a_deposit("alice", usd(1), unique_reference=True), InvalidField),
        Situation("into no wallet", lambda _: a_deposit("nobody", usd(1)), ResourceNotFound),
        Situation("of dollars into euros", lambda _: a_deposit("euro", usd(1)), CurrencyMismatch),
        Situation("into a closed wallet", lambda _: a_deposit("gone", usd(1)), WalletNotActive),
        Situation("into a full wallet", lambda _: a_deposit("brim", yen(11)), LimitExceeded),
        Situation("of more than the world has", lambda _: a_deposit("yen", yen(INT64_MAX)), LimitExceeded),
        Situation("plain", lambda _: a_deposit("alice", usd(7), labels={"a": "b"}, external_reference="r")),
        Situation("into a frozen wallet", lambda _: a_deposit("cold", usd(7))),
        Situation("into an overdrawn wallet", lambda _: a_deposit("over", usd(7))),
        Situation("to the brim", lambda _: a_deposit("brim", yen(10))),
    ],
    "Transfer": [
        Situation("of nothing", lambda _: a_transfer("alice", "bob", usd(0)), InvalidField),
        Situation("to itself", lambda _: a_transfer("alice", "alice", usd(1)), InvalidField),
        Situation(
            "with a maximum in euros",
            lambda _: a_transfer("alice", "bob", usd(1), max_commission=Money("EUR", 1)),
            InvalidField,
        ),
        Situation(
            "under a used reference",
            lambda _: a_transfer("alice", "bob", usd(1), **SPOKEN_FOR),
            ExternalReferenceReused,
        ),
        Situation(
            "under a reference of its own",
            lambda _: a_transfer("alice", "bob", usd(1), external_reference="mine", unique_reference=True),
        ),
        Situation("from a system wallet", lambda _: a_transfer(SYSTEM, "bob", usd(1)), SystemWalletForbidden),
        Situation("to a system wallet", lambda _: a_transfer("bob", SYSTEM, usd(1)), SystemWalletForbidden),
        Situation(
            "from what was earned by no operator",
            lambda _: by_no_operator(a_transfer(EARNED, "bob", usd(1))),
            SystemWalletForbidden,
        ),
        Situation("to what was earned", lambda _: a_transfer("bob", EARNED, usd(1)), SystemWalletForbidden),
        *_reused(lambda _: a_transfer("alice", "bob", usd(1))),
        Situation("from no wallet", lambda _: a_transfer("nobody", "bob", usd(1)), ResourceNotFound),
        Situation("to no wallet", lambda _: a_transfer("alice", "nobody", usd(1)), ResourceNotFound),
        Situation("of dollars from euros", lambda _: a_transfer("euro", "bob", usd(1)), CurrencyMismatch),
        Situation("of dollars to euros", lambda _: a_transfer("bob", "euro", usd(1)), CurrencyMismatch),
        Situation("from a frozen wallet", lambda _: a_transfer("cold", "bob", usd(1)), WalletNotActive),
        Situation("from a closed wallet", lambda _: a_transfer("gone", "bob", usd(1)), WalletNotActive),
        Situation("to a closed wallet", lambda _: a_transfer("bob", "gone", usd(1)), WalletNotActive),
        Situation(
            "for more commission than wanted",
            lambda _: a_transfer("payer", "bob", usd(1), max_commission=usd(4)),
            LimitExceeded,
        ),
        Situation("for more commission than it gets", lambda _: a_transfer("bob", "shop", usd(99)), LimitExceeded),
        Situation("of more than there is", lambda _: a_transfer("poor", "bob", usd(6)), InsufficientFunds),
        Situation("of what is held", lambda _: a_transfer("alice", "bob", usd(1000)), InsufficientFunds),
        Situation("of too much with its commission", lambda _: a_transfer("payer", "bob", usd(8)), InsufficientFunds),
        Situation("to a full wallet", lambda _: a_transfer("yen", "brim", yen(11)), LimitExceeded),
        Situation("plain", lambda _: a_transfer("alice", "bob", usd(7))),
        Situation("to a frozen wallet", lambda _: a_transfer("alice", "cold", usd(7))),
        Situation("with a commission on top", lambda _: a_transfer("payer", "bob", usd(7), max_commission=usd(5))),
        Situation("with all of it for the service", lambda _: a_transfer("bob", "shop", usd(100))),
        Situation("from what was earned", lambda _: a_transfer(EARNED, "bob", usd(1), max_commission=usd(0))),
        Situation("from what was earned to a shop", lambda _: a_transfer(EARNED, "shop", usd(1))),
        Situation("with a commission that is rounded", lambda _: a_transfer("icy", "bob", usd(5))),
        Situation("into the overdraft", lambda _: a_transfer("over", "bob", usd(20))),
    ],
    "BatchTransfer": [
        Situation("with one of nothing", lambda _: a_batch(FINE, an_item("alice", "bob", usd(0))), InvalidField),
        Situation(
            "with a system wallet", lambda _: a_batch(FINE, an_item(SYSTEM, "bob", usd(1))), SystemWalletForbidden
        ),
        Situation(
            "from what was earned by no operator",
            lambda _: by_no_operator(a_batch(FINE, an_item(EARNED, "bob", usd(1)))),
            SystemWalletForbidden,
        ),
        *_reused(lambda _: a_batch(FINE)),
        Situation(
            "with a used reference",
            lambda _: a_batch(FINE, an_item("alice", "bob", usd(1), **SPOKEN_FOR)),
            ExternalReferenceReused,
        ),
        Situation("from no wallet", lambda _: a_batch(FINE, an_item("nobody", "bob", usd(1))), ResourceNotFound),
        Situation("with euros", lambda _: a_batch(FINE, an_item("euro", "bob", usd(1))), CurrencyMismatch),
        Situation("to a closed wallet", lambda _: a_batch(FINE, an_item("bob", "gone", usd(1))), WalletNotActive),
        Situation("for too much commission", lambda _: a_batch(FINE, an_item("bob", "shop", usd(9))), LimitExceeded),
        Situation(
            "of more than the items before have left",
            lambda _: a_batch(an_item("poor", "bob", usd(3)), an_item("poor", "bob", usd(3))),
            InsufficientFunds,
        ),
        Situation("to a full wallet", lambda _: a_batch(*[an_item("yen", "brim", yen(6))] * 2), LimitExceeded),
        Situation("of one", lambda _: a_batch(FINE)),
        Situation(
            "of what the items before have earned",
            lambda _: a_batch(an_item("payer", "bob", usd(1)), an_item(EARNED, "bob", usd(6))),
        ),
        Situation(
            "of what the items before have brought",
            lambda _: a_batch(
                an_item("alice", "spent", usd(9)), an_item("spent", "icy", usd(9)), an_item("icy", "bob", usd(60))
            ),
        ),
    ],
    "ReverseTransaction": [
        Situation("of nothing", lambda s: a_reversal(s["moved"], usd(0)), InvalidField),
        *_reused(lambda s: a_reversal(s["moved"])),
        Situation("of no transaction", lambda _: a_reversal(NO_SUCH), ResourceNotFound),
        Situation(
            "of a deposit by one who may make none",
            lambda s: lacking(Right.DEPOSIT, a_reversal(s["deposited"])),
            PermissionMissing,
        ),
        Situation("in euros", lambda s: a_reversal(s["moved"], Money("EUR", 1)), CurrencyMismatch),
        Situation(
            "out of a frozen wallet by no operator", lambda s: by_no_operator(a_reversal(s["to_cold"])), WalletNotActive
        ),
        Situation("out of a closed wallet", lambda s: a_reversal(s["to_gone"]), WalletNotActive),
        Situation("into a closed wallet", lambda s: a_reversal(s["from_gone"]), WalletNotActive),
        Situation("of a payout", lambda s: a_reversal(s["payout"]), StateTransitionForbidden),
        Situation("of a capture", lambda s: a_reversal(s["capture"]), StateTransitionForbidden),
        Situation("of what has gone back", lambda s: a_reversal(s["all_back"]), StateTransitionForbidden),
        Situation("of more than is left", lambda s: a_reversal(s["part_back"], usd(26)), LimitExceeded),
        Situation("of what has been spent", lambda s: a_reversal(s["lost"]), InsufficientFunds),
        Situation("into a full wallet", lambda s: a_reversal(s["from_brim"], yen(11)), LimitExceeded),
        Situation("of a deposit", lambda s: a_reversal(s["deposited"])),
        Situation("of a part", lambda s: a_reversal(s["moved"], usd(7))),
        Situation("of the rest", lambda s: a_reversal(s["moved"])),
        Situation("out of a frozen wallet", lambda s: a_reversal(s["to_cold"])),
        Situation("with its share of the commission", lambda s: a_reversal(s["charged"], usd(7))),
        Situation("without its commission", lambda s: a_reversal(s["charged"], usd(7), keep_commission=True)),
        Situation("with what is left of the commission", lambda s: a_reversal(s["charged"])),
    ],
    "PlaceHold": [
        Situation("of nothing", lambda _: a_hold("alice", usd(0), LATE), InvalidField),
        Situation("until a time in the past", lambda _: a_hold("alice", usd(1), PAST), InvalidField),
        Situation("in a system wallet", lambda _: a_hold(SYSTEM, usd(1), LATE), SystemWalletForbidden),
        *_reused(lambda _: a_hold("alice", usd(1), LATE)),
        Situation("in no wallet", lambda _: a_hold("nobody", usd(1), LATE), ResourceNotFound),
        Situation("of dollars in euros", lambda _: a_hold("euro", usd(1), LATE), CurrencyMismatch),
        Situation("in a frozen wallet", lambda _: a_hold("cold", usd(1), LATE), WalletNotActive),
        Situation("in a closed wallet", lambda _: a_hold("gone", usd(1), LATE), WalletNotActive),
        Situation("of more than there is", lambda _: a_hold("poor", usd(6), LATE), InsufficientFunds),
        Situation("of what is held already", lambda _: a_hold("alice", usd(900), LATE), InsufficientFunds),
        Situation("plain", lambda _: a_hold("alice", usd(7), LATE)),
        Situation("of all there is", lambda _: a_hold("poor", usd(5), LATE)),
        Situation("of what is overdrawn", lambda _: a_hold("over", usd(20), LATE)),
    ],
    "CaptureHold": [
        Situation("of nothing", lambda s: a_capture(s["hold"], "bob", usd(0)), InvalidField),
        Situation("to the wallet itself", lambda s: a_capture(s["hold"], "alice"), InvalidField),
        Situation("to a system wallet", lambda s: a_capture(s["hold"], SYSTEM), SystemWalletForbidden),
        *_reused(lambda s: a_capture(s["hold"], "bob")),
        Situation("of no hold", lambda _: a_capture(NO_SUCH, "bob"), ResourceNotFound),
        Situation("to no wallet", lambda s: a_capture(s["hold"], "nobody"), ResourceNotFound),
        Situation("to euros", lambda s: a_capture(s["hold"], "euro"), CurrencyMismatch),
        Situation("in euros", lambda s: a_capture(s["hold"], "bob", Money("EUR", 1)), CurrencyMismatch),
        Situation("from a frozen wallet", lambda s: a_capture(s["cold_hold"], "bob"), WalletNotActive),
        Situation("to a closed wallet", lambda s: a_capture(s["hold"], "gone"), WalletNotActive),
        *_ended(_to_bob, "captured", "voided", "expired", "overdue"),
        Situation("of more than is left", lambda s: a_capture(s["part_hold"], "bob", usd(21)), LimitExceeded),
        Situation("to a full wallet", lambda s: a_capture(s["yen_hold"], "brim"), LimitExceeded),
        Situation("of a part", lambda s: a_capture(s["hold"], "bob", usd(7))),
        Situation("of the rest", lambda s: a_capture(s["hold"], "cold")),
        Situation("of a part and no more", lambda s: a_capture(s["other_hold"], "bob", usd(7), final=True)),
        Situation("of all that is left", lambda s: a_capture(s["part_hold"], "bob", usd(20))),
    ],
    "VoidHold": [
        *_reused(lambda s: a_void(s["hold"])),
        Situation("of no hold", lambda _: a_void(NO_SUCH), ResourceNotFound),
        *_ended(a_void, "captured", "voided", "expired"),
        Situation("plain", lambda s: a_void(s["hold"])),
        Situation("of one captured in part", lambda s: a_void(s["part_hold"])),
        Situation("in a frozen wallet", lambda s: a_void(s["cold_hold"])),
        Situation("of one whose time is over", lambda s: a_void(s["overdue"])),
    ],
    "ScheduleWithdrawal": [
        Situation("of nothing", lambda _: a_withdrawal("alice", usd(0)), InvalidField),
        Situation("for the past", lambda _: a_withdrawal("alice", usd(1), PAST), InvalidField),
        Situation("from a system wallet", lambda _: a_withdrawal(SYSTEM, usd(1)), SystemWalletForbidden),
        *_reused(lambda _: a_withdrawal("alice", usd(1))),
        Situation("from no wallet", lambda _: a_withdrawal("nobody", usd(1)), ResourceNotFound),
        Situation("of dollars from euros", lambda _: a_withdrawal("euro", usd(1)), CurrencyMismatch),
        Situation("from a frozen wallet", lambda _: a_withdrawal("cold", usd(1)), WalletNotActive),
        Situation("from a closed wallet", lambda _: a_withdrawal("gone", usd(1)), WalletNotActive),
        Situation(
            "of what was earned by no operator",
            lambda _: by_no_operator(a_withdrawal(EARNED, usd(1))),
            SystemWalletForbidden,
        ),
        Situation("of too much to reserve", lambda _: a_withdrawal("poor", usd(6), reserve=True), InsufficientFunds),
        Situation("plain", lambda _: a_withdrawal("alice", usd(7), LATE)),
        Situation("of more than there is", lambda _: a_withdrawal("poor", usd(6))),
        Situation("of what was earned", lambda _: a_withdrawal(EARNED, usd(1), reserve=True)),
        Situation("with its money reserved", lambda _: a_withdrawal("alice", usd(7), LATE, reserve=True)),
    ],
    "CancelWithdrawal": [
        *_reused(lambda s: a_cancelled_withdrawal(s["scheduled"])),
        Situation("of none", lambda _: a_cancelled_withdrawal(NO_SUCH), ResourceNotFound),
        Situation("of a deposit", lambda s: a_cancelled_withdrawal(s["expected"]), ResourceNotFound),
        Situation(
            "of what was earned by no operator",
            lambda s: by_no_operator(a_cancelled_withdrawal(s["earned"])),
            PermissionMissing,
        ),
        *_ended(a_cancelled_withdrawal, "called_off", "paid", "unpaid", "doubtful"),
        Situation("plain", lambda s: a_cancelled_withdrawal(s["scheduled"])),
        Situation("of one whose money is reserved", lambda s: a_cancelled_withdrawal(s["reserved"])),
        Situation("in a frozen wallet", lambda s: a_cancelled_withdrawal(s["cold_order"])),
        Situation("of what was earned", lambda s: a_cancelled_withdrawal(s["earned"])),
    ],
    "ScheduleDeposit": [
        Situation("of nothing", lambda _: a_scheduled_deposit("alice", usd(0)), InvalidField),
        Situation("for the past", lambda _: a_scheduled_deposit("alice", usd(1), PAST), InvalidField),
        Situation("into a system wallet", lambda _: a_scheduled_deposit(SYSTEM, usd(1)), SystemWalletForbidden),
        *_reused(lambda _: a_scheduled_deposit("alice", usd(1))),
        Situation(
            "under a used reference",
            lambda _: a_scheduled_deposit("alice", usd(1), **SPOKEN_FOR),
            ExternalReferenceReused,
        ),
        Situation("into no wallet", lambda _: a_scheduled_deposit("nobody", usd(1)), ResourceNotFound),
        Situation("of dollars into euros", lambda _: a_scheduled_deposit("euro", usd(1)), CurrencyMismatch),
        Situation("into a closed wallet", lambda _: a_scheduled_deposit("gone", usd(1)), WalletNotActive),
        Situation("of more than one may be", lambda _: a_scheduled_deposit("alice", usd(10**15 + 1)), LimitExceeded),
        Situation("plain", lambda _: a_scheduled_deposit("alice", usd(7), LATE)),
        Situation("to be collected", lambda _: a_scheduled_deposit("alice", usd(7), collect=True)),
        Situation("into a frozen wallet", lambda _: a_scheduled_deposit("cold", usd(7))),
        Situation("of more than will fit", lambda _: a_scheduled_deposit("brim", yen(11))),
    ],
    "CancelScheduledDeposit": [
        *_reused(lambda s: a_cancelled_deposit(s["expected"])),
        Situation("of none", lambda _: a_cancelled_deposit(NO_SUCH), ResourceNotFound),
        Situation("of a withdrawal", lambda s: a_cancelled_deposit(s["scheduled"]), ResourceNotFound),
        *_ended(a_cancelled_deposit, "not_expected", "credited"),
        Situation("plain", lambda s: a_cancelled_deposit(s["expected"])),
        Situation("of one to be collected", lambda s: a_cancelled_deposit(s["expected_of_bank"])),
    ],
    "ResolveWithdrawal": _resolved(
        ResolveWithdrawal,
        {
            "unclear": "unclear_payout",
            "in flight": "payout_in_flight",
            "unclear too": "unclear_payout_too",
            "doubtful": "doubtful",
            "unapplied": "returned",
            "ended": "paid",
            "accepted late": "payout_accepted_late",
            "of the other kind": "expected_of_bank",
            "closed": "gone",
        },
        to="bob",
        full=lambda s: a_resolution(ResolveWithdrawal, s["payout_of_the_full"], ResolutionKind.NOT_EXECUTED),
    ),
    "ResolveScheduledDeposit": _resolved(
        ResolveScheduledDeposit,
        {
            "unclear": "unclear_debit",
            "in flight": "debit_in_flight",
            "unclear too": "unclear_debit_too",
            "doubtful": "doubtful_debit",
            "unapplied": "collected",
            "ended": "credited",
            "accepted late": "debit_accepted_late",
            "scheduled": "expected_of_bank",
            "of the other kind": "scheduled",
            "closed": "shut",
        },
        to="yen",
        full=lambda s: a_resolution(ResolveScheduledDeposit, s["collected"], ResolutionKind.APPLIED_TO_WALLET, "brim"),
    ),
    "ResolveDiscrepancy": [
        *_reused(lambda s: a_closed_discrepancy(s.lines["odd"])),
        Situation("of no line", lambda _: a_closed_discrepancy(999), ResourceNotFound),
        Situation("of one that met", lambda s: a_closed_discrepancy(s.lines["met"]), StateTransitionForbidden),
        Situation("of one that waits", lambda s: a_closed_discrepancy(s.lines["waiting"]), StateTransitionForbidden),
        Situation("of one looked into", lambda s: a_closed_discrepancy(s.lines["closed"]), StateTransitionForbidden),
        Situation("plain", lambda s: a_closed_discrepancy(s.lines["odd"])),
        Situation("of another", lambda s: a_closed_discrepancy(s.lines["odd_too"])),
    ],
    "AcceptBankStatement": [
        *_reused(lambda _: an_accepted_ledger(2)),
        Situation("of none", lambda _: an_accepted_ledger(3), ResourceNotFound),
        Situation("of one before", lambda _: an_accepted_ledger(1), StateTransitionForbidden),
        Situation("plain", lambda _: an_accepted_ledger(2)),
    ],
    "CreateCommissionRule": [
        Situation("with a threshold below zero", lambda _: a_rule(threshold=-1), InvalidField),
        Situation("with a rate below zero", lambda _: a_rule(rate_millionths=-1), InvalidField),
        Situation("with a fixed part below zero", lambda _: a_rule(fixed=-1), InvalidField),
        Situation("with a minimum below zero", lambda _: a_rule(minimum=-1), InvalidField),
        Situation("of more than all", lambda _: a_rule(rate_millionths=1_000_001), InvalidField),
        Situation("with the maximum below the minimum", lambda _: a_rule(minimum=2, maximum=1), InvalidField),
        Situation("from a time in the past", lambda _: a_rule(start_time=PAST), InvalidField),
        Situation("that ends before it starts", lambda _: a_rule(start_time=LATER, end_time=LATE), InvalidField),
        Situation("for a system wallet", lambda _: a_rule(wallet=SYSTEM), SystemWalletForbidden),
        *_reused(lambda _: a_rule()),
        Situation("for no wallet", lambda _: a_rule(wallet="nobody"), ResourceNotFound),
        Situation("in dollars for euros", lambda _: a_rule(wallet="euro"), CurrencyMismatch),
        Situation("plain", lambda _: a_rule(fixed=1, rate_millionths=10_000, minimum=2, maximum=9)),
        Situation("the first thing in its currency", lambda _: a_rule("CHF", payer=Payer.DESTINATION)),
        Situation("for a time to come", lambda _: a_rule(wallet="alice", start_time=LATE, end_time=LATER)),
        Situation("for a label", lambda _: a_rule(label=Label("tier", "gold"), fixed=1)),
    ],
    "EndCommissionRule": [
        Situation("in the past", lambda s: an_end(s["on_payer"], PAST), InvalidField),
        Situation("of nothing in the past", lambda _: an_end(NO_SUCH, PAST), InvalidField),
        *_reused(lambda s: an_end(s["on_payer"])),
        Situation("of no rule", lambda _: an_end(NO_SUCH), ResourceNotFound),
        Situation("of one that is over", lambda s: an_end(s["over"]), StateTransitionForbidden),
        Situation("later than it ends", lambda s: an_end(s["ending"], LATER), StateTransitionForbidden),
        Situation("at a time to come", lambda s: an_end(s["on_payer"], LATE)),
        Situation("nearer than it was", lambda s: an_end(s["on_payer"])),
        Situation("before it has begun", lambda s: an_end(s["coming"])),
    ],
}
