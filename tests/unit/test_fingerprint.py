"""The fingerprint: equal exactly for two commands with the same content, in every release."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from tests.support.full_commands import EXAMPLES
from wallet_core.domain.commands.payments.cancel_order import CancelWithdrawal
from wallet_core.domain.commands.payments.schedule_withdrawal import ScheduleWithdrawal
from wallet_core.domain.commands.transfers.deposit import Deposit
from wallet_core.domain.commands.transfers.transfer import Transfer
from wallet_core.domain.commands.wallets.create_wallet import CreateWallet
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Request
from wallet_core.domain.deciding.fingerprint import fingerprint as hash_of
from wallet_core.domain.model.commission_rule import Payer
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import ResolutionKind
from wallet_core.domain.model.transaction import TransactionDetails
from wallet_core.domain.model.wallet import WalletId


def fingerprint(command: Command) -> bytes:
    """Return the fingerprint that is stored for a command."""
    return hash_of(command.method, command)


ONE, TWO = UUID(int=1), UUID(int=2)
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)

TRANSFER = Transfer(
    id=ONE,
    source=WalletId("alice"),
    destination=WalletId("bob"),
    amount=Money("USD", 1005),
    details=TransactionDetails(description="rent"),
)
DEPOSIT = Deposit(
    id=ONE,
    wallet=WalletId("alice"),
    amount=Money("USD", 1),
    details=TransactionDetails(description="a", external_reference="b"),
)
CREATE = CreateWallet(
    id=WalletId("alice"), asked_id=WalletId("alice"), currency="USD", listed=None, owner="Ada", display_name="Ada's"
)
SCHEDULE = ScheduleWithdrawal(
    wallet=WalletId("alice"),
    amount=Money("USD", 5),
    execute_time=NOON,
    bank_account="DE02",
    description="out",
)
CANCEL = CancelWithdrawal(order=ONE)

CHANGED = [
    (TRANSFER, replace(TRANSFER, source=WalletId("carol"))),
    (TRANSFER, replace(TRANSFER, destination=WalletId("carol"))),
    (TRANSFER, replace(TRANSFER, source=TRANSFER.destination, destination=TRANSFER.source)),
    (TRANSFER, replace(TRANSFER, amount=Money("USD", 1006))),
    (TRANSFER, replace(TRANSFER, amount=Money("EUR", 1005))),
    (TRANSFER, replace(TRANSFER, details=TransactionDetails())),
    (TRANSFER, replace(TRANSFER, details=TransactionDetails(description="rent "))),
    (DEPOSIT, replace(DEPOSIT, wallet=WalletId("bob"))),
    (DEPOSIT, replace(DEPOSIT, amount=Money("USD", 2))),
    (DEPOSIT, replace(DEPOSIT, details=TransactionDetails(description="b", external_reference="a"))),
    (DEPOSIT, replace(DEPOSIT, details=TransactionDetails(description="a,b"))),
    (CREATE, replace(CREATE, asked_id=None)),
    (CREATE, replace(CREATE, asked_id=WalletId("bob"))),
    (CREATE, replace(CREATE, currency="EUR")),
    (CREATE, replace(CREATE, owner="")),
    (CREATE, replace(CREATE, display_name="")),
    (SCHEDULE, replace(SCHEDULE, execute_time=None)),
    (SCHEDULE, replace(SCHEDULE, execute_time=NOON + timedelta(microseconds=1))),
    (SCHEDULE, replace(SCHEDULE, bank_account="DE03")),
    (SCHEDULE, replace(SCHEDULE, amount=Money("USD", 6))),
    (SCHEDULE, replace(SCHEDULE, description="")),
    (SCHEDULE, replace(SCHEDULE, wallet=WalletId("bob"))),
    (CANCEL, replace(CANCEL, order=TWO)),
    # What was added later counts where it is used.
    (TRANSFER, replace(TRANSFER, details=replace(TRANSFER.details, external_reference="b"))),
    (TRANSFER, replace(TRANSFER, details=replace(TRANSFER.details, labels={"a": "b"}))),
    (TRANSFER, replace(TRANSFER, max_commission=Money("USD", 0))),
    (DEPOSIT, replace(DEPOSIT, details=replace(DEPOSIT.details, labels={"a": ""}))),
    (CREATE, replace(CREATE, labels={"a": "b"})),
    (CREATE, replace(CREATE, overdraft_limit=1)),
    (SCHEDULE, replace(SCHEDULE, reserve=True)),
    (TRANSFER, replace(TRANSFER, unique_reference=True)),
    (DEPOSIT, replace(DEPOSIT, unique_reference=True)),
]


@pytest.mark.parametrize("pair", CHANGED)
def test_another_value_in_any_field_is_another_request(pair: tuple[Command, Command]) -> None:
    """Each field counts, and an unset one is not its default."""

    request, changed = pair

    assert fingerprint(request) != fingerprint(changed)


@pytest.mark.parametrize("command", [TRANSFER, DEPOSIT, CREATE, SCHEDULE, CANCEL])
def test_the_same_content_under_another_request_is_equal(command: Command) -> None:
    """The caller, the id, and whether it is only validated are not part of the content."""

    again = replace(command, request=Request("somebody", TWO), validate_only=True)

    assert fingerprint(command) == fingerprint(again)


def test_ids_that_the_service_made_up_do_not_count() -> None:
    """A repeat gets a fresh id before it is recognised as a repeat."""

    assert fingerprint(TRANSFER) == fingerprint(replace(TRANSFER, id=TWO))
    assert fingerprint(DEPOSIT) == fingerprint(replace(DEPOSIT, id=TWO))
    assert fingerprint(CREATE) == fingerprint(replace(CREATE, id=WalletId("made-up")))


def test_an_instant_is_the_same_in_every_timezone() -> None:
    """Noon in UTC is two in the afternoon elsewhere."""

    elsewhere = NOON.astimezone(timezone(timedelta(hours=2)))

    assert fingerprint(SCHEDULE) == fingerprint(replace(SCHEDULE, execute_time=elsewhere))


def test_two_kinds_of_command_are_never_equal() -> None:
    """The method is part of the fingerprint, even where the fields would agree."""

    commands = [TRANSFER, DEPOSIT, CREATE, SCHEDULE, CANCEL]

    assert len(commands) == len({fingerprint(command) for command in commands})


@pytest.mark.parametrize(
    ("command", "stored"),
    [
        (TRANSFER, "4075526a67df7ec6a083f3a925423ae6"),
        (DEPOSIT, "ec24ce22d866f64e868ae1080872c0aa"),
        (CREATE, "cc21a06d9c79d4d80e7137f53d0da9ff"),
        (SCHEDULE, "1a7185b25102fb569ff13ff4328079f5"),
        (replace(SCHEDULE, execute_time=None), "b8eea7743b1390f0fbce8fc0647e0b26"),
        (CANCEL, "fad7af5444fa3a1e225910f66fd416db"),
    ],
)
def test_the_canonical_form_has_not_changed(command: Command, stored: str) -> None:
    """Stored fingerprints are kept: a new form needs a new version and must still read the old one."""

    assert len(fingerprint(command)) == 16
    assert fingerprint(command).hex() == stored


# What is stored for the commands of tests/support/full_commands.py.
STORED = {
    "CreateWallet": "a7bd9bd74f47142dbf3a586259cc0b76",
    "UpdateWallet": "3b18caa2a41881fd33ffd19775b22118",
    "FreezeWallet": "e5facfc5d067b8943e5d5723fd4ce58e",
    "UnfreezeWallet": "d852aa0a47cd99930b6902dd969c862f",
    "CloseWallet": "d59fd51f191880a6738eed9dcd1eb7d2",
    "Deposit": "4bf30e7efdaf3d3ab012594fe692dad1",
    "Transfer": "5566d11f81843e43fa5ca2a1ddba37d7",
    "BatchTransfer": "936fc3f8f901c5912059865194f805f2",
    "ReverseTransaction": "be147e7dd62eb7c5d00a0b77e23c832d",
    "PlaceHold": "8cba4b8e9854869f9849e6d0492b53b3",
    "CaptureHold": "b3211db75e775bf383204297b736707f",
    "VoidHold": "f3e55f037d955e67dfc558d276e5e09e",
    "CreateCommissionRule": "dc6c81d85a5768b9015efaa5f7f42a4c",
    "EndCommissionRule": "60b4e2c54858c17f61aca4a3fbabea74",
    "CancelWithdrawal": "fad7af5444fa3a1e225910f66fd416db",
    "CancelScheduledDeposit": "47430bafe57d21cd8c7ed80987fdea35",
    "ResolveWithdrawal": "a89cc28f5e1f5a83a6ba8013857336cc",
    "ResolveScheduledDeposit": "43f883ffd98c14dc4851cb34492c57d0",
    "ResolveDiscrepancy": "68a006b3a05d88706685a8b3a793bda5",
    "AcceptBankStatement": "544668da43b95663fb96b9e076fb0628",
    "ScheduleWithdrawal": "909d173512645301730e19c560af8c84",
    "ScheduleDeposit": "f48287617619ad2de823a3c979bb8fa9",
    "CreateWebhook": "fcec2c1872f29196ba846f4354e90686",
    "UpdateWebhook": "0cdd0bbd56e3f1449e9f7161697c6ab2",
    "RotateWebhookSecret": "e4571f5ce7edd6d98fe5c0de3ee3e434",
    "DeleteWebhook": "0486aee77a8a0339fa007ce0cb3b9e8e",
    "PingWebhook": "180daeb016b04b790b5c64bd8a48f83b",
    "RedeliverEvent": "85d99c4cd2da61c22b6a9bf043f66017",
}


def sent_by_callers(base: type[Command] = Command) -> set[type[Command]]:
    """Return the commands that have a method and a form."""
    kinds = base.__subclasses__()
    return {kind for kind in kinds if hasattr(kind, "method") and kind.form}.union(*map(sent_by_callers, kinds))


def test_every_command_that_a_caller_sends_has_a_golden_value() -> None:
    """And a form: without one, all requests of a method would be the same request."""

    assert {command.method for command in EXAMPLES} == {kind.method for kind in sent_by_callers()} == set(STORED)


@pytest.mark.parametrize("command", EXAMPLES, ids=lambda command: command.method)
def test_no_rename_and_no_new_order_changes_what_is_stored(command: Command) -> None:
    """Every field has a value here, so a kept name or a place that changes shows."""

    assert fingerprint(command).hex() == STORED[command.method]


def test_hashed_names_are_unchanged() -> None:
    """Renamed, they need a kept word each, as fields have a kept name."""

    assert set(ResolutionKind) == {"EXECUTED", "NOT_EXECUTED", "APPLIED_TO_WALLET", "ACKNOWLEDGED"}
    assert set(Payer) == {"SOURCE", "DESTINATION"}


@pytest.mark.parametrize("command", EXAMPLES, ids=lambda command: command.method)
def test_every_field_of_a_command_is_in_its_form(command: Command) -> None:
    """A field that is added to a command must be added to its form, or two different requests would be one."""

    ours = {"request", "validate_only", "id", "listed", "secret", "most", "most_of_owner", "overlap", "delivery"}
    requests = {field.name for field in fields(command)} - ours

    assert {kept.attribute for kept in command.form} == requests
    left_out = [kept for kept in command.form if getattr(command, kept.attribute) == kept.left_out]
    assert left_out == []
