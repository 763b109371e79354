"""The model's checks of a request that need no ledger: amounts, fields and system wallets."""

from tests.model.ledger import refuse_systems
from tests.model.records import Refused
from wallet_core.domain.commands.commission.change_rules import CreateCommissionRule
from wallet_core.domain.commands.holds.capture_hold import CaptureHold
from wallet_core.domain.commands.holds.place_hold import PlaceHold
from wallet_core.domain.commands.payments.schedule_deposit import ScheduleDeposit
from wallet_core.domain.commands.payments.schedule_withdrawal import ScheduleWithdrawal
from wallet_core.domain.commands.transfers.batch_transfer import BatchTransfer
from wallet_core.domain.commands.transfers.deposit import Deposit
from wallet_core.domain.commands.transfers.reverse_transaction import ReverseTransaction
from wallet_core.domain.commands.transfers.transfer import Transfer, TransferTerms
from wallet_core.domain.commands.wallets.change_wallet import ChangeWallet, UpdateWallet
from wallet_core.domain.commands.wallets.create_wallet import CreateWallet
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.model.access import Right
from wallet_core.domain.model.money import Money

# What is refused before anything is looked up.


def validate(command: Command) -> None:
    """Refuse a command that is invalid with any ledger."""
    match command:
        case Deposit() | PlaceHold() | ScheduleWithdrawal() | ScheduleDeposit():
            _validate_wallet(command)
            _require_positive(command.amount)
        case BatchTransfer():
            _validate_items(command)
        case Transfer():
            _validate_transfer(command, command)
        case CaptureHold():
            refuse_systems(command.destination)
            _require_positive(command.amount)
        case ReverseTransaction():
            _require_positive(command.amount)
        case ChangeWallet():
            refuse_systems(command.wallet)
            if isinstance(command, UpdateWallet) and command.overdraft_limit is not None:
                _require_not_negative("wallet.overdraft_limit", command.overdraft_limit.minor)
        case CreateWallet():
            _require_not_negative("wallet.overdraft_limit", command.overdraft_limit)
        case CreateCommissionRule():
            _validate_rule(command)


def _require_positive(amount: Money | None) -> None:
    if amount is not None and amount.minor <= 0:
        raise Refused("InvalidField", field="amount")


def _require_not_negative(name: str, value: int) -> None:
    if value < 0:
        raise Refused("InvalidField", field=name)


def _validate_wallet(command: Deposit | PlaceHold | ScheduleWithdrawal | ScheduleDeposit) -> None:
    if isinstance(command, ScheduleWithdrawal):
        validate_source(command.wallet, command)
    else:
        refuse_systems(command.wallet)


def validate_source(name: str, command: Command) -> None:
    """Permit nothing to be taken from system wallets, but by operations from the commission wallet."""
    if not (by_operations(command) and name.startswith("system:commission:")):
        refuse_systems(name)


def by_operations(command: Command) -> bool:
    """Return whether a command's caller has the right of operations."""
    return command.request is not None and command.request.access.may(Right.OPERATIONS)


def _validate_transfer(terms: TransferTerms, command: Command) -> None:
    validate_source(terms.source, command)
    refuse_systems(terms.destination)
    _require_positive(terms.amount)
    if terms.source == terms.destination:
        raise Refused("InvalidField", field="destination")
    most = terms.max_commission
    if most is not None and (most.minor < 0 or most.currency != terms.amount.currency):
        raise Refused("InvalidField", field="max_commission")


def _validate_items(command: BatchTransfer) -> None:
    for place, item in enumerate(command.items):
        try:
            _validate_transfer(item, command)
        except Refused as no:
            if no.reason == "InvalidField":
                raise Refused("InvalidField", field=f"items[{place}].{no.about['field']}") from None
            raise Refused(no.reason, **no.about, item=place) from None


def _validate_rule(command: CreateCommissionRule) -> None:
    _require_not_negative("rule.threshold_minor_units", command.threshold)
    _require_not_negative("rule.rate_millionths", command.rate_millionths)
    _require_not_negative("rule.fixed_minor_units", command.fixed)
    _require_not_negative("rule.minimum_minor_units", command.minimum)
    if command.rate_millionths > 1_000_000:
        raise Refused("InvalidField", field="rule.rate_millionths")
    if command.maximum is not None and command.maximum < command.minimum:
        raise Refused("InvalidField", field="rule.maximum_minor_units")
    if command.wallet is not None:
        refuse_systems(command.wallet)
