"""Faults of each call that changes something, in the order in which the documents promise to report them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import schedule_service_pb2 as order_pb

from tests.support.requests import money
from wallet_grpc.security.access import CONFINED, SCOPES

NOTHING = "01900000-0000-7000-8000-000000000000"
PAST = Timestamp(seconds=1)
MUCH = 10**6
# What one deposit may be, where these faults are tried.
AMOUNT_MAX = 10**5

Values = Mapping[str, Any]
"""What is put into a request, by path: ``amount.currency_code``, ``items.0.source``. ``by`` is the caller."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a request, and how that is reported."""

    reason: str
    values: Values
    metadata: Values = field(default_factory=dict)
    """Some of the reason's metadata."""

    def meets(self, other: "Fault") -> bool:
        """Return whether one request can have both."""
        return not any(
            mine == others or mine.startswith(f"{others}.") or others.startswith(f"{mine}.")
            for mine in self.values
            for others in other.values
        )


def who(path: str) -> tuple[list[Fault], list[Fault]]:
    """Return the faults of the caller: before anything is read, and of whose wallet it is."""
    scope = SCOPES[f"/wallet.v1.{path}"]
    before = [
        Fault("CREDENTIALS_INVALID", {"by": "stranger"}),
        Fault("PERMISSION_MISSING", {"by": "reader"}, {"permission": scope}),
    ]
    gains = path.endswith(("/Deposit", "/ScheduleDeposit"))
    owner = [Fault("PERMISSION_MISSING", {"by": "bert"}, {"permission": "owner"})] if scope in CONFINED else []
    return before, [] if gains else owner


def system(*ways: str) -> list[Fault]:
    """Return the faults of naming a system wallet."""
    wallets = zip(ways, ("wallets/system:in_transit:USD", "wallets/system:external:EUR"), strict=False)
    return [Fault("PERMISSION_MISSING", {way: wallet}, {"permission": "none"}) for way, wallet in wallets]


def of(reason: str, way: str, wallet: str) -> Fault:
    """Return a fault of the wallet that is named there."""
    return Fault(reason, {way: f"wallets/{wallet}"}, {"resourceName": f"wallets/{wallet}"})


INVALID, MISSING, CURRENCY, INACTIVE = "INVALID_FIELDS", "RESOURCE_NOT_FOUND", "CURRENCY_MISMATCH", "WALLET_NOT_ACTIVE"
RIGHT = "PERMISSION_MISSING"
STATE, LIMIT, FUNDS, ETAG = "STATE_TRANSITION_FORBIDDEN", "LIMIT_EXCEEDED", "INSUFFICIENT_FUNDS", "ETAG_MISMATCH"
BAD_TEXT = Fault(INVALID, {"description": "\0"})
NO_ID = Fault(INVALID, {"request_id": "x"})
# The unique references that the callers have used before.
REFERENCES = ("used-once", "used-too")


def referred(at: str = "", reference: str = REFERENCES[0]) -> Fault:
    """Return the fault of a unique reference that was used before."""
    values = {f"{at}external_reference": reference, f"{at}reference_policy": 1}
    return Fault("EXTERNAL_REFERENCE_REUSED", values, {"externalReference": reference})


USED = Fault("REQUEST_ID_REUSED", {"request_id": "used"})
EUROS = Fault(CURRENCY, {"amount.currency_code": "EUR"}, {"currency": "USD"})
TOO_MUCH = Fault(FUNDS, {"amount.minor_units": MUCH})


def transfer_faults(at: str = "") -> list[Fault]:
    """Return the refusals of *decide* for a transfer, in order.

    All of the source, all of the destination, then the money.
    """
    return [
        referred(at, REFERENCES[at == "items.1."]),
        of(MISSING, f"{at}source", "nobody"),
        Fault(CURRENCY, {f"{at}amount.currency_code": "EUR"}, {"currency": "USD"}),
        of(CURRENCY, f"{at}source", "eva"),
        of(INACTIVE, f"{at}source", "cold"),
        of(MISSING, f"{at}destination", "nobody-else"),
        of(CURRENCY, f"{at}destination", "emil"),
        of(INACTIVE, f"{at}destination", "gone"),
        Fault(LIMIT, {f"{at}max_commission": money(1), f"{at}amount.currency_code": "USD"}, {"limit": "1"}),
        Fault(FUNDS, {f"{at}amount.minor_units": MUCH}),
        of(LIMIT, f"{at}destination", "full"),
    ]


def _order(prefix: str, *faults: Fault) -> list[Fault]:
    return [
        NO_ID,
        Fault(INVALID, {"name": "x"}),
        USED,
        Fault(MISSING, {"name": f"{prefix}/{NOTHING}"}),
        *faults,
        Fault(STATE, {"name": f"cancelled {prefix}"}),
    ]


