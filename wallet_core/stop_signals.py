"""SIGTERM and SIGINT, received by a thread that waits for them, from the start of a process on.

They are blocked, not only handled: a handler interrupts the main thread anywhere, and before a handler is set a signal
ends the process with an error. A blocked signal stays pending until the thread receives it. A parent that blocks both
before it starts a process (``walletctl.local.child``) leaves no moment in which one could be lost.
"""

import signal
import threading

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


def block_stop_signals() -> None:
    """Keep both signals pending. Call it before the process starts a thread: threads inherit what is blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def restore_stop_signals() -> None:
    """Restore the default action of both signals; it applies to a pending one immediately."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def stop_event() -> threading.Event:
    """Return an event that is set by the first SIGTERM or SIGINT. Call it as the first thing a process does."""
    block_stop_signals()
    stopping = threading.Event()
    for number in STOP_SIGNALS:
        # For moments in which a library has unblocked them: multiprocessing does so with its first process.
        signal.signal(number, lambda *_: stopping.set())

    def wait_for_signal() -> None:
        signal.sigwait(STOP_SIGNALS)
        stopping.set()

    threading.Thread(target=wait_for_signal, name="stop-signals", daemon=True).start()
    return stopping
