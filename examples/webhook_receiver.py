"""Receive events: verify each request, answer at once, process it once, and refuse what is not from the service."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue
from typing import ClassVar
from urllib.request import Request, urlopen
from uuid import uuid4

from standardwebhooks import Webhook, WebhookVerificationError

from wallet_client import Amount, WalletClient


class Receiver(BaseHTTPRequestHandler):
    """An endpoint. A real one stores the event before it answers, e.g. in its database under the webhook-id."""

    secret = ""
    events: ClassVar[Queue[dict[str, str]]] = Queue()
    processed: ClassVar[set[str]] = set()

    def do_POST(self) -> None:
        """Verify, store, answer."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            Webhook(self.secret).verify(body, dict(self.headers))
        except WebhookVerificationError:
            self.send_response(401)
        else:
            message = self.headers["webhook-id"]
            if message not in self.processed:  # a retry has the same id
                self.processed.add(message)
                self.events.put(json.loads(body))
            self.send_response(204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def main(target: str) -> None:
    """Create a webhook for one owner's wallets, move money, and receive what happens."""
    owner = f"shop-{uuid4().hex[:8]}"  # so that the example can run again
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/events"
    with WalletClient(target) as client:
        created = client.create_webhook(url, owner=owner)
        Receiver.secret = created.secret  # shown once: store it like a password
        wallet = client.create_wallet(owner, "USD", owner=owner).wallet.name
        client.deposit(wallet, Amount("USD", 80_00))

        for _ in range(2):
            event = Receiver.events.get(timeout=30)
            print(f"received {event['type']}")
        try:
            urlopen(Request(url, data=b"{}", headers={"webhook-id": "msg_forged"}))
        except OSError as refused:
            print(f"forged: {refused}")

        client.delete_webhook(created.webhook.name)
    server.shutdown()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051")
