"""A bank that says yes at once, run as a process of its own: what a payout costs when there is no bank to wait for.

It knows nothing of HTTP beyond where a request ends, so that it costs as little as Python can. What it has paid it
remembers, and reports when it is requested.
"""

import asyncio
import json

_END_OF_HEAD = b"\r\n\r\n"


class _Book:
    """What was paid, by key; a repeat is the same payment."""

    def __init__(self) -> None:
        self._paid: dict[str, dict[str, object]] = {}
        self._ledger: list[dict[str, object]] = []

    def answer(self, method: str, url: str, key: str, body: bytes) -> tuple[int, dict[str, object]]:
        """Return status and body of the answer to a request."""
        path, _, query = url.partition("?")
        match method, path.split("/")[1:]:
            case "POST", [""]:
                return 200, {"data": "success", "status": 200, "reference": self._pay(key, json.loads(body))}
            case "GET", ["ledger"]:
                asked = {name: int(value) for name, _, value in (part.partition("=") for part in query.split("&"))}
                lines = self._ledger[asked["after"] : asked["after"] + asked["limit"]]
                return 200, {"lines": lines, "last": len(self._ledger)}
            case "GET", ["transfers", key] if key in self._paid:
                return 200, {**self._paid[key], "state": "executed"}
        return 404, {"key": key, "state": "not_found"}

    def _pay(self, key: str, asked: dict[str, object]) -> str:
        if key not in self._paid:
            number = len(self._ledger) + 1
            known = {"key": key, "amount": asked["amount"], "currency": asked["currency"], "reference": f"b-{number}"}
            self._paid[key] = known
            self._ledger.append({"number": number, "kind": "execution", **known})
        return str(self._paid[key]["reference"])


class _Caller(asyncio.Protocol):
    """One connection; as many requests as its caller likes to send on it."""

    def __init__(self, book: _Book) -> None:
        self._book = book
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(type(transport))
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._unread += data
        while _END_OF_HEAD in self._unread:
            head, _, rest = self._unread.partition(_END_OF_HEAD)
            length = int(_header(head, b"content-length") or 0)
            if len(rest) < length:
                return
            self._unread = rest[length:]
            method, url, _ = head.decode("latin-1").split(" ", 2)
            key = _header(head, b"idempotency-key").decode("latin-1")
            status, said = self._book.answer(method, url, key, rest[:length])
            body = json.dumps(said).encode()
            self._transport.write(b"HTTP/1.1 %d .\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))


def _header(head: bytes, name: bytes) -> bytes:
    """Return a header's value; empty where it is not there."""
    for line in head.split(b"\r\n")[1:]:
        found, _, value = line.partition(b":")
        if found.lower() == name:
            return value.strip()
    return b""


async def _serve() -> None:
    book = _Book()
    server = await asyncio.get_running_loop().create_server(lambda: _Caller(book), "127.0.0.1", 0, backlog=1024)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
