"""The command line: ``walletctl --help``."""

from pathlib import Path
from typing import Annotated

import typer

from walletctl.commands import money, service
from walletctl.commands.wallets import wallets
from walletctl.commands.withdrawals import withdrawals
from walletctl.context import Context

# Without locals: a traceback would print what they hold, a database's password too.
cli = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Run the wallet service on this machine, and talk to one anywhere.",
)


@cli.callback()
def before(
    context: typer.Context,
    target: Annotated[
        str | None, typer.Option(envvar="WALLETCTL_TARGET", help="HOST:PORT of the service; else the one run by `up`.")
    ] = None,
    state: Annotated[Path, typer.Option(help="Where `up` and `demo` keep their state.")] = Path(".wallet"),
) -> None:
    """Run the wallet service on this machine, and talk to one anywhere."""
    context.obj = Context(target, state)


for command in (
    *(service.up, service.demo, service.migrate, service.seed, service.verify),
    *(money.deposit, money.transfer, money.withdraw),
):
    cli.command()(command)
cli.add_typer(wallets, name="wallet")
cli.add_typer(withdrawals, name="withdrawal")


def main() -> None:
    """Run the command line."""
    cli()


if __name__ == "__main__":
    main()
