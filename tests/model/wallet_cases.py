"""Cases of the verbs of wallets."""

from tests.model.case import SYSTEM, Case, reused
from tests.model.refusal_ledger import usd
from tests.support.commands import (
    a_change,
    a_new_wallet,
    an_update,
    lacking,
)
from wallet_core.domain.commands.wallets.change_wallet import CloseWallet, FreezeWallet, UnfreezeWallet
from wallet_core.domain.model.access import Right
from wallet_core.domain.model.errors import (
    CurrencyMismatch,
    EtagMismatch,
    InvalidField,
    LimitExceeded,
    PermissionMissing,
    ResourceExists,
    ResourceNotFound,
    StateTransitionForbidden,
    SystemWalletForbidden,
    WalletNotActive,
)
from wallet_core.domain.model.money import INT64_MAX, Money

WALLET_CASES: dict[str, list[Case]] = {
    "CreateWallet": [
        Case("of a name that is taken", lambda _: a_new_wallet("alice"), ResourceExists),
        Case("of a taken name in another currency", lambda _: a_new_wallet("alice", "EUR"), ResourceExists),
        Case("with a limit below zero", lambda _: a_new_wallet("new", overdraft_limit=-1), InvalidField),
        *reused(lambda _: a_new_wallet("new")),
        Case(
            "with a limit by one who may give none",
            lambda _: lacking(Right.CREDIT, a_new_wallet("alice", overdraft_limit=7)),
            PermissionMissing,
        ),
        Case(
            "with labels by one who may give none",
            lambda _: lacking(Right.LABEL, a_new_wallet("alice", labels={"a": "b"})),
            PermissionMissing,
        ),
        Case("plain", lambda _: a_new_wallet("new")),
        Case("with everything", lambda _: a_new_wallet("rich", labels={"a": "b"}, overdraft_limit=7, owner="o")),
        Case("the first of its currency", lambda _: a_new_wallet("franc", "CHF")),
        Case("by a made-up name", lambda _: a_new_wallet("made-up", asked_id=None)),
    ],
    "UpdateWallet": [
        Case("with a limit below zero", lambda _: an_update("alice", overdraft_limit=usd(-1)), InvalidField),
        Case("of a system wallet", lambda _: an_update(SYSTEM, display_name="x"), SystemWalletForbidden),
        *reused(lambda _: an_update("alice", display_name="x")),
        Case(
            "of the limit by one who may give none",
            lambda _: lacking(Right.CREDIT, an_update("nobody", clear_overdraft_limit=True)),
            PermissionMissing,
        ),
        Case(
            "of the labels by one who may give none",
            lambda _: lacking(Right.LABEL, an_update("nobody", labels={})),
            PermissionMissing,
        ),
        Case("of no wallet", lambda _: an_update("nobody", display_name="x"), ResourceNotFound),
        Case("with an old etag", lambda _: an_update("cold", etag='"1"', display_name="x"), EtagMismatch),
        Case("of a closed wallet", lambda _: an_update("gone", display_name="x"), WalletNotActive),
        Case("with a limit in euros", lambda _: an_update("bob", overdraft_limit=Money("EUR", 1)), CurrencyMismatch),
        Case("with a limit below its use", lambda _: an_update("over", overdraft_limit=usd(29)), LimitExceeded),
        Case("without a limit in use", lambda _: an_update("over", clear_overdraft_limit=True), LimitExceeded),
        Case("beyond counting", lambda _: an_update("bob", overdraft_limit=usd(INT64_MAX)), LimitExceeded),
        Case("of everything", lambda _: an_update("bob", display_name="x", labels={}, overdraft_limit=usd(9))),
        Case("of nothing but its etag", lambda _: an_update("alice", etag='"1"')),
        Case("of a frozen wallet", lambda _: an_update("cold", labels={"tier": "gold"})),
        Case("with a limit just in use", lambda _: an_update("over", overdraft_limit=usd(30))),
    ],
    "FreezeWallet": [
        Case("of a system wallet", lambda _: a_change(FreezeWallet, SYSTEM), SystemWalletForbidden),
        *reused(lambda _: a_change(FreezeWallet, "alice")),
        Case("of no wallet", lambda _: a_change(FreezeWallet, "nobody"), ResourceNotFound),
        Case("with an old etag", lambda _: a_change(FreezeWallet, "bob", '"0"'), EtagMismatch),
        Case("of a frozen one", lambda _: a_change(FreezeWallet, "cold"), StateTransitionForbidden),
        Case("of a closed one", lambda _: a_change(FreezeWallet, "gone"), StateTransitionForbidden),
        Case("plain", lambda _: a_change(FreezeWallet, "alice")),
        Case("with its etag", lambda _: a_change(FreezeWallet, "bob", '"1"')),
    ],
    "UnfreezeWallet": [
        Case("of a system wallet", lambda _: a_change(UnfreezeWallet, SYSTEM), SystemWalletForbidden),
        *reused(lambda _: a_change(UnfreezeWallet, "cold")),
        Case("of no wallet", lambda _: a_change(UnfreezeWallet, "nobody"), ResourceNotFound),
        Case("with an old etag", lambda _: a_change(UnfreezeWallet, "cold", '"1"'), EtagMismatch),
        Case("of an active one", lambda _: a_change(UnfreezeWallet, "alice"), StateTransitionForbidden),
        Case("of a closed one", lambda _: a_change(UnfreezeWallet, "gone"), StateTransitionForbidden),
        Case("with its etag", lambda _: a_change(UnfreezeWallet, "cold", '"2"')),
    ],
    "CloseWallet": [
        Case("of a system wallet", lambda _: a_change(CloseWallet, SYSTEM), SystemWalletForbidden),
        *reused(lambda _: a_change(CloseWallet, "idle")),
        Case("of no wallet", lambda _: a_change(CloseWallet, "nobody"), ResourceNotFound),
        Case("with an old etag", lambda _: a_change(CloseWallet, "idle", '"0"'), EtagMismatch),
        Case("of a closed one", lambda _: a_change(CloseWallet, "gone"), StateTransitionForbidden),
        Case("with a balance", lambda _: a_change(CloseWallet, "alice"), StateTransitionForbidden),
        Case("with a debt", lambda _: a_change(CloseWallet, "over"), StateTransitionForbidden),
        Case("with a withdrawal open", lambda _: a_change(CloseWallet, "busy"), StateTransitionForbidden),
        Case("with a deposit open", lambda _: a_change(CloseWallet, "keen"), StateTransitionForbidden),
        Case("plain", lambda _: a_change(CloseWallet, "idle")),
        Case("of an emptied one", lambda _: a_change(CloseWallet, "spent", '"1"')),
    ],
}
