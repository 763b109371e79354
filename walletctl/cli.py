"""The command line: ``walletctl --help``."""

from pathlib import Path
from typing import Annotated

import typer

from wallet_client import Tls
from wallet_core.stop_signals import restore_stop_signals
from walletctl.commands import development, money, service, statements, transactions
from walletctl.commands.batch import batch
from walletctl.commands.commissions import commissions
from walletctl.commands.events import events
from walletctl.commands.holds import holds
from walletctl.commands.operations import attention, bank_statements, discrepancies
from walletctl.commands.scheduled_deposits import scheduled_deposits
from walletctl.commands.wallets import wallets
from walletctl.commands.withdrawals import withdrawals
from walletctl.context import Context, Language

# Without locals: a traceback would print what they hold, a database's password too.
cli = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Run the wallet service on this machine, and talk to one anywhere.",
)


_TARGET = "HOST:PORT of the service, or ipv4:HOST:PORT,HOST:PORT of several servers; else the one run by `up`."


@cli.callback()
def before(  # noqa: PLR0913, PLR0917  # options of all commands
    context: typer.Context,
    target: Annotated[
        str | None,
        typer.Option(envvar="WALLETCTL_TARGET", help=_TARGET),
    ] = None,
    state: Annotated[Path, typer.Option(help="Where `up` and `demo` keep their state.")] = Path(".wallet"),
    language: Annotated[
        Language | None, typer.Option(envvar="WALLETCTL_LANGUAGE", help="The language to hear refusals in.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="WALLETCTL_TOKEN",
            help="A token that says who is calling. Set the variable rather: all can see arguments.",
            show_envvar=True,
        ),
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(envvar="WALLETCTL_CA", help="PEM: who signs the server. Speaks TLS.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(envvar="WALLETCTL_CERTIFICATE", help="PEM: a certificate that says who is calling.")
    ] = None,
    key: Annotated[Path | None, typer.Option(envvar="WALLETCTL_KEY", help="PEM: the certificate's key.")] = None,
    server_name: Annotated[
        str | None, typer.Option(envvar="WALLETCTL_SERVER_NAME", help="The name in the server's certificate.")
    ] = None,
) -> None:
    """Run the wallet service on this machine, and talk to one anywhere."""
    if context.invoked_subcommand != "up":  # which waits for these signals
        restore_stop_signals()
    context.obj = Context(target, state, language, token, _tls(server_name, ca, certificate, key))


def _tls(server_name: str | None, *files: Path | None) -> Tls | None:
    if server_name is None and not any(files):
        return None
    ca, certificate, key = (_read(file) if file is not None else None for file in files)
    return Tls(ca=ca, certificate=certificate, key=key, server_name=server_name)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from None


for command in (
    *(service.up, service.demo, service.migrate, service.seed, service.verify),
    *(money.deposit, money.transfer, money.withdraw, batch, money.reverse),
    *(transactions.transactions, statements.statement, statements.receipt, attention),
    *(events, development.token, development.certs),
):
    cli.command()(command)
for name, group in {
    "wallet": wallets,
    "transaction": transactions.transaction,
    "withdrawal": withdrawals,
    "scheduled-deposit": scheduled_deposits,
    "hold": holds,
    "commission": commissions,
    "discrepancy": discrepancies,
    "bank-statement": bank_statements,
}.items():
    cli.add_typer(group, name=name)
