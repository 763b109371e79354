"""One command of every kind that a caller sends, with a value in every field."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from wallet_core.domain.commands.commission.change_rules import CreateCommissionRule, EndCommissionRule
from wallet_core.domain.commands.holds.capture_hold import CaptureHold
from wallet_core.domain.commands.holds.end_hold import VoidHold
from wallet_core.domain.commands.holds.place_hold import PlaceHold
from wallet_core.domain.commands.payments.cancel_order import CancelScheduledDeposit, CancelWithdrawal
from wallet_core.domain.commands.payments.match_statement import AcceptBankStatement, ResolveDiscrepancy
from wallet_core.domain.commands.payments.resolve_order import ResolveScheduledDeposit, ResolveWithdrawal
from wallet_core.domain.commands.payments.schedule_deposit import ScheduleDeposit
from wallet_core.domain.commands.payments.schedule_withdrawal import ScheduleWithdrawal
from wallet_core.domain.commands.transfers.batch_transfer import BatchTransfer
from wallet_core.domain.commands.transfers.deposit import Deposit
from wallet_core.domain.commands.transfers.reverse_transaction import ReverseTransaction
from wallet_core.domain.commands.transfers.transfer import Transfer, TransferTerms
from wallet_core.domain.commands.wallets.change_wallet import CloseWallet, FreezeWallet, UnfreezeWallet, UpdateWallet
from wallet_core.domain.commands.wallets.create_wallet import CreateWallet
from wallet_core.domain.commands.webhooks.change_webhook import (
    DeleteWebhook,
    PingWebhook,
    RedeliverEvent,
    RotateWebhookSecret,
    UpdateWebhook,
)
from wallet_core.domain.commands.webhooks.create_webhook import CreateWebhook
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.model.commission_rule import Label, Payer
from wallet_core.domain.model.event import EventType
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import ResolutionKind
from wallet_core.domain.model.transaction import TransactionDetails
from wallet_core.domain.model.wallet import WalletId

ONE, NOON = UUID(int=1), datetime(2026, 1, 2, 12, tzinfo=UTC)
ALICE, BOB = WalletId("alice"), WalletId("bob")
FIVE = Money("USD", 5)
LABELS = {"tier": "gold", "area": "شمال"}
DETAILS = TransactionDetails(description="rent", external_reference="r-1", labels=LABELS)
TERMS = {
    "source": ALICE,
    "destination": BOB,
    "amount": FIVE,
    "details": DETAILS,
    "max_commission": Money("USD", 1),
    "unique_reference": True,
}
RESOLVED = {
    "order": ONE,
    "reason": "asked",
    "bank_evidence": "paid",
    "bank_reference": "b-1",
    "destination": BOB,
}

ENDPOINT = {
    "url": "https://shop.example/events",
    "description": "the shop",
    "types": (EventType.HOLD_PLACED, EventType.TRANSACTION_POSTED),
    "wallet": ALICE,
    "owner": "ada",
    "label": Label("tier", "gold"),
    "enabled": False,
}

EXAMPLES: list[Command] = [
    CreateWallet(
        id=ALICE,
        asked_id=ALICE,
        currency="USD",
        listed=None,
        owner="Ada",
        display_name="Ada's",
        labels=LABELS,
        overdraft_limit=7,
    ),
    UpdateWallet(
        wallet=ALICE,
        etag='"1"',
        display_name="A",
        labels=LABELS,
        overdraft_limit=Money("USD", 7),
        clear_overdraft_limit=True,
    ),
    FreezeWallet(wallet=ALICE, etag='"1"'),
    UnfreezeWallet(wallet=ALICE, etag='"1"'),
    CloseWallet(wallet=ALICE, etag='"1"'),
    Deposit(
        id=ONE,
        wallet=ALICE,
        amount=FIVE,
        details=DETAILS,
        unique_reference=True,
    ),
    Transfer(id=ONE, **TERMS),  # type: ignore[arg-type]  # its fields
    BatchTransfer(id=ONE, items=(TransferTerms(id=ONE, **TERMS), TransferTerms(id=UUID(int=2), **TERMS))),  # type: ignore[arg-type]  # its fields
    ReverseTransaction(id=ONE, transaction=ONE, amount=FIVE, keep_commission=True, details=DETAILS),
    PlaceHold(id=ONE, wallet=ALICE, amount=FIVE, expire_time=NOON, description="aside"),
    CaptureHold(
        id=ONE,
        hold=ONE,
        destination=BOB,
        amount=FIVE,
        final=True,
        details=DETAILS,
    ),
    VoidHold(hold=ONE),
    CreateCommissionRule(
        id=ONE,
        currency="USD",
        listed=None,
        threshold=1,
        rate_millionths=2,
        fixed=3,
        minimum=4,
        maximum=5,
        payer=Payer.DESTINATION,
        wallet=None,
        label=Label("tier", "gold"),
        start_time=NOON,
        end_time=NOON + timedelta(days=1),
    ),
    EndCommissionRule(rule=ONE, end_time=NOON),
    ScheduleWithdrawal(
        wallet=ALICE, amount=FIVE, execute_time=NOON, bank_account="DE02", description="out", reserve=True
    ),
    ScheduleDeposit(
        wallet=ALICE,
        amount=FIVE,
        execute_time=NOON,
        collect=True,
        bank_account="DE02",
        description="in",
        external_reference="r-1",
        unique_reference=True,
    ),
    CancelWithdrawal(order=ONE),
    CancelScheduledDeposit(order=ONE),
    ResolveWithdrawal(id=ONE, resolution=ResolutionKind.EXECUTED, **RESOLVED),  # type: ignore[arg-type]  # its fields
    ResolveScheduledDeposit(id=ONE, resolution=ResolutionKind.NOT_EXECUTED, **RESOLVED),  # type: ignore[arg-type]  # its fields
    ResolveDiscrepancy(line=7, reason="theirs"),
    AcceptBankStatement(statement=1, reason="begun anew"),
    CreateWebhook(id=ONE, secret="whsec_", most=1, most_of_owner=1, **ENDPOINT),  # type: ignore[arg-type]  # its fields
    UpdateWebhook(webhook=ONE, etag='"1"', paths=("state", "url"), **ENDPOINT),  # type: ignore[arg-type]  # its fields
    RotateWebhookSecret(webhook=ONE, etag='"1"', secret="whsec_", expire_previous_now=True, overlap=timedelta(days=1)),
    DeleteWebhook(webhook=ONE, etag='"1"'),
    PingWebhook(webhook=ONE),
    RedeliverEvent(webhook=ONE, number=7, dead_since=NOON, delivery="webhooks/1/deliveries/msg_1"),
]
