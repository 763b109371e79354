"""Everything the bank waits for: delays, holds, and the end of its day."""

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
        """Wait as told, for a call with *key*; False when the bank stopped meanwhile and nothing more may be done."""
        if wait.held:
            self._hold(key)
        if wait.delay_s:
            self._stopping.wait(wait.delay_s)
        return not self._stopping.is_set()

    def sleep(self, delay_s: float) -> bool:
        """Wait so many seconds; False when the bank stopped meanwhile."""
        return not self._stopping.wait(delay_s)

    def release(self, key: str | None) -> int:
        """Let go of what is held for *key*, or of everything, and count it; nothing held is no error."""
        with self._lock:
            released = [event for event, held_key in self._held.items() if key in {None, held_key}]
            for event in released:
                del self._held[event]
                event.set()
        return len(released)

    def held(self) -> int:
        """Count what is held now."""
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
