"""What every command needs: where the service is, and how its answers are shown."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from wallet_core.domain.errors import NotServed, WalletError, cause_of
from wallet_core.settings import Settings, SettingsError, read_settings
from wallet_grpc.client import CallFailed, WalletClient
from walletctl.local.errors import CannotStart
from walletctl.local.service import find_running
from walletctl.output import err

_NOT_RUNNING = "no service is running here: run `make up` (or `walletctl up`), or name one with --target HOST:PORT"

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
RequestId = Annotated[
    str | None, typer.Option(help="A UUID; say it again to repeat a call whose outcome you did not see.")
]


class Trouble(Exception):
    """Something that a person must hear and can act on."""


@dataclass(frozen=True, slots=True)
class Context:
    """What was said before the command: which service, and where a local one keeps its state."""

    target: str | None
    state: Path

    @contextmanager
    def client(self) -> Iterator[WalletClient]:
        """Return a client of the service that was named, or of the one that runs here."""
        target = self.target
        if target is None:
            running = find_running(self.state)
            if running is None:
                raise Trouble(_NOT_RUNNING)
            target = running.target
        with WalletClient(target) as client:
            yield client

    def settings(self) -> Settings:
        """Return settings with a database: the environment's, or the one that runs here."""
        settings = read_settings()
        if settings.database_url is not None:
            return settings
        running = find_running(self.state)
        if running is None:
            raise Trouble("no database: set WALLET_DATABASE_URL, or run `make up`, which brings its own")
        return read_settings(database_url=running.database_url)


@contextmanager
def explained() -> Iterator[None]:
    """Turn what can go wrong into a sentence and an exit code: 1 the service said no, 2 it was asked wrongly."""
    try:
        yield
    except CallFailed as failed:
        err.print(f"[red]{failed.reason or failed.code}[/] {escape(failed.message)}")
        if failed.request_id is not None:
            err.print(f"[dim]request id: {failed.request_id}[/]")
        raise typer.Exit(1) from None
    except (Trouble, CannotStart, SettingsError) as trouble:
        err.print(f"[red]error[/] {escape(str(trouble))}")
        raise typer.Exit(1) from None
    except NotServed as failed:
        err.print(f"[red]error[/] {escape(cause_of(failed))}")
        raise typer.Exit(1) from None
    except WalletError as refused:
        err.print(f"[red]error[/] {escape(str(refused))}")
        raise typer.Exit(2) from None


def wallet_name(wallet: str) -> str:
    """Return the resource name of a wallet that was typed with or without ``wallets/``."""
    return wallet if wallet.startswith("wallets/") else f"wallets/{wallet}"


def withdrawal_name(withdrawal: str) -> str:
    """Return the resource name of a withdrawal that was typed with or without ``withdrawals/``."""
    return withdrawal if withdrawal.startswith("withdrawals/") else f"withdrawals/{withdrawal}"
