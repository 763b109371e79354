"""What every command needs: where the service is, and how its errors are told."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import typer
from rich.markup import escape

from wallet_core.domain.errors import NotServed, WalletError, cause_of
from wallet_core.settings import Settings, SettingsError, read_settings
from wallet_grpc.client import CallError, NotConnected, OutcomeUnknown, Tls, WalletClient
from walletctl.local.errors import CannotStart
from walletctl.local.service import find_running
from walletctl.output import err
from walletctl.typed import Mistyped

_NOT_RUNNING = "no service is running here: run `make up` (or `walletctl up`), or name one with --target HOST:PORT"

# Together with its own start a command says within two seconds why it reaches no server.
_CONNECT_TIMEOUT_S = 1.0


class Trouble(Exception):
    """Something that a person must hear and can act on."""


class Language(StrEnum):
    """A language that the service speaks to people."""

    EN = "en"
    FA = "fa"


@dataclass(frozen=True, slots=True)
class Context:
    """What was said before the command: which service, in which language, and where a local one keeps its state."""

    target: str | None
    state: Path
    language: Language | None = None
    token: str | None = None
    tls: Tls | None = None

    @contextmanager
    def client(self) -> Iterator[WalletClient]:
        """Return a client of the service that was named, or of the one that runs here."""
        target = self.target
        if target is None:
            running = find_running(self.state)
            if running is None:
                raise Trouble(_NOT_RUNNING)
            target = running.target
        try:
            client = WalletClient(
                target,
                connect_timeout_s=_CONNECT_TIMEOUT_S,
                accept_language=self.language,
                token=self.token,
                tls=self.tls,
            )
        except ValueError as wrong:
            raise Mistyped(str(wrong)) from None
        with client:
            yield client

    def settings(self) -> Settings:
        """Return settings with a database: the environment's, or the one that runs here; never a mixture."""
        settings = read_settings()
        if settings.database_url is not None or settings.database_owner_url is not None:
            return settings
        running = find_running(self.state)
        if running is None:
            raise Trouble("no database: set WALLET_DATABASE_URL, or run `make up`, which brings its own")
        return read_settings(database_url=running.database_url, database_owner_url=running.database_owner_url)


@contextmanager
def explained() -> Iterator[None]:
    """Turn what can go wrong into a sentence and an exit code.

    1 the service said no; 2 it was asked wrongly; 3 no server was reached, nothing was sent; 4 it may have been done.
    """
    try:
        yield
    except NotConnected as failed:
        _say(f"[red]{failed.cause}[/] {escape(failed.message)}")
        raise typer.Exit(3) from None
    except OutcomeUnknown as unknown:
        _tell(unknown)
        raise typer.Exit(4) from None
    except CallError as failed:
        _tell(failed)
        raise typer.Exit(1) from None
    except (Trouble, CannotStart, SettingsError) as trouble:
        _say(f"[red]error[/] {escape(str(trouble))}")
        raise typer.Exit(1) from None
    except NotServed as failed:
        _say(f"[red]error[/] {escape(cause_of(failed))}")
        raise typer.Exit(1) from None
    except (Mistyped, WalletError) as refused:
        _say(f"[red]error[/] {escape(str(refused))}")
        raise typer.Exit(2) from None


def _tell(failed: CallError) -> None:
    _say(f"[red]{escape(failed.reason or failed.code)}[/] {escape(failed.localized or failed.message)}")
    if failed.localized:
        _say(f"[dim]{escape(failed.message)}[/]")
    if failed.request_id is not None:
        _say(f"[dim]request id: {failed.request_id}[/]")


def _say(what: str) -> None:
    err.print(what, soft_wrap=True)