def _resolved(prefix: str) -> list[Fault]:
    return [
        Fault(INVALID, {"reason": " "}),
        Fault(INVALID, {"resolution": order_pb.RESOLUTION_KIND_NOT_EXECUTED}),
        *system("destination"),
        USED,
        Fault(MISSING, {"name": f"{prefix}/{NOTHING}"}),
        Fault(STATE, {"name": f"cancelled {prefix}"}),
        of(CURRENCY, "destination", "eva"),
        of(INACTIVE, "destination", "gone"),
        of(LIMIT, "destination", "full"),
    ]


def _changed(state_of: str) -> list[Fault]:
    return [
        Fault(INVALID, {"etag": "\x7f"}),
        *system("name"),
        USED,
        of(MISSING, "name", "nobody"),
        Fault(ETAG, {"etag": '"77"'}),
        of(STATE, "name", state_of),
    ]


def _paid(*, wallet: list[Fault], times: str = "", unique: bool = False) -> list[Fault]:
    late = [Fault(INVALID, {times: PAST})] if times else []
    used_before = [referred()] if unique else []
    return [BAD_TEXT, *system("wallet"), USED, *used_before, *late, of(MISSING, "wallet", "nobody"), EUROS, *wallet]


NO_WEBHOOK = f"webhooks/{NOTHING}"
EXTERNAL = "wallets/system:external:USD"
_of_a_webhook = [NO_ID, USED, Fault(MISSING, {"name": NO_WEBHOOK}), Fault(STATE, {"name": "deleted webhook"})]

