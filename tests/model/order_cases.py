"""Cases of the verbs of payment orders, and of what operators resolve."""

from tests.model.case import NO_SUCH, SYSTEM, Case, MakeCommand, ended, reused
from tests.model.refusal_ledger import LATE, PAST, USED, usd, yen
from tests.support.commands import (
    Fields,
    OrderResolution,
    a_cancelled_deposit,
    a_cancelled_withdrawal,
    a_closed_discrepancy,
    a_resolution,
    a_scheduled_deposit,
    a_withdrawal,
    an_accepted_ledger,
    by_no_operator,
)
from tests.support.commission import COMMISSION_WALLET
from wallet_core.domain.commands.payments.resolve_order import ResolveScheduledDeposit, ResolveWithdrawal
from wallet_core.domain.model.errors import (
    CurrencyMismatch,
    ExternalReferenceReused,
    InsufficientFunds,
    InvalidField,
    LimitExceeded,
    PermissionMissing,
    ResourceNotFound,
    StateTransitionForbidden,
    SystemWalletForbidden,
    WalletNotActive,
)
from wallet_core.domain.model.payment_order import ResolutionKind


def _resolved(verb: type[OrderResolution], names: dict[str, str], *, to: str, full: MakeCommand) -> list[Case]:
    """Return the cases of an order that is resolved by an operator.

    *names* are those of its kind, *to* their wallet.
    """
    executed, not_executed, placed, noted = ResolutionKind

    def call(name: str, found: ResolutionKind, to: str | None = None, **fields: Fields) -> MakeCommand:
        return lambda ledger: a_resolution(verb, ledger[names.get(name, name)], found, to, **fields)

    return [
        Case("as done, for a wallet", call("unclear", executed, to), InvalidField),
        Case("as placed, for no wallet", call("unapplied", placed), InvalidField),
        Case("as not done, by a reference", call("unclear", not_executed, bank_reference="r"), InvalidField),
        Case("for a system wallet", call("unapplied", placed, SYSTEM), SystemWalletForbidden),
        *reused(call("unclear", not_executed)),
        Case("of none", lambda _: a_resolution(verb, NO_SUCH, executed), ResourceNotFound),
        Case("of the other kind", call("of the other kind", executed), ResourceNotFound),
        Case("for a wallet that is not there", call("unapplied", placed, "nobody"), ResourceNotFound),
        Case("before it has begun", call("scheduled", executed), StateTransitionForbidden),
        Case("after it has ended", call("ended", not_executed), StateTransitionForbidden),
        Case("too soon", call("in flight", not_executed), StateTransitionForbidden),
        Case("against the bank's word", call("doubtful", not_executed), StateTransitionForbidden),
        Case("where no money waits", call("ended", placed, to), StateTransitionForbidden),
        Case("where nothing is to be noted", call("unclear", noted), StateTransitionForbidden),
        Case("for another currency", call("unapplied", placed, "euro"), CurrencyMismatch),
        Case("for a closed wallet", call("unapplied", placed, names["closed"]), WalletNotActive),
        Case("into a full wallet", full, LimitExceeded),
        Case("as done", call("unclear", executed, bank_reference="r", bank_evidence="it did")),
        Case("as not done", call("unclear too", not_executed)),
        Case("as placed", call("unapplied", placed, to)),
        Case("as noted", call("accepted late", noted)),
    ]


