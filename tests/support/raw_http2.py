"""HTTP/2 by hand, for what no gRPC client does: windows of nothing, and calls whose request never comes."""

import socket
import threading
from contextlib import suppress
from itertools import count
from typing import Self

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING = 0, 1, 3, 4, 6
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_INITIAL_WINDOW_SIZE = 4
_HEAD = 9


class RawHttp2:
    """A connection that takes no byte of any answer: its window is 0, and stays so."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._streams = count(1, 2)
        self.ended: set[int] = set()
        """Streams that the server has ended."""
        self._connection = socket.create_connection((host, int(port)), timeout=30)
        window_of_nothing = _INITIAL_WINDOW_SIZE.to_bytes(2) + (0).to_bytes(4)
        self._connection.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, window_of_nothing))
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()
        self._reading.join(10)

    @property
    def is_closed(self) -> bool:
        """Whether the server has closed the connection."""
        return not self._reading.is_alive()

    def call(self, method: str, *, request: bytes | None = b"") -> int:
        """Begin a call, with a message as its request, or without one; return the number of its stream."""
        stream = next(self._streams)
        headers = {
            ":method": "POST",
            ":scheme": "http",
            ":path": method,
            ":authority": "localhost",
            "content-type": "application/grpc",
            "te": "trailers",
        }
        block = b"".join(b"\0" + _text(name) + _text(value) for name, value in headers.items())
        sent = _frame(_HEADERS, _END_HEADERS, stream, block)
        if request is not None:
            sent += _frame(_DATA, _END_STREAM, stream, b"\0" + len(request).to_bytes(4) + request)
        self._connection.sendall(sent)
        return stream

    def _read(self) -> None:
        """Answer what HTTP/2 itself must have answered; all else is left."""
        with suppress(OSError):
            while head := self._take(_HEAD):
                payload = self._take(int.from_bytes(head[:3]))
                kind, flags = head[3], head[4]
                if kind == _RESET or (kind == _HEADERS and flags & _END_STREAM):
                    self.ended.add(int.from_bytes(head[5:]))
                if kind in {_SETTINGS, _PING} and not flags & _ACK:
                    self._connection.sendall(_frame(kind, _ACK, 0, payload if kind == _PING else b""))

    def _take(self, size: int) -> bytes:
        taken = b""
        while len(taken) < size and (more := self._connection.recv(size - len(taken))):
            taken += more
        return taken


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def _text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()
