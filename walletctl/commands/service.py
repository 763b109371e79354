"""The commands ``walletctl up`` and ``demo``."""

from contextlib import suppress

import typer

from wallet_client import CallError, NotConnected
from wallet_core.stop_signals import stop_event
from walletctl.context import CommandFailed, Context, report_errors
from walletctl.core_errors import core_errors
from walletctl.demo import demo as run_demo
from walletctl.local.service import LocalService, Ports, StoppedAtStart, local_service
from walletctl.output import escape, out
from walletctl.seed import seed

_SEED_LATER = "With --token, and --ca if the server uses TLS, `walletctl seed` does it"


def up(
    context: typer.Context,
    port: int = typer.Option(Ports().grpc, help="The gRPC server's port; 0 takes a free one."),
    bank_port: int = typer.Option(Ports().bank, help="The bank stub's port; 0 takes a free one."),
    console_port: int = typer.Option(Ports().console, help="The console's port; 0 takes a free one."),
    bank_fail_rate: float = typer.Option(0.1, help="How often the bank stub declines for now.", min=0, max=1),
) -> None:
    """Start everything on this machine and keep it running; Ctrl-C stops it."""
    app: Context = context.obj
    stopping = stop_event()
    ports = Ports(grpc=port, bank=bank_port, console=console_port)
    dead = None
    with report_errors(), core_errors(), out.terminal.status("starting") as status:
        starting = local_service(
            app.state, ports=ports, bank_fail_rate=bank_fail_rate, progress=status.update, stopping=stopping
        )
        with suppress(StoppedAtStart), starting as service:
            status.stop()
            _show_running(service, app)
            while dead is None and not stopping.wait(0.2):
                dead = service.dead()
            status.start()
        if dead is not None:
            raise CommandFailed(
                f"the {dead} ended by itself, so everything was stopped; nothing is lost. See "
                f"{app.state / 'logs' / dead}.log, then run `make up` again"
            )
    out.print("stopped")


def _show_running(service: LocalService, app: Context) -> None:
    out.print(f"console   [bold]{service.running.console_url}[/]  (open it in a browser)")
    out.print(f"gRPC      [bold]{service.running.target}[/]  (try: walletctl wallet list)")
    out.print(f"bank      {service.running.bank_url}")
    out.print(f"database  {service.running.database_url}")
    out.print(f"logs      {app.state / 'logs'}")
    out.print(f"seeded    {seed_service(app, service.running.target)}", soft_wrap=True)
    out.print("Ctrl-C stops all of it.")


def seed_service(app: Context, target: str) -> str:
    """Seed the service, with the credentials of the options; return what there is. A failure does not stop ``up``."""
    try:
        with app.connect(target) as client:
            seed(client)
    except CallError as failed:
        cause = f"{failed.cause}: " if isinstance(failed, NotConnected) else ""
        return f"nothing. {escape(cause + failed.message)} {_SEED_LATER}."
    return "alice, bob, and a commission rule (walletctl commission list)"


def demo(context: typer.Context) -> None:
    """Show the main job, and verify the ledger."""
    with report_errors(), core_errors():
        run_demo(context.obj)