ORDER_CASES: dict[str, list[Case]] = {
    "ScheduleWithdrawal": [
        Case("of nothing", lambda _: a_withdrawal("alice", usd(0)), InvalidField),
        Case("for the past", lambda _: a_withdrawal("alice", usd(1), PAST), InvalidField),
        Case("from a system wallet", lambda _: a_withdrawal(SYSTEM, usd(1)), SystemWalletForbidden),
        *reused(lambda _: a_withdrawal("alice", usd(1))),
        Case("from no wallet", lambda _: a_withdrawal("nobody", usd(1)), ResourceNotFound),
        Case("of dollars from euros", lambda _: a_withdrawal("euro", usd(1)), CurrencyMismatch),
        Case("from a frozen wallet", lambda _: a_withdrawal("cold", usd(1)), WalletNotActive),
        Case("from a closed wallet", lambda _: a_withdrawal("gone", usd(1)), WalletNotActive),
        Case(
            "of what was earned by no operator",
            lambda _: by_no_operator(a_withdrawal(COMMISSION_WALLET, usd(1))),
            SystemWalletForbidden,
        ),
        Case("of too much to reserve", lambda _: a_withdrawal("poor", usd(6), reserve=True), InsufficientFunds),
        Case("plain", lambda _: a_withdrawal("alice", usd(7), LATE)),
        Case("of more than there is", lambda _: a_withdrawal("poor", usd(6))),
        Case("of what was earned", lambda _: a_withdrawal(COMMISSION_WALLET, usd(1), reserve=True)),
        Case("with its money reserved", lambda _: a_withdrawal("alice", usd(7), LATE, reserve=True)),
    ],
    "CancelWithdrawal": [
        *reused(lambda s: a_cancelled_withdrawal(s["scheduled"])),
        Case("of none", lambda _: a_cancelled_withdrawal(NO_SUCH), ResourceNotFound),
        Case("of a deposit", lambda s: a_cancelled_withdrawal(s["expected"]), ResourceNotFound),
        Case(
            "of what was earned by no operator",
            lambda s: by_no_operator(a_cancelled_withdrawal(s["earned"])),
            PermissionMissing,
        ),
        *ended(a_cancelled_withdrawal, "called_off", "paid", "unpaid", "doubtful"),
        Case("plain", lambda s: a_cancelled_withdrawal(s["scheduled"])),
        Case("of one whose money is reserved", lambda s: a_cancelled_withdrawal(s["reserved"])),
        Case("in a frozen wallet", lambda s: a_cancelled_withdrawal(s["cold_order"])),
        Case("of what was earned", lambda s: a_cancelled_withdrawal(s["earned"])),
    ],
    "ScheduleDeposit": [
        Case("of nothing", lambda _: a_scheduled_deposit("alice", usd(0)), InvalidField),
        Case("for the past", lambda _: a_scheduled_deposit("alice", usd(1), PAST), InvalidField),
        Case("into a system wallet", lambda _: a_scheduled_deposit(SYSTEM, usd(1)), SystemWalletForbidden),
        *reused(lambda _: a_scheduled_deposit("alice", usd(1))),
        Case(
            "under a used reference",
            lambda _: a_scheduled_deposit("alice", usd(1), **USED),
            ExternalReferenceReused,
        ),
        Case("into no wallet", lambda _: a_scheduled_deposit("nobody", usd(1)), ResourceNotFound),
        Case("of dollars into euros", lambda _: a_scheduled_deposit("euro", usd(1)), CurrencyMismatch),
        Case("into a closed wallet", lambda _: a_scheduled_deposit("gone", usd(1)), WalletNotActive),
        Case("of more than one may be", lambda _: a_scheduled_deposit("alice", usd(10**15 + 1)), LimitExceeded),
        Case("plain", lambda _: a_scheduled_deposit("alice", usd(7), LATE)),
        Case("to be collected", lambda _: a_scheduled_deposit("alice", usd(7), collect=True)),
        Case("into a frozen wallet", lambda _: a_scheduled_deposit("cold", usd(7))),
        Case("of more than will fit", lambda _: a_scheduled_deposit("limit", yen(11))),
    ],
    "CancelScheduledDeposit": [
        *reused(lambda s: a_cancelled_deposit(s["expected"])),
        Case("of none", lambda _: a_cancelled_deposit(NO_SUCH), ResourceNotFound),
        Case("of a withdrawal", lambda s: a_cancelled_deposit(s["scheduled"]), ResourceNotFound),
        *ended(a_cancelled_deposit, "not_expected", "credited"),
        Case("plain", lambda s: a_cancelled_deposit(s["expected"])),
        Case("of one to be collected", lambda s: a_cancelled_deposit(s["expected_of_bank"])),
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
        full=lambda s: a_resolution(ResolveScheduledDeposit, s["collected"], ResolutionKind.APPLIED_TO_WALLET, "limit"),
    ),
    "ResolveDiscrepancy": [
        *reused(lambda s: a_closed_discrepancy(s.lines["odd"])),
        Case("of no line", lambda _: a_closed_discrepancy(999), ResourceNotFound),
        Case("of one that met", lambda s: a_closed_discrepancy(s.lines["met"]), StateTransitionForbidden),
        Case("of one that waits", lambda s: a_closed_discrepancy(s.lines["waiting"]), StateTransitionForbidden),
        Case("of one looked into", lambda s: a_closed_discrepancy(s.lines["closed"]), StateTransitionForbidden),
        Case("plain", lambda s: a_closed_discrepancy(s.lines["odd"])),
        Case("of another", lambda s: a_closed_discrepancy(s.lines["odd_too"])),
    ],
    "AcceptBankStatement": [
        *reused(lambda _: an_accepted_ledger(2)),
        Case("of none", lambda _: an_accepted_ledger(3), ResourceNotFound),
        Case("of one before", lambda _: an_accepted_ledger(1), StateTransitionForbidden),
        Case("plain", lambda _: an_accepted_ledger(2)),
    ],
}
