"""What every command needs: where the service is, and how its errors are told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

import typer
from rich.markup import escape

from wallet_client import CallError, NotConnected, OutcomeUnknown, RequestTooLarge, Tls, WalletClient
from wallet_core.domain.model.errors import ServiceError, WalletError, cause_of
from wallet_core.settings import Settings, SettingsError, read_settings
from walletctl.currencies import told_by
from walletctl.local.errors import CannotStart
from walletctl.local.service import find_running
from walletctl.output import Unwritten, err
from walletctl.typed import Mistyped

_NOT_RUNNING = "no service is running here: run `make up` (or `walletctl up`), or name one with --target HOST:PORT"

# Together with its own start a command says within two seconds why it reaches no server.
_CONNECT_TIMEOUT_S = 1.0


class Trouble(Exception):
    """Something that a person must hear and can act on."""


class Unsaid(Exception):
    """The request id could not be told, so nothing was sent."""


class Unshown(Exception):
    """The call succeeded, and its answer could not be shown."""

    def __init__(self, request_id: str, unwritten: Unwritten) -> None:
        super().__init__(
            f"The call succeeded, but its answer could not be written: {unwritten}. To see it add: "
            f"--request-id {request_id}; nothing is done twice."
        )


class Interrupted(Exception):
    """A change was told to stop before its answer was shown."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"The call may have been done; to find out add: --request-id {request_id}")


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
    told: list[str] = field(default_factory=list)
    """The request ids that were told."""

    @contextmanager
    def client(self, *, tells: bool = True) -> Iterator[WalletClient]:
        """Return a client of the service that was named, or of the one that runs here; it *tells* its request ids."""
        with self._client(self.tell if tells else None) as client:
            try:
                yield client
            except Unwritten as unwritten:
                if not self.told:
                    raise
                # What a change shows is its answer.
                raise Unshown(self.told[-1], unwritten) from None
            except KeyboardInterrupt:
                if not self.told:
                    raise
                raise Interrupted(self.told[-1]) from None

    def tell(self, request_id: str) -> None:
        """Tell the id of a change before it is sent: whatever becomes of the call, it can be asked again."""
        try:
            id_ = escape(request_id)
            err.print(f"[dim]request id {id_}; repeat safely with --request-id {id_}[/]", soft_wrap=True)
        except Unwritten:
            raise Unsaid from None
        self.told.append(request_id)

    @contextmanager
    def _client(self, before_change: Callable[[str], None] | None) -> Iterator[WalletClient]:
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
                before_change=before_change,
            )
        except ValueError as wrong:
            raise Mistyped(str(wrong)) from None
        with client, told_by(client):
            yield client

    def settings(self) -> Settings:
        """Return settings with a database: the environment's, or the one that runs here; never a mixture."""
        settings = read_settings()
        if settings.database.url is not None or settings.database.owner_url is not None:
            return settings
        running = find_running(self.state)
        if running is None:
            raise Trouble("no database: set WALLET_DATABASE_URL, or run `make up`, which brings its own")
        return read_settings(database_url=running.database_url, database_owner_url=running.database_owner_url)


@contextmanager
def explained() -> Iterator[None]:
    """Turn what can go wrong into a sentence and an exit code.

    1 the service said no; 2 it was asked wrongly; 3 nothing was sent; 4 it may have been done; 5 it was done, or read,
    and the answer could not be written.
    """
    try:
        yield
    except Unsaid:
        raise typer.Exit(3) from None
    except NotConnected as failed:
        _end(3, f"[red]{failed.cause}[/] {escape(failed.message)}")
    except (OutcomeUnknown, Interrupted) as unknown:
        _end(4, *_told(unknown))
    except CallError as failed:
        _end(2 if isinstance(failed, RequestTooLarge) else 1, *_told(failed))
    except (Trouble, CannotStart, SettingsError) as trouble:
        _end(1, f"[red]error[/] {escape(str(trouble))}")
    except ServiceError as failed:
        _end(1, f"[red]error[/] {escape(cause_of(failed))}")
    except (Mistyped, WalletError) as refused:
        _end(2, f"[red]error[/] {escape(str(refused))}")
    except Unshown as unshown:
        _end(5, f"[yellow]not shown[/] {escape(str(unshown))}")
    except Unwritten as unwritten:
        # Whoever reads and leaves, like `head`, knows.
        _end(5, *([] if unwritten.is_left else [f"[red]error[/] the answer could not be written: {unwritten}"]))


def _told(failed: CallError | Interrupted) -> Iterator[str]:
    if isinstance(failed, Interrupted):
        yield f"[red]interrupted[/] {escape(str(failed))}"
        return
    yield f"[red]{escape(failed.reason or failed.code)}[/] {escape(failed.localized or failed.message)}"
    if failed.localized:
        yield f"[dim]{escape(failed.message)}[/]"


def _end(code: int, *said: str) -> NoReturn:
    with suppress(Unwritten):
        for one in said:
            err.print(one, soft_wrap=True)
    raise typer.Exit(code) from None
