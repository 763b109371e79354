"""Cases of the verbs of commission rules."""

from tests.model.case import NO_SUCH, SYSTEM, Case, reused
from tests.model.refusal_ledger import LATE, LATER, PAST
from tests.support.commands import (
    a_rule,
    an_end,
)
from wallet_core.domain.model.commission_rule import Label, Payer
from wallet_core.domain.model.errors import (
    CurrencyMismatch,
    InvalidField,
    ResourceNotFound,
    StateTransitionForbidden,
    SystemWalletForbidden,
)

RULE_CASES: dict[str, list[Case]] = {
    "CreateCommissionRule": [
        Case("with a threshold below zero", lambda _: a_rule(threshold=-1), InvalidField),
        Case("with a rate below zero", lambda _: a_rule(rate_millionths=-1), InvalidField),
        Case("with a fixed part below zero", lambda _: a_rule(fixed=-1), InvalidField),
        Case("with a minimum below zero", lambda _: a_rule(minimum=-1), InvalidField),
        Case("of more than all", lambda _: a_rule(rate_millionths=1_000_001), InvalidField),
        Case("with the maximum below the minimum", lambda _: a_rule(minimum=2, maximum=1), InvalidField),
        Case("from a time in the past", lambda _: a_rule(start_time=PAST), InvalidField),
        Case("that ends before it starts", lambda _: a_rule(start_time=LATER, end_time=LATE), InvalidField),
        Case("for a system wallet", lambda _: a_rule(wallet=SYSTEM), SystemWalletForbidden),
        *reused(lambda _: a_rule()),
        Case("for no wallet", lambda _: a_rule(wallet="nobody"), ResourceNotFound),
        Case("in dollars for euros", lambda _: a_rule(wallet="euro"), CurrencyMismatch),
        Case("plain", lambda _: a_rule(fixed=1, rate_millionths=10_000, minimum=2, maximum=9)),
        Case("the first thing in its currency", lambda _: a_rule("CHF", payer=Payer.DESTINATION)),
        Case("for a time to come", lambda _: a_rule(wallet="alice", start_time=LATE, end_time=LATER)),
        Case("for a label", lambda _: a_rule(label=Label("tier", "gold"), fixed=1)),
    ],
    "EndCommissionRule": [
        Case("in the past", lambda s: an_end(s["on_payer"], PAST), InvalidField),
        Case("of nothing in the past", lambda _: an_end(NO_SUCH, PAST), InvalidField),
        *reused(lambda s: an_end(s["on_payer"])),
        Case("of no rule", lambda _: an_end(NO_SUCH), ResourceNotFound),
        Case("of one that is over", lambda s: an_end(s["over"]), StateTransitionForbidden),
        Case("later than it ends", lambda s: an_end(s["ending"], LATER), StateTransitionForbidden),
        Case("at a time to come", lambda s: an_end(s["on_payer"], LATE)),
        Case("nearer than it was", lambda s: an_end(s["on_payer"])),
        Case("before it has begun", lambda s: an_end(s["coming"])),
    ],
}
