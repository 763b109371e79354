"""The commands by which an operator settles what the service cannot."""

from enum import StrEnum
from typing import Annotated

import typer

from wallet_client import as_dict
from walletctl.commands.scheduled_deposits import Deposit, scheduled_deposits
from walletctl.commands.withdrawals import Withdrawal, withdrawals
from walletctl.context import Context, explained
from walletctl.options import Json, RequestId, ValidateOnly
from walletctl.output import show, show_one
from walletctl.tables import ATTENTION, BANK_STATEMENT_LINES, BANK_STATEMENTS, SCHEDULED_DEPOSITS, WITHDRAWALS
from walletctl.typed import resource, wallet_name

discrepancies = typer.Typer(no_args_is_help=True, help="Close what the bank's ledger says and ours does not.")


bank_statements = typer.Typer(no_args_is_help=True, help="Accept another ledger of the bank.")


class Found(StrEnum):
    """What an operator can say of an order."""

    EXECUTED = "executed"
    NOT_EXECUTED = "not-executed"
    APPLIED_TO_WALLET = "placed"
    ACKNOWLEDGED = "noted"


Resolution = Annotated[
    Found,
    typer.Argument(
        help="executed: the bank did it; not-executed: it did not and will not; placed: see --to; noted: looked into."
    ),
]
Reason = Annotated[str, typer.Option(help="Why, for those who come after.")]
BankEvidence = Annotated[
    str, typer.Option(help="What the bank said when you asked; leave out where no word could be had.")
]
BankReference = Annotated[str, typer.Option(help="With executed: the bank's reference.")]
To = Annotated[str, typer.Option(help="With placed: the wallet that gets money that had found no room.")]


def attention(context: typer.Context, *, json: Json = False) -> None:
    """Show what the service cannot settle by itself, the oldest first."""
    app: Context = context.obj
    with explained(), app.client() as client:
        show(ATTENTION, [as_dict(item) for item in client.list_attention()], as_json=json)


@withdrawals.command("resolve")
def resolve_withdrawal(
    context: typer.Context,
    withdrawal: Withdrawal,
    resolution: Resolution,
    reason: Reason,
    bank_evidence: BankEvidence = "",
    bank_reference: BankReference = "",
    to: To = "",
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Settle a withdrawal by hand, after you have asked the bank."""
    app: Context = context.obj
    with explained(), app.client() as client:
        resolved = client.resolve_withdrawal(
            resource("withdrawals", withdrawal),
            resolution.name,
            reason=reason,
            bank_evidence=bank_evidence,
            bank_reference=bank_reference,
            destination=wallet_name(to) if to else "",
            validate_only=validate_only,
            request_id=request_id,
        )
        show_one(WITHDRAWALS, as_dict(resolved.withdrawal), as_json=json)


@scheduled_deposits.command("resolve")
def resolve_scheduled_deposit(
    context: typer.Context,
    deposit: Deposit,
    resolution: Resolution,
    reason: Reason,
    bank_evidence: BankEvidence = "",
    bank_reference: BankReference = "",
    to: To = "",
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Settle a scheduled deposit by hand, after you have asked the bank."""
    app: Context = context.obj
    with explained(), app.client() as client:
        resolved = client.resolve_scheduled_deposit(
            resource("scheduledDeposits", deposit),
            resolution.name,
            reason=reason,
            bank_evidence=bank_evidence,
            bank_reference=bank_reference,
            destination=wallet_name(to) if to else "",
            validate_only=validate_only,
            request_id=request_id,
        )
        show_one(SCHEDULED_DEPOSITS, as_dict(resolved.scheduled_deposit), as_json=json)


@discrepancies.command("resolve")
def resolve_discrepancy(
    context: typer.Context,
    line: Annotated[str, typer.Argument(help="The number of the bank's line, as `walletctl attention` shows it.")],
    reason: Reason,
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Close a discrepancy that you have looked into; it moves no money."""
    app: Context = context.obj
    with explained(), app.client() as client:
        resolved = client.resolve_discrepancy(
            resource("bankStatementLines", line), reason=reason, validate_only=validate_only, request_id=request_id
        )
        show_one(BANK_STATEMENT_LINES, as_dict(resolved.bank_statement_line), as_json=json)


@bank_statements.command("accept")
def accept_bank_statement(
    context: typer.Context,
    ledger: Annotated[str, typer.Argument(help="The one that was followed, as `walletctl attention` shows it.")],
    reason: Reason,
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Follow the ledger that the bank shows in place of the one that was followed, from its beginning."""
    app: Context = context.obj
    with explained(), app.client() as client:
        accepted = client.accept_bank_statement(
            resource("bankStatements", ledger), reason=reason, validate_only=validate_only, request_id=request_id
        )
        show_one(BANK_STATEMENTS, as_dict(accepted.bank_statement), as_json=json)
