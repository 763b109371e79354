"""Cases of the verbs that move money at once: deposits, transfers, batches and reversals."""

from tests.model.case import NO_SUCH, SYSTEM, Case, reused
from tests.model.refusal_ledger import USED, usd, yen
from tests.support.commands import (
    a_batch,
    a_deposit,
    a_reversal,
    a_transfer,
    an_item,
    by_no_operator,
    lacking,
)
from tests.support.commission import COMMISSION_WALLET
from wallet_core.domain.model.access import Right
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
from wallet_core.domain.model.money import INT64_MAX, Money

FINE = an_item("alice", "bob", usd(1))

TRANSFER_CASES: dict[str, list[Case]] = {
    "Deposit": [
        Case("of nothing", lambda _: a_deposit("alice", usd(0)), InvalidField),
        Case("into a system wallet", lambda _: a_deposit(SYSTEM, usd(1)), SystemWalletForbidden),
        *reused(lambda _: a_deposit("alice", usd(1))),
        Case("under a used reference", lambda _: a_deposit("nobody", usd(1), **USED), ExternalReferenceReused),
        Case("without the reference", lambda _: a_deposit("alice", usd(1), unique_reference=True), InvalidField),
        Case("into no wallet", lambda _: a_deposit("nobody", usd(1)), ResourceNotFound),
        Case("of dollars into euros", lambda _: a_deposit("euro", usd(1)), CurrencyMismatch),
        Case("into a closed wallet", lambda _: a_deposit("gone", usd(1)), WalletNotActive),
        Case("into a full wallet", lambda _: a_deposit("limit", yen(11)), LimitExceeded),
        Case("of more than the world has", lambda _: a_deposit("yen", yen(INT64_MAX)), LimitExceeded),
        Case("plain", lambda _: a_deposit("alice", usd(7), labels={"a": "b"}, external_reference="r")),
        Case("into a frozen wallet", lambda _: a_deposit("cold", usd(7))),
        Case("into an overdrawn wallet", lambda _: a_deposit("over", usd(7))),
        Case("to the limit", lambda _: a_deposit("limit", yen(10))),
    ],
    "Transfer": [
        Case("of nothing", lambda _: a_transfer("alice", "bob", usd(0)), InvalidField),
        Case("to itself", lambda _: a_transfer("alice", "alice", usd(1)), InvalidField),
        Case(
            "with a maximum in euros",
            lambda _: a_transfer("alice", "bob", usd(1), max_commission=Money("EUR", 1)),
            InvalidField,
        ),
        Case("under a used reference", lambda _: a_transfer("alice", "bob", usd(1), **USED), ExternalReferenceReused),
        Case(
            "under a reference of its own",
            lambda _: a_transfer("alice", "bob", usd(1), external_reference="mine", unique_reference=True),
        ),
        Case("from a system wallet", lambda _: a_transfer(SYSTEM, "bob", usd(1)), SystemWalletForbidden),
        Case("to a system wallet", lambda _: a_transfer("bob", SYSTEM, usd(1)), SystemWalletForbidden),
        Case(
            "from what was earned by no operator",
            lambda _: by_no_operator(a_transfer(COMMISSION_WALLET, "bob", usd(1))),
            SystemWalletForbidden,
        ),
        Case("to what was earned", lambda _: a_transfer("bob", COMMISSION_WALLET, usd(1)), SystemWalletForbidden),
        *reused(lambda _: a_transfer("alice", "bob", usd(1))),
        Case("from no wallet", lambda _: a_transfer("nobody", "bob", usd(1)), ResourceNotFound),
        Case("to no wallet", lambda _: a_transfer("alice", "nobody", usd(1)), ResourceNotFound),
        Case("of dollars from euros", lambda _: a_transfer("euro", "bob", usd(1)), CurrencyMismatch),
        Case("of dollars to euros", lambda _: a_transfer("bob", "euro", usd(1)), CurrencyMismatch),
        Case("from a frozen wallet", lambda _: a_transfer("cold", "bob", usd(1)), WalletNotActive),
        Case("from a closed wallet", lambda _: a_transfer("gone", "bob", usd(1)), WalletNotActive),
        Case("to a closed wallet", lambda _: a_transfer("bob", "gone", usd(1)), WalletNotActive),
        Case(
            "for more commission than wanted",
            lambda _: a_transfer("payer", "bob", usd(1), max_commission=usd(4)),
            LimitExceeded,
        ),
        Case("for more commission than it gets", lambda _: a_transfer("bob", "shop", usd(99)), LimitExceeded),
        Case("of more than there is", lambda _: a_transfer("poor", "bob", usd(6)), InsufficientFunds),
        Case("of what is held", lambda _: a_transfer("alice", "bob", usd(1000)), InsufficientFunds),
        Case("of too much with its commission", lambda _: a_transfer("payer", "bob", usd(8)), InsufficientFunds),
        Case("to a full wallet", lambda _: a_transfer("yen", "limit", yen(11)), LimitExceeded),
        Case("plain", lambda _: a_transfer("alice", "bob", usd(7))),
        Case("to a frozen wallet", lambda _: a_transfer("alice", "cold", usd(7))),
        Case("with a commission on top", lambda _: a_transfer("payer", "bob", usd(7), max_commission=usd(5))),
        Case("with all of it for the service", lambda _: a_transfer("bob", "shop", usd(100))),
        Case("from what was earned", lambda _: a_transfer(COMMISSION_WALLET, "bob", usd(1), max_commission=usd(0))),
        Case("from what was earned to a shop", lambda _: a_transfer(COMMISSION_WALLET, "shop", usd(1))),
        Case("with a commission that is rounded", lambda _: a_transfer("icy", "bob", usd(5))),
        Case("into the overdraft", lambda _: a_transfer("over", "bob", usd(20))),
    ],
    "BatchTransfer": [
        Case("with one of nothing", lambda _: a_batch(FINE, an_item("alice", "bob", usd(0))), InvalidField),
        Case("with a system wallet", lambda _: a_batch(FINE, an_item(SYSTEM, "bob", usd(1))), SystemWalletForbidden),
        Case(
            "from what was earned by no operator",
            lambda _: by_no_operator(a_batch(FINE, an_item(COMMISSION_WALLET, "bob", usd(1)))),
            SystemWalletForbidden,
        ),
        *reused(lambda _: a_batch(FINE)),
        Case(
            "with a used reference",
            lambda _: a_batch(FINE, an_item("alice", "bob", usd(1), **USED)),
            ExternalReferenceReused,
        ),
        Case("from no wallet", lambda _: a_batch(FINE, an_item("nobody", "bob", usd(1))), ResourceNotFound),
        Case("with euros", lambda _: a_batch(FINE, an_item("euro", "bob", usd(1))), CurrencyMismatch),
        Case("to a closed wallet", lambda _: a_batch(FINE, an_item("bob", "gone", usd(1))), WalletNotActive),
        Case("for too much commission", lambda _: a_batch(FINE, an_item("bob", "shop", usd(9))), LimitExceeded),
        Case(
            "of more than the items before have left",
            lambda _: a_batch(an_item("poor", "bob", usd(3)), an_item("poor", "bob", usd(3))),
            InsufficientFunds,
        ),
        Case("to a full wallet", lambda _: a_batch(*[an_item("yen", "limit", yen(6))] * 2), LimitExceeded),
        Case("of one", lambda _: a_batch(FINE)),
        Case(
            "of what the items before have earned",
            lambda _: a_batch(an_item("payer", "bob", usd(1)), an_item(COMMISSION_WALLET, "bob", usd(6))),
        ),
        Case(
            "of what the items before have brought",
            lambda _: a_batch(
                an_item("alice", "spent", usd(9)), an_item("spent", "icy", usd(9)), an_item("icy", "bob", usd(60))
            ),
        ),
    ],
    "ReverseTransaction": [
        Case("of nothing", lambda s: a_reversal(s["moved"], usd(0)), InvalidField),
        *reused(lambda s: a_reversal(s["moved"])),
        Case("of no transaction", lambda _: a_reversal(NO_SUCH), ResourceNotFound),
        Case(
            "of a deposit by one who may make none",
            lambda s: lacking(Right.DEPOSIT, a_reversal(s["deposited"])),
            PermissionMissing,
        ),
        Case("in euros", lambda s: a_reversal(s["moved"], Money("EUR", 1)), CurrencyMismatch),
        Case(
            "out of a frozen wallet by no operator", lambda s: by_no_operator(a_reversal(s["to_cold"])), WalletNotActive
        ),
        Case("out of a closed wallet", lambda s: a_reversal(s["to_gone"]), WalletNotActive),
        Case("into a closed wallet", lambda s: a_reversal(s["from_gone"]), WalletNotActive),
        Case("of a payout", lambda s: a_reversal(s["payout"]), StateTransitionForbidden),
        Case("of a capture", lambda s: a_reversal(s["capture"]), StateTransitionForbidden),
        Case("of what has gone back", lambda s: a_reversal(s["all_back"]), StateTransitionForbidden),
        Case("of more than is left", lambda s: a_reversal(s["part_back"], usd(26)), LimitExceeded),
        Case("of what has been spent", lambda s: a_reversal(s["lost"]), InsufficientFunds),
        Case("into a full wallet", lambda s: a_reversal(s["from_limit"], yen(11)), LimitExceeded),
        Case("of a deposit", lambda s: a_reversal(s["deposited"])),
        Case("of a part", lambda s: a_reversal(s["moved"], usd(7))),
        Case("of the rest", lambda s: a_reversal(s["moved"])),
        Case("out of a frozen wallet", lambda s: a_reversal(s["to_cold"])),
        Case("with its share of the commission", lambda s: a_reversal(s["charged"], usd(7))),
        Case("without its commission", lambda s: a_reversal(s["charged"], usd(7), keep_commission=True)),
        Case("with what is left of the commission", lambda s: a_reversal(s["charged"])),
    ],
}
