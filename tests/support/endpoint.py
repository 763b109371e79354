"""An endpoint of a webhook: records every request, verifies it with the specification's library, and answers."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from walletctl.local.waiting import wait_until

_NEVER = threading.Event()


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that was received."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """Its header ``webhook-id``."""
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        """Its body."""
        return dict(json.loads(self.body))

    def is_signed_by(self, secret: str) -> bool:
        """Return whether the specification's library accepts it."""
        try:
            Webhook(secret).verify(self.body, self.headers)
        except WebhookVerificationError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; *delay_s* comes before it, and *trickle* sends it a byte at a time, with pauses."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay_s: float = 0.0
    trickle_s: float = 0.0


@dataclass(slots=True)
class Endpoint:
    """What was received, and what is answered."""

    url: str = ""
    replies: list[Reply] = field(default_factory=list)
    """For the next requests, in order; then *usual*."""
    usual: Reply = field(default_factory=Reply)
    answer: Callable[[Sent], Reply | None] = lambda _: None
    """Comes before both where it returns something."""
    received: list[Sent] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events received, repeats too."""
        return [one.event for one in self.received]

    def until_received(self, count: int, timeout_s: float = 20.0) -> Sequence[Sent]:
        """Wait for this many requests."""
        assert wait_until(lambda: len(self.received) >= count, timeout_s=timeout_s, poll_s=0.01), self.received
        return self.received

    def reply_to(self, sent: Sent) -> Reply:
        """Record a request; return its answer."""
        with self.lock:
            self.received.append(sent)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            chosen = self.answer(sent)
            if chosen is None:
                chosen = self.replies.pop(0) if self.replies else self.usual
            return chosen

    def ended(self) -> None:
        """Count a request as answered."""
        with self.lock:
            self.at_once -= 1


def _handler(endpoint: Endpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reply = endpoint.reply_to(Sent(self.path, {key.lower(): one for key, one in self.headers.items()}, body))
            try:
                _NEVER.wait(reply.delay_s)
                self._write(reply)
            except OSError:
                pass  # the caller has gone
            finally:
                endpoint.ended()
                self.close_connection = True

        def do_GET(self) -> None:
            """Record what a followed redirect would send."""
            endpoint.reply_to(Sent(self.path, {}, b"{}"))

        def _write(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for key, value in reply.headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if not reply.trickle_s:
                self.wfile.write(reply.body)
            for byte in reply.body if reply.trickle_s else b"":
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                _NEVER.wait(reply.trickle_s)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def running_endpoint(*, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Endpoint]:
    """Run an endpoint on this machine."""
    endpoint = Endpoint()

    class Server(ThreadingHTTPServer):
        request_queue_size = 128
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Say nothing of callers that have gone."""

    server = Server(("127.0.0.1", port), _handler(endpoint))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    endpoint.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}/events"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
