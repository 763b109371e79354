"""Sends a response, correctly or distorted by a fault."""

import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from bank_stub.contract import Answer, Delivery, Manner
from bank_stub.pauses import Pauses


@dataclass(frozen=True, slots=True)
class Line:
    """A connection that waits for one response.

    *landed* is called just before the bytes that end the call; *last* announces that the connection closes.
    """

    connection: socket.socket
    pauses: Pauses
    landed: Callable[[], None]
    last: bool


def send(line: Line, delivery: Delivery) -> bool:
    """Send the response and return whether the connection can carry another call.

    Raises OSError if the client has gone, or does not read the bytes before the socket's timeout.
    """
    head, body = _head(delivery.answer, last=line.last), delivery.answer.body_bytes()
    goes_on = False
    match delivery.manner:
        case Manner.PLAIN | Manner.TWICE:
            line.landed()
            line.connection.sendall((head + body) * (2 if delivery.manner is Manner.TWICE else 1))
            goes_on = not line.last
        case Manner.HALF:
            line.landed()
            line.connection.sendall(head + body[: len(body) // 2])
        case Manner.TRICKLE:
            goes_on = _trickle(line, head, body, delivery.interval_s) and not line.last
        case Manner.SILENT:
            _wait_for_hang_up(line.connection, delivery.interval_s)
        case Manner.RESET:
            line.landed()
            _reset(line.connection)
    return goes_on


def _head(answer: Answer, *, last: bool) -> bytes:
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unheard Of"
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(answer.body_bytes()))),
        *answer.headers,
        *([("Connection", "close")] if last else []),
    ]
    lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", errors="replace")


def _trickle(line: Line, head: bytes, body: bytes, interval_s: float) -> bool:
    """Send the head immediately, so that the client expects a response, and then the body byte by byte."""
    line.connection.sendall(head)
    for position in range(len(body)):
        if not line.pauses.sleep(interval_s):
            return False
        if position == len(body) - 1:
            line.landed()
        line.connection.sendall(body[position : position + 1])
    return True


def _wait_for_hang_up(connection: socket.socket, limit_s: float) -> None:
    """Send nothing until the client disconnects or the time is over; a stopping bank closes the connection."""
    deadline = time.monotonic() + limit_s
    while (left_s := deadline - time.monotonic()) > 0:
        connection.settimeout(left_s)
        try:
            if not connection.recv(4096):
                return
        except OSError:
            return


def _reset(connection: socket.socket) -> None:
    """Close with RST instead of FIN; detached, so that no FIN is sent before."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket.close(connection.detach())
