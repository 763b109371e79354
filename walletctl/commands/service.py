"""The commands ``walletctl up``, ``demo``, ``migrate``, ``seed`` and ``verify``."""

import signal
import threading

import typer

from wallet_core import bootstrap
from walletctl import demo as demo_story
from walletctl.context import Context, Json, Trouble, explained
from walletctl.local.service import Ports, local_service
from walletctl.output import WALLETS, Column, out, show
from walletctl.seed import seed as seed_wallets

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
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with explained(), out.status("starting") as status:
        ports = Ports(grpc=port, bank=bank_port)

        def tell(what: str) -> None:
            status.update(what)

        with local_service(app.state, ports=ports, bank_fail_rate=bank_fail_rate, tell=tell) as service:
            status.stop()
            out.print(f"gRPC      [bold]{service.running.target}[/]  (try: walletctl seed; grpcurl -plaintext … list)")
            out.print(f"bank      {service.running.bank_url}")
            out.print(f"database  {service.running.database_url}")
            out.print(f"logs      {app.state / 'logs'}")
            out.print("Ctrl-C stops all of it.")
            dead = None
            while dead is None and not stopping.wait(0.2):
                dead = service.dead()
            status.start()
        if dead is not None:
            raise Trouble(
                f"the {dead} ended by itself, so the rest was stopped; nothing is lost. See "
                f"{app.state / 'logs' / dead}.log, then run `make up` again"
            )
    out.print("stopped")


def demo(context: typer.Context) -> None:
    """Run the main job before your eyes, and verify the books."""
    app: Context = context.obj
    with explained():
        demo_story.demo(app.state)


def migrate(context: typer.Context) -> None:
    """Bring the database to the newest shape."""
    app: Context = context.obj
    with explained():
        bootstrap.migrate(app.settings())
        out.print("the database is up to date")


def seed(context: typer.Context, *, json: Json = False) -> None:
    """Create the wallets alice and bob, unless they are there."""
    app: Context = context.obj
    with explained(), app.client() as client:
        show(WALLETS, seed_wallets(client), as_json=json)


def verify(context: typer.Context, *, json: Json = False) -> None:
    """Prove that the books are right, from the entries up; exit code 1 if they are not."""
    app: Context = context.obj
    with explained():
        checks = bootstrap.verify(app.settings())
        show(CHECKS, [check.as_row() for check in checks], as_json=json)
        if any(check.broken for check in checks):
            raise Trouble("the books are broken: stop the service and call its keepers")
        if not json:
            out.print("[green]the books are right[/]")
