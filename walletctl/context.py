"""What every command that calls needs: the service's address and credentials, and how its errors are reported."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import typer

from wallet_client import CallError, NotConnected, OutcomeUnknown, RequestTooLarge, Tls, WalletClient
from walletctl.currencies import exponents_of
from walletctl.local.errors import CannotStart
from walletctl.local.running import find_running
from walletctl.options import Language
from walletctl.output import OutputFailed, err, escape
from walletctl.typed import InvalidArgument

_NOT_RUNNING = "no service is running here: run `make up` (or `walletctl up`), or name one with --target HOST:PORT"

# With the start of the process, a command reports within two seconds why it reaches no server.
_CONNECT_TIMEOUT_S = 1.0


class CommandFailed(Exception):
    """The command failed; the text says why and what to do."""


class RequestIdNotWritten(Exception):
    """The request id could not be written, so nothing was sent."""


class ResultNotWritten(Exception):
    """The call succeeded, and its result could not be written."""

    def __init__(self, request_id: str, failed: OutputFailed) -> None:
        super().__init__(
            f"The call succeeded, but its result could not be written: {failed}. To see it, add --request-id "
            f"{request_id}; nothing is done twice."
        )


class Interrupted(Exception):
    """A change was interrupted before its result was written."""

    def __init__(self, request_id: str) -> None:
        super().__init__(_may_have_been_done(request_id))


@dataclass(frozen=True, slots=True)
class Context:
    """The options before the command: the service, credentials, the language, and a local service's state directory."""

    target: str | None
    state: Path
    language: Language | None = None
    token: str | None = None
    tls: Tls | None = None
    announced: list[str] = field(default_factory=list)
    """The request ids that were written."""

    @contextmanager
    def client(self, *, announces: bool = True) -> Iterator[WalletClient]:
        """Return a client of the service that was named, or of the local one; it *announces* its request ids."""
        with self.connect(self._target(), self.announce if announces else None) as client:
            try:
                yield client
            except OutputFailed as failed:
                if not self.announced:
                    raise
                # The output of a change is its result.
                raise ResultNotWritten(self.announced[-1], failed) from None
            except KeyboardInterrupt:
                if not self.announced:
                    raise
                raise Interrupted(self.announced[-1]) from None

    def announce(self, request_id: str) -> None:
        """Write the id of a change before it is sent: with it the call can be repeated, whatever its outcome."""
        try:
            err.remark(f"request id {request_id}; repeat safely with --request-id {request_id}")
        except OutputFailed:
            raise RequestIdNotWritten from None
        self.announced.append(request_id)

    @contextmanager
    def connect(self, target: str, before_change: Callable[[str], None] | None = None) -> Iterator[WalletClient]:
        """Return a client of a service, with the credentials and the language of the options."""
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
            raise InvalidArgument(str(wrong)) from None
        with client, exponents_of(client):
            yield client

    def _target(self) -> str:
        if self.target is not None:
            return self.target
        running = find_running(self.state)
        if running is None:
            raise CommandFailed(_NOT_RUNNING)
        return running.target


@contextmanager
def report_errors() -> Iterator[None]:
    """Turn errors into a sentence and an exit code.

    1 refused; 2 a usage error; 3 nothing was sent; 4 it may have been done; 5 it was done, or read, and the result
    could not be written.
    """
    try:
        yield
    except RequestIdNotWritten:
        raise typer.Exit(3) from None
    except NotConnected as failed:
        _end(3, f"[red]{failed.cause}[/] {escape(failed.message)}")
    except (OutcomeUnknown, Interrupted) as unknown:
        _end(4, *_lines(unknown))
    except CallError as failed:
        _end(2 if isinstance(failed, RequestTooLarge) else 1, *_lines(failed))
    except (CommandFailed, CannotStart) as failed:
        _end(1, f"[red]error[/] {escape(str(failed))}")
    except InvalidArgument as wrong:
        _end(2, f"[red]error[/] {escape(str(wrong))}")
    except ResultNotWritten as failed:
        _end(5, f"[yellow]not shown[/] {escape(str(failed))}")
    except OutputFailed as failed:
        # A reader that closes the pipe, like `head`, needs no message.
        _end(5, *([] if failed.is_left else [f"[red]error[/] the result could not be written: {failed}"]))


def _may_have_been_done(request_id: str) -> str:
    return f"The call may have been done; to find out, add --request-id {request_id}"


def _lines(failed: CallError | Interrupted) -> Iterator[str]:
    if isinstance(failed, Interrupted):
        yield f"[red]interrupted[/] {escape(str(failed))}"
        return
    yield f"[red]{escape(failed.reason or failed.code)}[/] {escape(failed.localized or failed.message)}"
    if failed.localized:
        yield f"[dim]{escape(failed.message)}[/]"
    if isinstance(failed, OutcomeUnknown) and failed.request_id is not None:
        yield escape(_may_have_been_done(failed.request_id))


def _end(code: int, *lines: str) -> NoReturn:
    with suppress(OutputFailed):
        for line in lines:
            err.print(line, soft_wrap=True)
    raise typer.Exit(code) from None
