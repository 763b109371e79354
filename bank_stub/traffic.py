"""Counts payouts in flight, and tracks connections that may have to be closed."""

import contextlib
import socket
from threading import Condition, Lock


class Flight:
    """One payout in flight; a second landing has no effect."""

    def __init__(self, in_flight: "InFlight") -> None:
        self._in_flight = in_flight
        self._landed = False

    def land(self) -> None:
        """Count the payout as answered, just before its last bytes are sent.

        Not after: a caller that has its response may send the next payout before this thread runs again, and the two
        would be counted as simultaneous.
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
        """Count one payout fewer; a flight calls this once."""
        with self._lock:
            self._now -= 1

    def read(self) -> tuple[int, int]:
        """Return how many are in flight now, and the most at once."""
        with self._lock:
            return self._now, self._most

    def reset(self) -> None:
        """Reset the maximum to the number in flight now."""
        with self._lock:
            self._most = self._now


class Connections:
    """The open connections, and which of them are in a call."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._busy: dict[socket.socket, bool] = {}
        self._refusing = False

    def add(self, connection: socket.socket) -> None:
        """Register a new, idle connection."""
        with self._changed:
            self._busy[connection] = False

    def remove(self, connection: socket.socket) -> None:
        """Remove a closed connection."""
        with self._changed:
            self._busy.pop(connection, None)
            self._changed.notify_all()

    def set_busy(self, connection: socket.socket, *, busy: bool) -> None:
        """Record that a call on *connection* began or ended."""
        with self._changed:
            self._busy[connection] = busy

    @property
    def refusing(self) -> bool:
        """Whether a connection must be closed after its current call."""
        with self._changed:
            return self._refusing

    def refuse(self) -> None:
        """Close idle connections: an unreachable bank must not be reachable through an old connection."""
        with self._changed:
            self._refusing = True
            for connection, busy in self._busy.items():
                if not busy:
                    _hang_up(connection)

    def welcome(self) -> None:
        """Accept connections again."""
        with self._changed:
            self._refusing = False

    def hang_up_all(self, *, timeout_s: float) -> bool:
        """Close every connection and wait for its thread; False if some did not end in time."""
        with self._changed:
            self._refusing = True
            for connection in self._busy:
                _hang_up(connection)
            return self._changed.wait_for(lambda: not self._busy, timeout_s)


def _hang_up(connection: socket.socket) -> None:
    # The other side, or the thread that serves the connection, may have closed it a moment ago.
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
