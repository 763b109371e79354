"""The command line: ``walletctl --help``. A command's module is imported when the command is called."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from wallet_core.stop_signals import restore_stop_signals
from walletctl.arguments import convert_without_pydantic
from walletctl.options import Language

# Name → module and attribute, and the line of the overview, which is the first one of the command's own help.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "up": ("service:up", "Start everything on this machine and keep it running; Ctrl-C stops it."),
    "demo": ("service:demo", "Show the main job, and verify the ledger."),
    "migrate": ("database:migrate", "Migrate the database to this release's schema."),
    "prune-journal": (
        "database:prune_journal",
        "Drop the journal's records that are summed up.",
    ),
    "seed": ("seeding:seed", "Create the wallets alice and bob and a commission rule, unless they exist."),
    "verify": ("audit:verify", "Prove the ledger from its entries; exit code 1 if a rule is broken."),
    "checkpoints": ("checkpoints:checkpoints", "Keep signed checkpoints of the journal where nobody can change them."),
    "deposit": ("money:deposit", "Put money from outside into a wallet."),
    "transfer": ("money:transfer", "Move money from one wallet to another."),
    "withdraw": ("money:withdraw", "Schedule a payout through the bank; without a time it is due now."),
    "batch": ("batch:batch", "Make many transfers in one call; exit code 1 if one was not done."),
    "reverse": ("money:reverse", "Reverse a transfer or a deposit, in whole or in part."),
    "transactions": ("transactions:transactions", "List transactions of a wallet, or of all, newest first."),
    "statement": ("statements:statement", "Show a wallet's statement of a time range."),
    "receipt": ("statements:receipt", "Write a receipt of one transaction, a PDF."),
    "info": ("info:info", "Show the service's version, modes and limits."),
    "attention": ("operations:attention", "List what the service cannot settle by itself, oldest first."),
    "events": ("events:events", "Show events as they happen, until Ctrl-C."),
    "token": ("development:token", "Print a token for development, signed with WALLET_AUTH_DEV_SECRET."),
    "certs": ("development:certs", "Write certificates for development; existing ones are replaced."),
    "wallet": ("wallets:wallets", "Create, change and show wallets."),
    "transaction": ("transactions:transaction", "Show one transaction."),
    "withdrawal": ("withdrawals:withdrawals", "List, show, watch, cancel and resolve payouts."),
    "scheduled-deposit": (
        "scheduled_deposits:scheduled_deposits",
        "Schedule, list, show, watch, cancel and resolve scheduled deposits.",
    ),
    "hold": ("holds:holds", "Reserve money, and capture or release it."),
    "commission": ("commissions:commissions", "Commission rules and quotes."),
    "webhooks": ("webhooks:webhooks", "Endpoints that receive events, and what was sent to them."),
    "discrepancy": ("operations:discrepancies", "Close discrepancies with the bank statement."),
    "bank-statement": ("operations:bank_statements", "Accept a replaced bank statement."),
}

# Modules that add commands to another module's group.
_EXTENDED = {"withdrawals": "operations", "scheduled_deposits": "operations"}


convert_without_pydantic()


class LazyGroup(TyperGroup):
    """Imports the module of one command: all of them with gRPC, settings and tables would take most of a second."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002  # typer's own context is private
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002  # as above
        """Return one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        if module in _EXTENDED:
            import_module(f"walletctl.commands.{_EXTENDED[module]}")
        found = getattr(import_module(f"walletctl.commands.{module}"), attribute)
        if isinstance(found, typer.Typer):
            command: Any = typer.main.get_group(found)
        else:
            app = typer.Typer(add_completion=False)
            app.command(cmd_name)(found)
            command = typer.main.get_command(app)
        command.name = cmd_name
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401  # as above
        """Write the overview from ``COMMANDS`` alone."""
        overview = _Overview(name=self.name, params=self.params, help=self.help)
        overview.rich_markup_mode = self.rich_markup_mode
        overview.format_help(ctx, formatter)


class _Overview(TyperGroup):
    """The group with commands that only have a name and a line of help."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002  # as above
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002  # as above
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1])


# Without locals: a traceback would print their values, e.g. a database's password.
cli = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Run the wallet service on this machine, or call one anywhere.",
)

_TARGET = "HOST:PORT of the service, or ipv4:HOST:PORT,HOST:PORT of several servers; default: the one run by `up`."
_TOKEN = "A bearer token. Better set the variable: all users of a machine can see arguments."  # noqa: S105  # a help


@cli.callback()
def before(  # noqa: PLR0913, PLR0917  # options of all commands
    context: typer.Context,
    target: Annotated[str | None, typer.Option(envvar="WALLETCTL_TARGET", help=_TARGET)] = None,
    state: Annotated[Path, typer.Option(help="The directory where `up` and `demo` keep their state.")] = Path(
        ".wallet"
    ),
    language: Annotated[
        Language | None, typer.Option(envvar="WALLETCTL_LANGUAGE", help="The language of error texts.")
    ] = None,
    token: Annotated[str | None, typer.Option(envvar="WALLETCTL_TOKEN", help=_TOKEN, show_envvar=True)] = None,
    ca: Annotated[
        Path | None,
        typer.Option(envvar="WALLETCTL_CA", help="PEM file: the authority that signs the server. Uses TLS."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(envvar="WALLETCTL_CERTIFICATE", help="PEM file: the caller's certificate.")
    ] = None,
    key: Annotated[Path | None, typer.Option(envvar="WALLETCTL_KEY", help="PEM file: the certificate's key.")] = None,
    server_name: Annotated[
        str | None, typer.Option(envvar="WALLETCTL_SERVER_NAME", help="The name in the server's certificate.")
    ] = None,
) -> None:
    """Run the wallet service on this machine, or call one anywhere."""
    from wallet_client import Tls  # noqa: PLC0415  # not for --help
    from walletctl.context import Context  # noqa: PLC0415  # not for --help

    if context.invoked_subcommand != "up":  # which waits for these signals
        restore_stop_signals()
    tls = None
    if server_name is not None or any((ca, certificate, key)):
        tls = Tls(ca=_read(ca), certificate=_read(certificate), key=_read(key), server_name=server_name)
    context.obj = Context(target, state, language, token, tls)


def _read(file: Path | None) -> bytes | None:
    try:
        return file.read_bytes() if file is not None else None
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from None
