"""The commands by which an operator settles what the service cannot settle by itself."""

from enum import StrEnum
from typing import Annotated

import typer

from wallet_client import as_dict
from walletctl.commands.scheduled_deposits import Deposit, scheduled_deposits
from walletctl.commands.withdrawals import Withdrawal, withdrawals
from walletctl.context import Context, report_errors
from walletctl.options import Json, RequestId, ValidateOnly
from walletctl.output import show, show_one
from walletctl.tables import ATTENTION, BANK_STATEMENT_LINES, BANK_STATEMENTS, SCHEDULED_DEPOSITS, WITHDRAWALS
from walletctl.typed import resource, wallet_name

discrepancies = typer.Typer(no_args_is_help=True, help="Close discrepancies with the bank statement.")


bank_statements = typer.Typer(no_args_is_help=True, help="Accept a replaced bank statement.")


class Found(StrEnum):
    """An operator's decision about an order."""

    EXECUTED = "executed"
    NOT_EXECUTED = "not-executed"
    APPLIED_TO_WALLET = "applied-to-wallet"
    ACKNOWLEDGED = "acknowledged"


Resolution = Annotated[
    Found,
    typer.Argument(
        help="executed: the bank did it; not-executed: it did not and will not; applied-to-wallet: credit --to; "
        "acknowledged: looked into."
    ),
]
Reason = Annotated[str, typer.Option(help="The reason, kept forever.")]
BankEvidence = Annotated[str, typer.Option(help="The bank's answer to your question; leave out if there is none.")]
BankReference = Annotated[str, typer.Option(help="With executed: the bank's reference.")]
To = Annotated[str, typer.Option(help="With applied-to-wallet: the wallet to credit with unapplied funds.")]


def attention(context: typer.Context, *, json: Json = False) -> None:
    """List what the service cannot settle by itself, oldest first."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
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
    """Settle a withdrawal by hand, after asking the bank."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
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
    """Settle a scheduled deposit by hand, after asking the bank."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
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
    line: Annotated[str, typer.Argument(help="The number of the statement line, as `walletctl attention` shows it.")],
    reason: Reason,
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Close a discrepancy after investigation; it moves no money."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        resolved = client.resolve_discrepancy(
            resource("bankStatementLines", line), reason=reason, validate_only=validate_only, request_id=request_id
        )
        show_one(BANK_STATEMENT_LINES, as_dict(resolved.bank_statement_line), as_json=json)


@bank_statements.command("accept")
def accept_bank_statement(
    context: typer.Context,
    ledger: Annotated[
        str, typer.Argument(help="The statement that was read so far, as `walletctl attention` shows it.")
    ],
    reason: Reason,
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Accept the statement that the bank shows now, in place of the one read so far; it is read from its beginning."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        accepted = client.accept_bank_statement(
            resource("bankStatements", ledger), reason=reason, validate_only=validate_only, request_id=request_id
        )
        show_one(BANK_STATEMENTS, as_dict(accepted.bank_statement), as_json=json)
