"""A TCP proxy between two processes, which forwards until it is set to fail."""

import socket
import struct
import threading
from contextlib import suppress
from enum import Enum, auto
from types import TracebackType
from typing import Self

CHUNK = 65536
RESET = struct.pack("ii", 1, 0)


class Mode(Enum):
    """What happens to the bytes."""

    FORWARD = auto()
    """All of it arrives."""
    DROP_ANSWERS = auto()
    """Requests arrive, answers are lost."""
    HOLD = auto()
    """Nothing arrives, either way, for now."""


class TcpProxy:
    """A TCP port of 127.0.0.1 that leads to *far_end*: a host and a port, or the path of a socket.

    It can be set to fail at any time, for open connections and new ones, until it is restored.
    """

    def __init__(self, upstream: tuple[str, int] | str) -> None:
        self._upstream = upstream
        self._changed = threading.Condition()
        self._mode = Mode.FORWARD
        self._ends: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self.port = 0
        self.restore()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self._change(Mode.FORWARD)
        for thread in self._threads:
            thread.join(10)

    def restore(self) -> None:
        """Carry everything, what was held back too, and let callers in again."""
        self._change(Mode.FORWARD)
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
            self.port = self._listener.getsockname()[1]
            self._run(self._accept, self._listener)

    def drop_answers(self) -> None:
        """Lose the upstream's answers; it receives everything."""
        self._change(Mode.DROP_ANSWERS)

    def hold(self) -> None:
        """Carry nothing for now."""
        self._change(Mode.HOLD)

    def cut(self) -> None:
        """Reset all open connections; what was in flight is lost."""
        with self._changed:
            for end in self._ends:
                with suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    end.shutdown(socket.SHUT_RDWR)

    def refuse(self) -> None:
        """Reset all connections, and refuse new ones."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut()

    def _change(self, mode: Mode) -> None:
        with self._changed:
            self._mode = mode
            self._changed.notify_all()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # the door is shut
            while True:
                near, _ = listener.accept()
                self._run(self._relay, near)

    def _relay(self, near: socket.socket) -> None:
        with near, suppress(OSError), self._connect() as far:
            with self._changed:
                self._ends |= {near, far}
            answers = self._run(self._forward, far, near, Mode.DROP_ANSWERS)
            self._forward(near, far, None)
            answers.join()
            with self._changed:
                self._ends -= {near, far}

    def _connect(self) -> socket.socket:
        if isinstance(self._upstream, tuple):
            return socket.create_connection(self._upstream)
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(self._upstream)
        except OSError:
            far.close()
            raise
        return far

    def _forward(self, source: socket.socket, sink: socket.socket, dropped_in: Mode | None) -> None:
        """Forward one direction until the source closes; nothing in the mode that it is *dropped_in*."""
        with suppress(OSError):
            while message := source.recv(CHUNK):
                with self._changed:
                    self._changed.wait_for(lambda: self._mode is not Mode.HOLD)
                    lost = self._mode is dropped_in
                if not lost:
                    sink.sendall(message)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _run(self, work: object, *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()
        return thread
