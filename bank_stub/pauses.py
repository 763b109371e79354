"""The bank's waits: delays, holds, and the shutdown."""

from threading import Event, Lock

from bank_stub.behaviour import Wait

HOLD_MAX_S = 600.0


class Pauses:
    """Waits that all end at once when the bank stops."""

    def __init__(self) -> None:
        self._stopping = Event()
        self._lock = Lock()
        self._held: dict[Event, str | None] = {}

    def endure(self, wait: Wait, key: str | None) -> bool:
        """Wait, for a call with *key*; False if the bank stopped meanwhile, and nothing more may be done."""
        if wait.held:
            self._hold(key)
        if wait.delay_s:
            self._stopping.wait(wait.delay_s)
        return not self._stopping.is_set()

    def sleep(self, delay_s: float) -> bool:
        """Wait a number of seconds; False if the bank stopped meanwhile."""
        return not self._stopping.wait(delay_s)

    def release(self, key: str | None) -> int:
        """Release the calls held for *key*, or all, and return their number, which may be zero."""
        with self._lock:
            released = [event for event, held_key in self._held.items() if key in {None, held_key}]
            for event in released:
                del self._held[event]
                event.set()
        return len(released)

    def held(self) -> int:
        """Return the number of held calls."""
        with self._lock:
            return len(self._held)

    def stop(self) -> None:
        """End every wait, now and from now on."""
        self._stopping.set()
        self.release(None)

    def _hold(self, key: str | None) -> None:
        event = Event()
        with self._lock:
            if self._stopping.is_set():
                return
            self._held[event] = key
        event.wait(HOLD_MAX_S)
        with self._lock:
            self._held.pop(event, None)
