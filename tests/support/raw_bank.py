"""A bank made of one fixed answer, for bytes that no bank would send."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Answer every call with these bytes and close; yield the address to call."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=_serve, args=(door, answer), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
        door.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def http_200(body: bytes) -> bytes:
    """Return a well-formed answer with this body."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def _serve(door: socket.socket, answer: bytes) -> None:
    while True:
        try:
            line, _ = door.accept()
        except OSError:
            return
        with line:
            line.settimeout(10)
            line.recv(65536)
            line.sendall(answer)
            line.shutdown(socket.SHUT_WR)
            while line.recv(65536):
                pass
