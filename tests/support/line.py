"""A line of our own between two processes: it carries what they say, until it is told to fail them."""

import socket
import struct
import threading
from contextlib import suppress
from enum import Enum, auto
from types import TracebackType
from typing import Self

CHUNK = 65536
RESET = struct.pack("ii", 1, 0)


class Weather(Enum):
    """What becomes of what is said."""

    FAIR = auto()
    """All of it arrives."""
    DEAF = auto()
    """What is asked arrives, what is answered is lost."""
    STILL = auto()
    """Nothing arrives, either way, for now."""


class Line:
    """A TCP port of 127.0.0.1 that leads to *far_end*: a host and a port, or the path of a socket.

    It can be spoiled at any time, for those who talk over it now and those who come later, until it is mended.
    """

    def __init__(self, far_end: tuple[str, int] | str) -> None:
        self._far_end = far_end
        self._changed = threading.Condition()
        self._weather = Weather.FAIR
        self._ends: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._door: socket.socket | None = None
        self.port = 0
        self.mend()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self._change(Weather.FAIR)
        for thread in self._threads:
            thread.join(10)

    def mend(self) -> None:
        """Carry everything, what was held back too, and let callers in again."""
        self._change(Weather.FAIR)
        if self._door is None:
            self._door = socket.create_server(("127.0.0.1", self.port), backlog=128)
            self.port = self._door.getsockname()[1]
            self._run(self._let_in, self._door)

    def drop_answers(self) -> None:
        """Lose what the far end answers; it hears everything."""
        self._change(Weather.DEAF)

    def hold(self) -> None:
        """Carry nothing for now."""
        self._change(Weather.STILL)

    def cut(self) -> None:
        """Hang up on everybody who talks now; what was on its way is lost."""
        with self._changed:
            for end in self._ends:
                with suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    end.shutdown(socket.SHUT_RDWR)

    def refuse(self) -> None:
        """Cut the line, and let nobody in: who tries to connect is refused."""
        door, self._door = self._door, None
        if door is not None:
            door.shutdown(socket.SHUT_RDWR)
            door.close()
        self.cut()

    def _change(self, weather: Weather) -> None:
        with self._changed:
            self._weather = weather
            self._changed.notify_all()

    def _let_in(self, door: socket.socket) -> None:
        with suppress(OSError):  # the door is shut
            while True:
                near, _ = door.accept()
                self._run(self._carry, near)

    def _carry(self, near: socket.socket) -> None:
        with near, suppress(OSError), self._reached() as far:
            with self._changed:
                self._ends |= {near, far}
            answers = self._run(self._pass_on, far, near, Weather.DEAF)
            self._pass_on(near, far, None)
            answers.join()
            with self._changed:
                self._ends -= {near, far}

    def _reached(self) -> socket.socket:
        if isinstance(self._far_end, tuple):
            return socket.create_connection(self._far_end)
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(self._far_end)
        except OSError:
            far.close()
            raise
        return far

    def _pass_on(self, source: socket.socket, sink: socket.socket, lost_in: Weather | None) -> None:
        """Carry one way until the source has no more to say; nothing of it in the weather that it is *lost_in*."""
        with suppress(OSError):
            while message := source.recv(CHUNK):
                with self._changed:
                    self._changed.wait_for(lambda: self._weather is not Weather.STILL)
                    lost = self._weather is lost_in
                if not lost:
                    sink.sendall(message)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _run(self, work: object, *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()
        return thread
