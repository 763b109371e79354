"""The bank's HTTP: reads a call, has it decided, and sends the response."""

import logging
import socket
import socketserver
import ssl
import sys
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias
from urllib.parse import parse_qs, unquote

from bank_stub import wire
from bank_stub.behaviour import Behaviour
from bank_stub.contract import KEY_CHARACTERS_MAX, UNKNOWN_PATH, Answer, Call, Delivery, Purpose, refused
from bank_stub.fields import INTEGER_MAX, RefusalError
from bank_stub.orders import Order, Orders
from bank_stub.pauses import Pauses
from bank_stub.security import Security
from bank_stub.traffic import Connections, Flight, InFlight

SOCKET_TIMEOUT_S = 60
BODY_BYTES_MAX = 64 * 1024
DRAIN_BYTES_MAX = 4 * 1024 * 1024
LEDGER_LINES_DEFAULT = 100
LEDGER_LINES_MAX = 1000
BACKLOG = 128

log = logging.getLogger("bank_stub")

Address: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Hall:
    """What all connections of one bank share, also while connections are refused."""

    behaviour: Behaviour
    orders: Orders
    pauses: Pauses
    in_flight: InFlight
    connections: Connections
    security: Security


class Handler(BaseHTTPRequestHandler):
    """One connection with any number of consecutive calls."""

    protocol_version = "HTTP/1.1"
    timeout = SOCKET_TIMEOUT_S
    disable_nagle_algorithm = True
    server: "Listener"

    def do_GET(self) -> None:
        """Serve a query."""
        self._serve()

    def do_POST(self) -> None:
        """Serve a payment, or an order of a test."""
        self._serve()

    def do_DELETE(self) -> None:
        """Serve an order to remove something."""
        self._serve()

    def _serve(self) -> None:
        """Serve one call; the client gets a JSON response or a closed connection."""
        hall = self.server.hall
        path, _, query = self.path.partition("?")
        flight = hall.in_flight.board() if (self.command, path) == ("POST", "/") else None
        hall.connections.set_busy(self.connection, busy=True)
        try:
            self._answer(path, query, flight)
        except OSError:
            # The client has gone or does not read its response. What was executed is in the book.
            self.close_connection = True
        finally:
            if flight is not None:
                flight.land()
            hall.connections.set_busy(self.connection, busy=False)
            if hall.connections.refusing:
                self.close_connection = True

    def _answer(self, path: str, query: str, flight: Flight | None) -> None:
        try:
            delivery = self._decide(path, query, self._read_body())
        except RefusalError as refusal:
            delivery = Delivery(refused(refusal.status, refusal.reason))
        except OSError:
            raise
        except Exception:  # the client must never see a stack trace, whatever is wrong here
            log.exception("the bank stub failed on %s %s", self.command, path)
            delivery = Delivery(Answer(500, {"data": "error", "status": 500}))
        if delivery is None:
            self.close_connection = True
        else:
            self._send(delivery, flight)

    def _decide(self, path: str, query: str, body: bytes) -> Delivery | None:
        """Return the response to a call, after the pauses of its fault; None if the bank stopped meanwhile."""
        hall = self.server.hall
        if not hall.security.lets_in(self.headers.get("Authorization")):
            raise RefusalError(401, "send the bearer token")
        if path.startswith("/orders/"):
            order = Order(self.command, path.removeprefix("/orders"), query, body)
            return Delivery(hall.orders.carry_out(order))
        call = self._call(path, query, body)
        if call is None:
            return Delivery(UNKNOWN_PATH)
        plan = hall.behaviour.receive(call)
        if not hall.pauses.endure(plan.before, call.key):
            return None
        delivery = hall.behaviour.act(plan)
        return delivery if hall.pauses.endure(plan.after, call.key) else None

    def _call(self, path: str, query: str, body: bytes) -> Call | None:
        match self.command, path.split("/", 2)[1:]:
            case "POST", [""]:
                return Call(Purpose.PAY, path, self._key(), body)
            case "POST", ["collections"]:
                return Call(Purpose.COLLECT, path, self._key(), body)
            case "GET", ["transfers", key] if key:
                return Call(Purpose.ASK_PAYOUT, path, unquote(key))
            case "GET", ["collections", key] if key:
                return Call(Purpose.ASK_COLLECTION, path, unquote(key))
            case "GET", ["ledger"]:
                after = _query_number(query, "after", default=0, at_least=0)
                limit = _query_number(query, "limit", default=LEDGER_LINES_DEFAULT, at_least=1)
                return Call(Purpose.READ_LEDGER, path, after=after, limit=min(limit, LEDGER_LINES_MAX))
        return None

    def _key(self) -> str | None:
        """Read the key; an empty one means none."""
        key = (self.headers.get("Idempotency-Key") or "").strip()
        if len(key) > KEY_CHARACTERS_MAX or not (key.isascii() and key.isprintable()):
            raise RefusalError(400, f"Idempotency-Key must be up to {KEY_CHARACTERS_MAX} printable ASCII characters")
        return key or None

    def _read_body(self) -> bytes:
        """Read the whole body, so that no part of it is parsed as the next call."""
        if "Transfer-Encoding" in self.headers:
            self.close_connection = True
            raise RefusalError(411, "Content-Length is required")
        length_text = self.headers.get("Content-Length") or "0"
        length = _whole_number(length_text)
        if length is None:
            self.close_connection = True
            raise RefusalError(400, "Content-Length is not a number")
        if length > BODY_BYTES_MAX:
            self.close_connection = True
            # Without reading on, a client that is still sending would be reset and lose the response.
            self._drain(min(length, DRAIN_BYTES_MAX))
            raise RefusalError(413, f"the body is over {BODY_BYTES_MAX} bytes")
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("the client went away amid its own body")
        return body

    def _drain(self, bytes_max: int) -> None:
        while bytes_max > 0 and (chunk := self.rfile.read(min(bytes_max, BODY_BYTES_MAX))):
            bytes_max -= len(chunk)

    def _send(self, delivery: Delivery, flight: Flight | None) -> None:
        hall = self.server.hall
        line = wire.Line(
            connection=self.connection,
            pauses=hall.pauses,
            landed=flight.land if flight is not None else _nobody_counts,
            last=self.close_connection or hall.connections.refusing,
        )
        self.close_connection = not wire.send(line, delivery)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002  # http.server's
        """Refuse invalid HTTP, in JSON as usual."""
        self.close_connection = True
        self._send(Delivery(refused(code, message or "not understood")), None)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's own name
        """Log nothing: standard output is for the line that reports readiness."""


