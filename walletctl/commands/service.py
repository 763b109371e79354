"""The commands ``walletctl up``, ``demo``, ``migrate``, ``seed`` and ``verify``."""

from contextlib import suppress
from pathlib import Path

import typer
from rich.markup import escape

from wallet_client import CallError, WalletClient
from wallet_core.stop_signals import stop_event
from walletctl.context import Context, Trouble, explained
from walletctl.local.service import LocalService, Ports, StoppedAtStart, local_service
from walletctl.options import Json
from walletctl.output import Column, out, show, table
from walletctl.seed import seed as sow
from walletctl.tables import RULES, WALLETS

CHECKS = (
    Column("rule", lambda row: row["name"]),
    Column("says", lambda row: row["meaning"]),
    Column("broken", lambda row: "[green]0[/]" if not row["broken"] else f"[bold red]{row['broken']}[/]", right=True),
)


def up(
    context: typer.Context,
    port: int = typer.Option(Ports().grpc, help="The gRPC server's port; 0 takes a free one."),
    bank_port: int = typer.Option(Ports().bank, help="The bank stub's port; 0 takes a free one."),
    bank_fail_rate: float = typer.Option(0.1, help="How often the bank stub says 'not now'.", min=0, max=1),
) -> None:
    """Start everything on this machine and keep it running; Ctrl-C stops it."""
    app: Context = context.obj
    stopping = stop_event()
    ports = Ports(grpc=port, bank=bank_port)
    dead = None
    with explained(), out.status("starting") as status:
        starting = local_service(
            app.state, ports=ports, bank_fail_rate=bank_fail_rate, tell=status.update, stopping=stopping
        )
        with suppress(StoppedAtStart), starting as service:
            status.stop()
            _show_running(service, app.state)
            while dead is None and not stopping.wait(0.2):
                dead = service.dead()
            status.start()
        if dead is not None:
            raise Trouble(
                f"the {dead} ended by itself, so the rest was stopped; nothing is lost. See "
                f"{app.state / 'logs' / dead}.log, then run `make up` again"
            )
    out.print("stopped")


def _show_running(service: LocalService, state: Path) -> None:
    out.print(f"gRPC      [bold]{service.running.target}[/]  (try: walletctl wallet list)")
    out.print(f"bank      {service.running.bank_url}")
    out.print(f"database  {service.running.database_url}")
    out.print(f"logs      {state / 'logs'}")
    out.print(f"seeded    {_seeded(service.running.target)}")
    out.print("Ctrl-C stops all of it.")


def _seeded(target: str) -> str:
    """Seed what a first look needs; say what is there. A service that has other things under these names goes on."""
    try:
        with WalletClient(target) as client:
            sow(client)
    except CallError as failed:
        return f"nothing: {escape(failed.message)}"
    return "alice, bob, and a commission: walletctl commission list"


def demo(context: typer.Context) -> None:
    """Run the main job before your eyes, and verify the books."""
    app: Context = context.obj
    with explained():
        from walletctl.demo import demo as story  # noqa: PLC0415  # its HTTP client takes long to load

        story(app.state)


def migrate(context: typer.Context) -> None:
    """Bring the database to the newest shape, as the login of WALLET_DATABASE_OWNER_URL where that is set."""
    app: Context = context.obj
    with explained():
        from wallet_core import bootstrap  # noqa: PLC0415  # most commands need no core, and should not wait for it
        from wallet_core import startup_checks as safe_start  # noqa: PLC0415  # as above

        settings = app.settings()
        safe_start.require_production(settings, safe_start.migrating)
        owner = settings.database.owner_url
        bootstrap.migrate(settings, owner_url=owner.get_secret_value() if owner is not None else None)
        out.print("the database is up to date")


def seed(context: typer.Context, *, json: Json = False) -> None:
    """Create the wallets alice and bob and a commission rule, unless they are there."""
    app: Context = context.obj
    # Its ids are always the same: it is repeated as it is.
    with explained(), app.client(tells=False) as client:
        wallets, rule = sow(client)
        show(WALLETS, wallets, as_json=json)
        if not json:
            out.print(table(RULES, [rule]))


def verify(context: typer.Context, *, json: Json = False) -> None:
    """Prove that the books are right, from the entries up; exit code 1 if they are not."""
    app: Context = context.obj
    with explained():
        from wallet_core import bootstrap  # noqa: PLC0415  # most commands need no core, and should not wait for it
        from wallet_core import startup_checks as safe_start  # noqa: PLC0415  # as above

        settings = app.settings()
        safe_start.require_production(settings, safe_start.database)
        checks = bootstrap.verify(settings)
        show(CHECKS, [check.as_row() for check in checks], as_json=json)
        if any(check.broken for check in checks):
            raise Trouble("the books are broken: stop the service and call its keepers")
        if not json:
            out.print("[green]the books are right[/]")
