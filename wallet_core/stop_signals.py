"""SIGTERM and SIGINT, taken by a thread that waits for them, from the first line of a process on.

They are blocked, not only handled: a handler runs in the middle of whatever the main thread does, and before a handler
is set a signal ends the process with an error. A blocked signal stays pending until the thread takes it. A parent that
blocks both before it starts a process (``walletctl.local.child``) leaves no moment in which one could be lost.
"""

import signal
import threading

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


def block_stop_signals() -> None:
    """Keep both signals pending. Call it before the process starts a thread: threads inherit what is blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def restore_stop_signals() -> None:
    """Let both signals do what they do by default; one that is pending does it now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def stop_event() -> threading.Event:
    """Return an event that is set by the first SIGTERM or SIGINT. Call it as the first thing a process does."""
    block_stop_signals()
    stopping = threading.Event()
    for number in STOP_SIGNALS:
        # For moments in which a library has unblocked them: multiprocessing does when it starts its first process.
        signal.signal(number, lambda *_: stopping.set())

    def wait_for_signal() -> None:
        signal.sigwait(STOP_SIGNALS)
        stopping.set()

    threading.Thread(target=wait_for_signal, name="stop-signals", daemon=True).start()
    return stopping