class Listener(ThreadingHTTPServer):
    """Accepts connections until it is closed; each has a thread."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = BACKLOG

    def __init__(self, address: Address, hall: Hall, tls: ssl.SSLContext | None) -> None:
        self.hall = hall
        self._tls = tls
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        """Bind without a reverse lookup of the host name, which may take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.socket.getsockname()[:2]

    def get_request(self) -> tuple[socket.socket, Address]:
        """Accept a connection; the TLS handshake runs on its thread, so that a silent caller delays no other."""
        connection, address = super().get_request()
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Address) -> None:
        """Register the connection before its thread starts, so that closing all connections includes it."""
        if isinstance(request, socket.socket):
            self.hall.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close the connection and remove it."""
        super().shutdown_request(request)
        if isinstance(request, socket.socket):
            self.hall.connections.remove(request)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002  # socketserver's
        """Ignore clients that disconnect: for this bank that is usual."""
        error = sys.exception()
        level = logging.DEBUG if isinstance(error, OSError) else logging.ERROR
        log.log(level, "connection from %s broke off", client_address, exc_info=error)


def _query_number(query: str, name: str, *, default: int, at_least: int) -> int:
    text = parse_qs(query).get(name, [str(default)])[0]
    number = _whole_number(text)
    if number is None or number < at_least:
        raise RefusalError(400, f"{name} must be a whole number from {at_least}")
    return number


def _whole_number(text: str) -> int | None:
    """Parse digits only, within the range that can be stored."""
    digits = text.isascii() and text.isdecimal() and len(text) < len(str(INTEGER_MAX))
    return int(text) if digits else None


def _nobody_counts() -> None:
    """Do nothing: the call is not a payout in flight."""
