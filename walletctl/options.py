"""Options and arguments of several commands."""

from enum import StrEnum
from typing import Annotated

import typer
from typer.models import OptionInfo


class Language(StrEnum):
    """A language of error texts and receipts."""

    EN = "en"
    FA = "fa"


_TIMES = "A time like 2026-12-01T09:00:00Z, or a date, which means its midnight in UTC."

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
RequestId = Annotated[
    str | None, typer.Option(help="A UUID; use the same one to repeat a call whose outcome you did not see.")
]
ValidateOnly = Annotated[bool, typer.Option("--validate-only", help="Check everything, store nothing.")]

Wallet = Annotated[str, typer.Argument(help="The wallet's id, e.g. alice.")]
OfWallet = Annotated[str, typer.Option("--wallet", help="Only those of this wallet.")]

Value = Annotated[str, typer.Argument(help="The amount, like 10.05.")]
Currency = Annotated[str, typer.Argument(help="ISO 4217 code.")]
CurrencyOption = Annotated[str, typer.Option("--currency", help="ISO 4217 code of the amounts.")]

Description = Annotated[str, typer.Option(help="Free text.")]
ExternalReference = Annotated[str, typer.Option(help="The caller's own reference, e.g. of the order.")]
UniqueReference = Annotated[
    bool, typer.Option("--unique-reference", help="Refuse it where an earlier payment has the external reference.")
]
Labels = Annotated[list[str] | None, typer.Option("--label", help="A label like tier=gold; may be repeated.")]

In = Annotated[str | None, typer.Option("--in", help="Due after: 90 (seconds), 15m, 1h30m, 7d.")]
At = Annotated[str | None, typer.Option("--at", help=f"Due at. {_TIMES}")]
Account = Annotated[str, typer.Option(help="The bank account, as the bank names it.")]


def time_option(*names: str, help_: str) -> OptionInfo:
    """Return an option that takes a time."""
    option: OptionInfo = typer.Option(*names, help=f"{help_} {_TIMES}")
    return option


def filter_option(example: str) -> OptionInfo:
    """Return the option that filters a list."""
    option: OptionInfo = typer.Option("--filter", help=f"Only items that match, e.g. '{example}'.")
    return option
