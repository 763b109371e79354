"""The commands ``walletctl deposit``, ``transfer``, ``withdraw`` and ``reverse``."""

from typing import Annotated

import typer

from wallet_client import as_dict
from walletctl import typed
from walletctl.context import Context, report_errors
from walletctl.options import (
    Account,
    At,
    Currency,
    CurrencyOption,
    Description,
    ExternalReference,
    In,
    Json,
    Labels,
    RequestId,
    UniqueReference,
    ValidateOnly,
    Value,
)
from walletctl.output import Row, amount, out, show_one
from walletctl.tables import TRANSACTIONS, WITHDRAWALS
from walletctl.typed import resource, wallet_name

_BEFORE = "[dim](done before with this request id)[/]"


def deposit(
    context: typer.Context,
    wallet: Annotated[str, typer.Argument(help="The wallet to credit.")],
    value: Value,
    currency: Currency = "USD",
    description: Description = "",
    external_reference: ExternalReference = "",
    label: Labels = None,
    request_id: RequestId = None,
    *,
    unique_reference: UniqueReference = False,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Put money from outside into a wallet."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        done = client.deposit(
            wallet_name(wallet),
            typed.amount(value, currency),
            description=description,
            external_reference=external_reference,
            labels=typed.labels(label),
            unique_reference=unique_reference,
            validate_only=validate_only,
            request_id=request_id,
        )
        _show_moved(as_dict(done.transaction), as_dict(done.available), replayed=done.replayed, as_json=json)


def transfer(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="The wallet to debit.")],
    destination: Annotated[str, typer.Argument(help="The wallet to credit.")],
    value: Value,
    currency: Currency = "USD",
    max_commission: Annotated[
        str | None, typer.Option(help="Refuse the transfer if the commission is higher; 0: if there is any.")
    ] = None,
    description: Description = "",
    external_reference: ExternalReference = "",
    label: Labels = None,
    request_id: RequestId = None,
    *,
    unique_reference: UniqueReference = False,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Move money from one wallet to another."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        most = None if max_commission is None else typed.amount_or_zero(max_commission, currency, "--max-commission")
        done = client.transfer(
            wallet_name(source),
            wallet_name(destination),
            typed.amount(value, currency),
            description=description,
            external_reference=external_reference,
            labels=typed.labels(label),
            max_commission=most,
            unique_reference=unique_reference,
            validate_only=validate_only,
            request_id=request_id,
        )
        _show_moved(as_dict(done.transaction), as_dict(done.source_available), replayed=done.replayed, as_json=json)


def withdraw(
    context: typer.Context,
    wallet: Annotated[str, typer.Argument(help="The wallet to debit.")],
    value: Value,
    currency: Currency = "USD",
    in_: In = None,
    at: At = None,
    account: Account = "",
    description: Description = "",
    request_id: RequestId = None,
    *,
    reserve: Annotated[bool, typer.Option("--reserve", help="Reserve the money immediately.")] = False,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Schedule a payout through the bank; without a time it is due now."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        done = client.schedule_withdrawal(
            wallet_name(wallet),
            typed.amount(value, currency),
            execute_time=typed.either(in_, "--in", at, "--at"),
            reserve=reserve,
            bank_account=account,
            description=description,
            validate_only=validate_only,
            request_id=request_id,
        )
        show_one(WITHDRAWALS, as_dict(done.withdrawal), as_json=json)


def reverse(
    context: typer.Context,
    transaction: Annotated[str, typer.Argument(help="The transfer or deposit to reverse.")],
    amount_: Annotated[
        str | None, typer.Option("--amount", help="The amount, like 10.05; default: all that is left.")
    ] = None,
    currency: CurrencyOption = "USD",
    description: Description = "",
    request_id: RequestId = None,
    *,
    keep_commission: Annotated[bool, typer.Option("--keep-commission", help="Do not give commission back.")] = False,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Reverse a transfer or a deposit, in whole or in part."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        done = client.reverse_transaction(
            resource("transactions", transaction),
            amount=typed.amount(amount_, currency, "--amount") if amount_ is not None else None,
            keep_commission=keep_commission,
            description=description,
            validate_only=validate_only,
            request_id=request_id,
        )
        show_one(TRANSACTIONS, as_dict(done.transaction), as_json=json)
        if done.replayed and not json:
            out.print(_BEFORE)


def _show_moved(transaction: Row, available: Row, *, replayed: bool, as_json: bool) -> None:
    """Show a transaction; to a person also what is available, and whether the call was a replay."""
    show_one(TRANSACTIONS, transaction, as_json=as_json)
    if not as_json:
        out.print(f"available: {amount(available)}" + (f"  {_BEFORE}" if replayed else ""))
