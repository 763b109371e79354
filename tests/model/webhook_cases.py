"""Cases of the verbs that change webhooks."""

from tests.model.case import NO_SUCH, Case, reused
from tests.model.refusal_ledger import PAST
from tests.support.commands import (
    a_ping,
    a_redelivery,
    a_rotation,
    a_webhook,
    a_webhook_deletion,
    a_webhook_update,
    by_no_operator,
    lacking,
)
from wallet_core.domain.model.access import Right
from wallet_core.domain.model.commission_rule import Label
from wallet_core.domain.model.errors import (
    EtagMismatch,
    LimitExceeded,
    PermissionMissing,
    ResourceNotFound,
    StateTransitionForbidden,
)

WEBHOOK_CASES: dict[str, list[Case]] = {
    "CreateWebhook": [
        Case("without the right", lambda _: lacking(Right.EVENTS, a_webhook()), PermissionMissing),
        *reused(lambda _: a_webhook()),
        Case("for no wallet", lambda _: a_webhook(wallet="nobody"), ResourceNotFound),
        Case("one too many", lambda _: a_webhook(most=1), LimitExceeded),
        Case("plain", lambda _: a_webhook()),
        Case("for a wallet", lambda _: a_webhook(wallet="alice", label=Label("tier", "gold"))),
    ],
    "UpdateWebhook": [
        *reused(lambda s: a_webhook_update(s["webhook"], description="x")),
        Case("of none", lambda _: a_webhook_update(NO_SUCH, description="x"), ResourceNotFound),
        Case(
            "without its rights",
            lambda s: by_no_operator(a_webhook_update(s["webhook"], description="x")),
            PermissionMissing,
        ),
        Case("with an old etag", lambda s: a_webhook_update(s["webhook"], etag='"0"', owner="o"), EtagMismatch),
        Case(
            "of a deleted one",
            lambda s: a_webhook_update(s["no_webhook"], owner="o"),
            StateTransitionForbidden,
        ),
        Case("for no wallet", lambda s: a_webhook_update(s["webhook"], wallet="nobody"), ResourceNotFound),
        Case("plain", lambda s: a_webhook_update(s["webhook"], url="https://shop.example/new", enabled=False)),
    ],
    "RotateWebhookSecret": [
        *reused(lambda s: a_rotation(s["webhook"])),
        Case("of none", lambda _: a_rotation(NO_SUCH), ResourceNotFound),
        Case("without its rights", lambda s: by_no_operator(a_rotation(s["webhook"])), PermissionMissing),
        Case("with an old etag", lambda s: a_rotation(s["webhook"], etag='"0"'), EtagMismatch),
        Case("of a deleted one", lambda s: a_rotation(s["no_webhook"]), StateTransitionForbidden),
        Case("plain", lambda s: a_rotation(s["webhook"])),
    ],
    "DeleteWebhook": [
        *reused(lambda s: a_webhook_deletion(s["webhook"])),
        Case("of none", lambda _: a_webhook_deletion(NO_SUCH), ResourceNotFound),
        Case("with an old etag", lambda s: a_webhook_deletion(s["webhook"], '"0"'), EtagMismatch),
        Case("of a deleted one", lambda s: a_webhook_deletion(s["no_webhook"]), StateTransitionForbidden),
        Case("plain", lambda s: a_webhook_deletion(s["webhook"])),
    ],
    "PingWebhook": [
        *reused(lambda s: a_ping(s["webhook"])),
        Case("of none", lambda _: a_ping(NO_SUCH), ResourceNotFound),
        Case("of a deleted one", lambda s: a_ping(s["no_webhook"]), StateTransitionForbidden),
        Case("plain", lambda s: a_ping(s["webhook"])),
    ],
    "RedeliverEvent": [
        *reused(lambda s: a_redelivery(s["webhook"], since=PAST)),
        Case("of none", lambda _: a_redelivery(NO_SUCH, since=PAST), ResourceNotFound),
        Case("of a deleted one", lambda s: a_redelivery(s["no_webhook"], since=PAST), StateTransitionForbidden),
        Case("of nothing that was sent", lambda s: a_redelivery(s["webhook"], number=7), ResourceNotFound),
        Case("since a time", lambda s: a_redelivery(s["webhook"], since=PAST)),
    ],
}
