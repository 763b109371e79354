"""The demo's events: a watcher and a webhook's receiver, each printing events as they arrive."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from wallet_client import WalletClient, as_dict
from walletctl.output import Row, minor, out

_LONGEST_S = 20.0


@dataclass(frozen=True, slots=True)
class Received:
    """An event, and by which of the two it was received."""

    by: str
    resource: str
    at: float


@dataclass(slots=True)
class Events:
    """The events that the watcher and the webhook's receiver got, in the order of their arrival."""

    received: SimpleQueue[Received] = field(default_factory=SimpleQueue)

    def add(self, by: str, event: Row) -> None:
        """Print an event, and keep it."""
        kind = event["type"].removeprefix("TYPE_").replace("_", ".", 1).lower()
        amount = event.get("transaction", {}).get("amount", {})
        moved = ", " + minor(int(amount["minor_units"]), amount["currency_code"]) if amount else ""
        out.print(f"  [cyan]{by:7}[/] [bold]{kind}[/] [dim]{event['resource']}[/]{moved}")
        self.received.put(Received(by, event["resource"], monotonic()))

    def wait_for(self, resource: str, *receivers: str, longest_s: float = _LONGEST_S) -> dict[str, float]:
        """Return when each receiver got the event of a resource; one that did not get it in time is missing."""
        found: dict[str, float] = {}
        until = monotonic() + longest_s
        while set(receivers) - found.keys():
            try:
                one = self.received.get(timeout=max(0.0, until - monotonic()))
            except Empty:
                break
            if one.resource == resource:
                found.setdefault(one.by, one.at)
        return found


@contextmanager
def receiving(client: WalletClient, wallet: str) -> Iterator[Events]:
    """Watch the events of a wallet, and receive them from a webhook, in this context."""
    events = Events()
    watch = client.watch_events(wallet=wallet)

    def follow() -> None:
        for event in watch:
            events.add("watch", as_dict(event))

    watching = threading.Thread(target=follow, daemon=True)
    with _receiver(events) as (url, learn):
        created = client.create_webhook(url, wallet=wallet)
        learn(created.secret)
        watching.start()
        try:
            yield events
        finally:
            client.delete_webhook(created.webhook.name)


@contextmanager
def _receiver(events: Events) -> Iterator[tuple[str, Callable[[str], None]]]:
    """Run an endpoint that verifies each request; yield its URL, and a function that takes the secret."""
    secrets: list[str] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                Webhook(secrets[0]).verify(body, dict(self.headers))
            except (WebhookVerificationError, IndexError):
                self.send_response(401)
            else:
                events.add("webhook", _snake_case(json.loads(body)))
                self.send_response(204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/events", secrets.append
    finally:
        server.shutdown()
        server.server_close()


def _snake_case(value: Any) -> Any:  # noqa: ANN401  # any JSON
    """Return proto3 JSON with the names of fields as the protos have them."""
    if isinstance(value, dict):
        return {re.sub("([A-Z])", r"_\1", name).lower(): _snake_case(one) for name, one in value.items()}
    return [_snake_case(one) for one in value] if isinstance(value, list) else value
