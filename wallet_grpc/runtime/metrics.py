"""What the server counts for Prometheus, and the one page that tells it: ``/metrics``.

Several processes of a server count into files of one folder, each into its own, and the page adds them up. A file is
named after the place of its process and not after its pid: whoever replaces a dead process counts on where that ended.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import current_process

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, start_http_server, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from wallet_core.background import Loop
from wallet_core.domain.model.attention import Vitals
from wallet_grpc.runtime.listening import CannotListen

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library's own; it looks there when it is imported

_PROCESS = current_process().name  # a worker has its own before it imports this
if _PROCESS == "MainProcess":
    values.ValueClass = values.MutexValue  # whatever whoever runs us has set
elif _FOLDER in os.environ:  # noqa: TID251  # set by our supervisor
    values.ValueClass = values.MultiProcessValue(lambda: _PROCESS)  # type: ignore[no-untyped-call]  # the library

_HANDLED = Counter(
    "grpc_server_handled_total",
    "Calls that were answered, by their code.",
    ["grpc_service", "grpc_method", "grpc_code"],
)
_REFUSED = Counter("wallet_refusals_total", "Calls that were refused, by their reason.", ["grpc_method", "reason"])
_SECONDS = Histogram(
    "grpc_server_handling_seconds",
    "How long calls took on a thread of ours, without the wait for one.",
    ["grpc_service", "grpc_method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
WAITING = Gauge("wallet_calls_waiting", "Calls that wait for a thread.", multiprocess_mode="livesum")
RECEIVING = Gauge("wallet_calls_receiving", "Calls whose request has not arrived.", multiprocess_mode="livesum")
UNSENT_BYTES = Gauge(
    "wallet_unsent_bytes", "Bytes of answers that callers have not taken yet.", multiprocess_mode="livesum"
)
CUT_OFF = Counter(
    "wallet_calls_cut_off_total",
    "Calls that were ended because their request did not arrive or their answer was not taken.",
    ["waited_for"],
)
_BANK_STATEMENT_READ = Gauge(
    "wallet_bank_statement_read_timestamp_seconds",
    "When the bank's ledger was last read to its end, Unix time; 0: never.",
    multiprocess_mode="max",
)
_CLOCK_BEHIND = Gauge(
    "wallet_clock_behind_seconds",
    "How far the database's clock is behind the last time of one of the service's own wallets.",
    multiprocess_mode="max",
)
UNDER_WAY = Gauge("wallet_calls_under_way", "Calls that are worked on.", multiprocess_mode="livesum")


_LOOP_FAILED = Counter("wallet_loop_failures_total", "Attempts of the process's own loops that failed.", ["loop"])
_LOOP_FAILING = Gauge(
    "wallet_loop_failing",
    "Attempts of a loop that have failed in a row; 0: it works.",
    ["loop"],
    multiprocess_mode="max",
)


class NowhereToCount(Exception):
    """Several processes count into files, and there is no place for them."""


def count(method: str, code: str, reason: str, seconds: float | None) -> None:
    """Count a call that was answered; *method* is its whole path, *reason* is empty where it was not refused.

    One that no thread was spent on has taken no *seconds*.
    """
    service, _, name = method[1:].partition("/")
    _HANDLED.labels(service, name, code).inc()
    if seconds is not None:
        _SECONDS.labels(service, name).observe(seconds)
    if reason:
        _REFUSED.labels(name, reason).inc()


def _count_loop(name: str, failed: int) -> None:
    _LOOP_FAILING.labels(name).set(failed)
    if failed:
        _LOOP_FAILED.labels(name).inc()


Loop.on_change = staticmethod(_count_loop)


def tell(vitals: Vitals) -> None:
    """Show what was read last."""
    read_at = vitals.bank_statement_read_time
    _BANK_STATEMENT_READ.set(read_at.timestamp() if read_at is not None else 0)
    _CLOCK_BEHIND.set(vitals.clock_behind.total_seconds())


@contextmanager
def metrics_page(host: str, port: int | None, folder: str | None = None) -> Iterator[None]:
    """Serve the page, of this process or of all that count into *folder*; without a port there is none.

    Raises ``CannotListen``.
    """
    if port is None:
        yield
        return
    registry = REGISTRY
    if folder is not None:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]  # the library
    try:
        server, thread = start_http_server(port, host, registry)
    except (OSError, UnicodeError) as error:
        raise CannotListen(host, port, error) from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def counted_together(port: int | None) -> Iterator[str | None]:
    """Have the processes that are started from here count into one folder, and yield it; without a port there is none.

    Raises ``NowhereToCount``.
    """
    if port is None:
        yield None
        return
    try:
        temporary = tempfile.TemporaryDirectory(prefix="wallet-metrics-")
    except OSError as error:
        raise NowhereToCount(f"no temporary folder for what several workers count: {error}") from None
    with temporary as folder:
        os.environ[_FOLDER] = folder  # noqa: TID251  # the one way to tell them
        try:
            yield folder
        finally:
            del os.environ[_FOLDER]  # noqa: TID251  # as above


def forget_process(folder: str | None, name: str) -> None:
    """Count no more what a dead process had in hand; what it has done stays counted."""
    if folder is not None:
        mark_process_dead(name, folder)  # type: ignore[no-untyped-call]  # any name that a process counts under
