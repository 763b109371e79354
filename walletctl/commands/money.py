"""The commands ``walletctl deposit``, ``transfer`` and ``withdraw``."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from wallet_core.domain.money import parse_amount
from wallet_grpc.client import Amount, as_dict
from walletctl.context import Context, Json, RequestId, Trouble, explained, wallet_name
from walletctl.output import TRANSACTIONS, WITHDRAWALS, Row, amount, out, show_one

Value = Annotated[str, typer.Argument(help="How much, like 10.05.")]
Currency = Annotated[str, typer.Argument(help="ISO 4217 code.")]
Description = Annotated[str, typer.Option(help="Free words.")]
ValidateOnly = Annotated[bool, typer.Option("--validate-only", help="Check everything, store nothing.")]


def deposit(
    context: typer.Context,
    wallet: Annotated[str, typer.Argument(help="The wallet to pay in to.")],
    value: Value,
    currency: Currency = "USD",
    description: Description = "",
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Put money from outside into a wallet."""
    app: Context = context.obj
    with explained(), app.client() as client:
        done = client.deposit(
            wallet_name(wallet),
            typed_amount(value, currency),
            description=description,
            validate_only=validate_only,
            request_id=request_id,
        )
        _show_moved(as_dict(done.transaction), as_dict(done.available), replayed=done.replayed, as_json=json)


def transfer(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="The wallet to take from.")],
    destination: Annotated[str, typer.Argument(help="The wallet to give to.")],
    value: Value,
    currency: Currency = "USD",
    description: Description = "",
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Move money from one wallet to another."""
    app: Context = context.obj
    with explained(), app.client() as client:
        done = client.transfer(
            wallet_name(source),
            wallet_name(destination),
            typed_amount(value, currency),
            description=description,
            validate_only=validate_only,
            request_id=request_id,
        )
        _show_moved(as_dict(done.transaction), as_dict(done.source_available), replayed=done.replayed, as_json=json)


def withdraw(
    context: typer.Context,
    wallet: Annotated[str, typer.Argument(help="The wallet to pay out from.")],
    value: Value,
    currency: Currency = "USD",
    in_seconds: Annotated[float | None, typer.Option("--in", help="Due in so many seconds.", min=0)] = None,
    at: Annotated[str | None, typer.Option(help="Due at this time, like 2026-12-01T09:00:00Z.")] = None,
    account: Annotated[str, typer.Option(help="The account to pay, in the bank's words.")] = "",
    description: Description = "",
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Schedule a payout through the bank; without a time it is due now."""
    app: Context = context.obj
    with explained(), app.client() as client:
        done = client.schedule_withdrawal(
            wallet_name(wallet),
            typed_amount(value, currency),
            execute_time=_due(in_seconds, at),
            bank_account=account,
            description=description,
            validate_only=validate_only,
            request_id=request_id,
        )
        show_one(WITHDRAWALS, as_dict(done.withdrawal), as_json=json)


def typed_amount(value: str, currency: str) -> Amount:
    """Read an amount as it was typed; raise ``InvalidField`` where it is none."""
    money = parse_amount(value, currency)
    return Amount(money.currency, money.minor)


def _due(in_seconds: float | None, at: str | None) -> datetime | None:
    if in_seconds is not None and at is not None:
        raise Trouble("say --in or --at, not both")
    if in_seconds is not None:
        return datetime.now(UTC) + timedelta(seconds=in_seconds)  # noqa: TID251  # the caller's own clock
    if at is None:
        return None
    try:
        due = datetime.fromisoformat(at)
    except ValueError:
        raise Trouble(f"{at!r} is not a time; write it like 2026-12-01T09:00:00Z") from None
    return due if due.tzinfo is not None else due.replace(tzinfo=UTC)


def _show_moved(transaction: Row, available: Row, *, replayed: bool, as_json: bool) -> None:
    """Show money that moved, and to a person what is left and whether it had moved before."""
    show_one(TRANSACTIONS, transaction, as_json=as_json)
    if not as_json:
        before = "  [dim](had been done before under this request id)[/]" if replayed else ""
        out.print(f"available: {amount(available)}{before}")
