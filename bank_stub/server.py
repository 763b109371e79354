"""The bank's listener: opens, refuses connections for a while when ordered to, and closes."""

import contextlib
import time
from collections.abc import Iterator
from threading import Event, Lock, Thread

from bank_stub.behaviour import Behaviour
from bank_stub.book import Book
from bank_stub.handler import Hall, Listener
from bank_stub.orders import Orders
from bank_stub.pauses import Pauses
from bank_stub.security import Security
from bank_stub.traffic import Connections, InFlight

# How long the accepting loop takes to notice that it should end.
POLL_S = 0.02
REOPEN_RETRY_S = 0.05
STOP_TIMEOUT_S = 5.0


class BankServer:
    """A bank at an address; accepts connections as soon as it is made. Port 0 means any free one."""

    def __init__(
        self, behaviour: Behaviour, *, host: str = "127.0.0.1", port: int = 0, security: Security | None = None
    ) -> None:
        self.host = host
        security = security or Security()
        self._tls = security.tls()
        self._stopped = Event()
        self._lock = Lock()
        self._open_at_s = 0.0
        pauses, in_flight = Pauses(), InFlight()
        self._hall = Hall(
            behaviour=behaviour,
            orders=Orders(behaviour, pauses, in_flight, self.refuse),
            pauses=pauses,
            in_flight=in_flight,
            connections=Connections(),
            security=security,
        )
        self._listener: Listener | None = self._listen(port)
        self.port = self._listener.server_port

    @property
    def url(self) -> str:
        """The base address, without a slash at the end."""
        return f"{'http' if self._tls is None else 'https'}://{self.host}:{self.port}"

    def refuse(self, seconds: float) -> None:
        """Refuse connections for *seconds*, from the return of this method on.

        Idle connections are closed, calls in progress still get their responses. Of overlapping times the later end
        counts.
        """
        with self._lock:
            self._open_at_s = max(self._open_at_s, time.monotonic() + seconds)
            if self._listener is None:
                return
            self._close_listener(self._listener)
            self._listener = None
        self._hall.connections.refuse()
        Thread(target=self._reopen, name="bank-door", daemon=True).start()

    def stop(self) -> None:
        """Stop listening, close all connections and the book. A second call has no effect."""
        with self._lock:
            if self._stopped.is_set():
                return
            self._stopped.set()
            if self._listener is not None:
                self._close_listener(self._listener)
                self._listener = None
        self._hall.pauses.stop()
        self._hall.connections.hang_up_all(timeout_s=STOP_TIMEOUT_S)
        self._hall.behaviour.book.close()

    def _reopen(self) -> None:
        """Listen again on the same port when the time is over and the port is free."""
        while not self._stopped.wait(max(self._open_at_s - time.monotonic(), 0.0)):
            with self._lock:
                if self._stopped.is_set():
                    return
                if time.monotonic() >= self._open_at_s:
                    with contextlib.suppress(OSError):
                        self._hall.connections.welcome()
                        self._listener = self._listen(self.port)
                        return
            self._stopped.wait(REOPEN_RETRY_S)

    def _listen(self, port: int) -> Listener:
        listener = Listener((self.host, port), self._hall, self._tls)
        Thread(target=listener.serve_forever, args=(POLL_S,), name="bank-listener", daemon=True).start()
        return listener

    def _close_listener(self, listener: Listener) -> None:
        listener.shutdown()
        listener.server_close()


@contextlib.contextmanager
def running_bank(  # noqa: PLR0913  # all but the first by name
    state: str = ":memory:",
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    fail_rate: float = 0.1,
    seed: int | None = None,
    security: Security | None = None,
) -> Iterator[BankServer]:
    """Run a bank in this process, on threads, for as long as the block lasts.

    *state* is the path of its book, ``:memory:`` for a temporary one.
    """
    book = Book(state)
    try:
        behaviour = Behaviour(book, fail_rate=fail_rate, seed=seed)
        server = BankServer(behaviour, host=host, port=port, security=security)
    except BaseException:
        book.close()
        raise
    try:
        yield server
    finally:
        server.stop()
