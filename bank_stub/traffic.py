"""Counting what is going on: payouts in flight, and connections that may have to be hung up."""

import contextlib
import socket
from threading import Condition, Lock


class Flight:
    """One payout on its way through the bank; landing twice is landing once."""

    def __init__(self, in_flight: "InFlight") -> None:
        self._in_flight = in_flight
        self._landed = False

    def land(self) -> None:
        """Count the payout as answered: just before its last bytes go out.

        Not after: a caller that has its answer may send the next payout before this thread runs again, and would be
        seen twice at once though it never was.
        """
        if not self._landed:
            self._landed = True
            self._in_flight.leave()


class InFlight:
    """How many payouts are in flight, and the most there were at once since the last reset."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._now = 0
        self._most = 0

    def board(self) -> Flight:
        """Count one more payout."""
        with self._lock:
            self._now += 1
            self._most = max(self._most, self._now)
        return Flight(self)

    def leave(self) -> None:
        """Count one payout less; only a flight calls this, once."""
        with self._lock:
            self._now -= 1

    def read(self) -> tuple[int, int]:
        """Return how many are in flight now, and the most at once."""
        with self._lock:
            return self._now, self._most

    def reset(self) -> None:
        """Start counting the most at once from what is in flight now."""
        with self._lock:
            self._most = self._now


class Connections:
    """The open connections, and which of them are amid a call."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._busy: dict[socket.socket, bool] = {}
        self._refusing = False

    def add(self, connection: socket.socket) -> None:
        """Take note of a new connection, idle so far."""
        with self._changed:
            self._busy[connection] = False

    def remove(self, connection: socket.socket) -> None:
        """Forget a connection that was closed."""
        with self._changed:
            self._busy.pop(connection, None)
            self._changed.notify_all()

    def set_busy(self, connection: socket.socket, *, busy: bool) -> None:
        """Tell that a call on *connection* began or ended."""
        with self._changed:
            self._busy[connection] = busy

    @property
    def refusing(self) -> bool:
        """Whether a connection must be closed after the call it is amid."""
        with self._changed:
            return self._refusing

    def refuse(self) -> None:
        """Hang up idle connections, for a bank that cannot be reached must not be reached by an old line either."""
        with self._changed:
            self._refusing = True
            for connection, busy in self._busy.items():
                if not busy:
                    _hang_up(connection)

    def welcome(self) -> None:
        """End the refusing."""
        with self._changed:
            self._refusing = False

    def hang_up_all(self, *, patience_s: float) -> bool:
        """End every connection and wait for the threads behind them; False when some did not end in time."""
        with self._changed:
            self._refusing = True
            for connection in self._busy:
                _hang_up(connection)
            return self._changed.wait_for(lambda: not self._busy, patience_s)


def _hang_up(connection: socket.socket) -> None:
    # The other side, or the thread that serves the connection, may have closed it a moment ago.
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
