"""The options and arguments that many commands have."""

from typing import Annotated

import typer
from typer.models import OptionInfo

_TIMES = "A time like 2026-12-01T09:00:00Z, or a date, which is its midnight in UTC."

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
RequestId = Annotated[
    str | None, typer.Option(help="A UUID; say it again to repeat a call whose outcome you did not see.")
]
ValidateOnly = Annotated[bool, typer.Option("--validate-only", help="Check everything, store nothing.")]

Wallet = Annotated[str, typer.Argument(help="The wallet's id, e.g. alice.")]
OfWallet = Annotated[str, typer.Option("--wallet", help="Only those of this wallet.")]

Value = Annotated[str, typer.Argument(help="How much, like 10.05.")]
Currency = Annotated[str, typer.Argument(help="ISO 4217 code.")]
CurrencyOption = Annotated[str, typer.Option("--currency", help="ISO 4217 code of the amounts.")]

Description = Annotated[str, typer.Option(help="Free words.")]
ExternalReference = Annotated[str, typer.Option(help="The caller's own reference, e.g. of the order.")]
Labels = Annotated[list[str] | None, typer.Option("--label", help="A label like tier=gold; may be said again.")]

In = Annotated[str | None, typer.Option("--in", help="Due in so long: 90 (seconds), 15m, 1h30m, 7d.")]
At = Annotated[str | None, typer.Option("--at", help=f"Due then. {_TIMES}")]
Account = Annotated[str, typer.Option(help="The account, in the bank's words.")]


def time_option(*names: str, help_: str) -> OptionInfo:
    """Return an option that takes a time."""
    option: OptionInfo = typer.Option(*names, help=f"{help_} {_TIMES}")
    return option


def filter_option(example: str) -> OptionInfo:
    """Return the option that leaves out of a list what does not fit."""
    option: OptionInfo = typer.Option("--filter", help=f"Only what fits, e.g. '{example}'.")
    return option