# In the order of each call's comment in the protos, but for the caller.
FAULTS: dict[str, list[Fault]] = {
    "WalletService/CreateWallet": [
        Fault(INVALID, {"wallet.display_name": "\0"}),
        USED,
        Fault(INVALID, {"wallet.currency_code": "ABC"}),
        Fault(RIGHT, {"by": "clerk", "wallet.overdraft_limit": money(5)}, {"permission": "wallet.credit"}),
        Fault("RESOURCE_EXISTS", {"wallet_id": "alice"}),
    ],
    "WalletService/UpdateWallet": [
        Fault(INVALID, {"wallet.display_name": "\0"}),
        *system("wallet.name"),
        USED,
        Fault(RIGHT, {"by": "clerk"}, {"permission": "wallet.credit"}),
        of(MISSING, "wallet.name", "nobody"),
        Fault(ETAG, {"wallet.etag": '"77"'}),
        of(INACTIVE, "wallet.name", "gone"),
        Fault(CURRENCY, {"wallet.overdraft_limit.currency_code": "EUR"}),
        of(LIMIT, "wallet.name", "over"),
    ],
    "WalletService/FreezeWallet": _changed("cold"),
    "WalletService/UnfreezeWallet": _changed("alice"),
    "WalletService/CloseWallet": _changed("alice"),
    "TransactionService/Deposit": _paid(
        unique=True, wallet=[of(INACTIVE, "wallet", "gone"), of(LIMIT, "wallet", "full")]
    ),
    "TransactionService/Transfer": [
        BAD_TEXT,
        Fault(INVALID, {"source": "wallets/bob", "destination": "wallets/bob"}),
        *system("source", "destination"),
        USED,
        *transfer_faults(),
    ],
    "TransactionService/BatchTransfer": [
        Fault(INVALID, {"items.1.description": "\0"}),
        *system("items.0.destination", "items.1.source"),
        USED,
        *transfer_faults("items.0."),
        *transfer_faults("items.1."),
    ],
    "TransactionService/ReverseTransaction": [
        BAD_TEXT,
        USED,
        Fault(MISSING, {"name": f"transactions/{NOTHING}"}),
        EUROS,
        Fault(INACTIVE, {"by": "clerk", "name": "given to cold and back"}, {"resourceName": "wallets/cold"}),
        Fault(STATE, {"name": "given and back"}),
        Fault(LIMIT, {"amount.minor_units": MUCH}),
        Fault(FUNDS, {"name": "given and spent"}),
    ],
    "ScheduleService/ScheduleWithdrawal": _paid(
        times="execute_time",
        wallet=[of(INACTIVE, "wallet", "cold"), Fault(FUNDS, {"amount.minor_units": MUCH, "reserve": True})],
    ),
    "ScheduleService/CancelWithdrawal": _order(
        "withdrawals",
        Fault(RIGHT, {"by": "clerk", "name": "withdrawal of what was earned"}, {"permission": "operations"}),
    ),
    "ScheduleService/ScheduleDeposit": _paid(
        unique=True,
        times="execute_time",
        wallet=[of(INACTIVE, "wallet", "gone"), Fault(LIMIT, {"amount.minor_units": MUCH}, {"limit": str(AMOUNT_MAX)})],
    ),
    "ScheduleService/CancelScheduledDeposit": _order("scheduledDeposits"),
    "HoldService/PlaceHold": _paid(times="expire_time", wallet=[of(INACTIVE, "wallet", "cold"), TOO_MUCH]),
    "HoldService/CaptureHold": [
        BAD_TEXT,
        *system("destination"),
        USED,
        Fault(MISSING, {"name": f"holds/{NOTHING}"}),
        of(MISSING, "destination", "nobody"),
        Fault(INVALID, {"destination": "wallets/alice", "name": "held"}),
        EUROS,
        Fault(INACTIVE, {"name": "held in cold"}, {"resourceName": "wallets/cold"}),
        of(CURRENCY, "destination", "eva"),
        of(INACTIVE, "destination", "gone"),
        Fault(STATE, {"name": "voided"}),
        Fault(LIMIT, {"amount.minor_units": MUCH}, {"limit": "10"}),
        of(LIMIT, "destination", "full"),
    ],
    "HoldService/VoidHold": [
        NO_ID,
        Fault(INVALID, {"name": "x"}),
        USED,
        Fault(MISSING, {"name": f"holds/{NOTHING}"}),
        Fault(STATE, {"name": "voided"}),
    ],
    "CommissionService/CreateCommissionRule": [
        Fault(INVALID, {"rule.fixed_minor_units": -1}),
        *system("rule.wallet"),
        USED,
        Fault(INVALID, {"rule.currency_code": "ABC"}),
        Fault(INVALID, {"rule.start_time": PAST}),
        of(MISSING, "rule.wallet", "nobody"),
        of(CURRENCY, "rule.wallet", "eva"),
    ],
    "CommissionService/EndCommissionRule": [
        NO_ID,
        USED,
        Fault(INVALID, {"end_time": PAST}),
        Fault(MISSING, {"name": f"commissionRules/{NOTHING}"}),
        Fault(STATE, {"name": "ended"}),
    ],
    "OperationsService/ResolveWithdrawal": _resolved("withdrawals"),
    "OperationsService/ResolveScheduledDeposit": _resolved("scheduledDeposits"),
    "OperationsService/ResolveDiscrepancy": [
        Fault(INVALID, {"reason": " "}),
        USED,
        Fault(MISSING, {"name": "bankStatementLines/777"}),
        Fault(STATE, {"name": "bankStatementLines/1"}),
    ],
    "OperationsService/AcceptBankStatement": [
        Fault(INVALID, {"reason": " "}),
        USED,
        Fault(MISSING, {"name": "bankStatements/777"}),
        Fault(STATE, {"name": "bankStatements/1"}),
    ],
    "WebhookService/CreateWebhook": [
        Fault(INVALID, {"webhook.url": "https://127.0.0.1:0/"}),
        Fault(RIGHT, {"by": "clerk", "webhook.wallet": EXTERNAL}, {"permission": "operations"}),
        USED,
        of(MISSING, "webhook.wallet", "nobody"),
        Fault(LIMIT, {"by": "anna", "webhook.wallet": "wallets/alice"}, {"limit": "1"}),
    ],
    "WebhookService/UpdateWebhook": [
        Fault(INVALID, {"webhook.description": "\0"}),
        Fault(RIGHT, {"by": "clerk", "webhook.wallet": EXTERNAL}, {"permission": "operations"}),
        USED,
        Fault(MISSING, {"webhook.name": NO_WEBHOOK}),
        Fault(RIGHT, {"by": "clerk"}, {"permission": "operations"}),
        Fault(ETAG, {"webhook.etag": '"77"'}),
        Fault(STATE, {"webhook.name": "deleted webhook"}),
        of(MISSING, "webhook.wallet", "nobody"),
    ],
    "WebhookService/RotateWebhookSecret": [
        NO_ID,
        USED,
        Fault(MISSING, {"name": NO_WEBHOOK}),
        Fault(RIGHT, {"by": "clerk"}, {"permission": "operations"}),
        Fault(ETAG, {"etag": '"77"'}),
        Fault(STATE, {"name": "deleted webhook"}),
    ],
    "WebhookService/DeleteWebhook": [
        NO_ID,
        USED,
        Fault(MISSING, {"name": NO_WEBHOOK}),
        Fault(ETAG, {"etag": '"77"'}),
        Fault(STATE, {"name": "deleted webhook"}),
    ],
    "WebhookService/PingWebhook": _of_a_webhook,
    "WebhookService/RedeliverEvent": _of_a_webhook,
}


def all_faults(path: str) -> list[Fault]:
    """Return the faults of a call, in order, those of the caller included."""
    before, owner = who(path)
    faults = FAULTS[path]
    at = faults.index(USED)
    return [*before, *faults[:at], *owner, *faults[at:]]
