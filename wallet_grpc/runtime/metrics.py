"""The server's Prometheus metrics, and the page ``/metrics``.

The processes of a server write their metrics into files of one folder, and the page adds them up. A file is named after
the number of its process and not after the pid: the replacement of a dead process continues its counters.
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
from wallet_core.domain.model.webhook import WebhookVitals
from wallet_grpc.runtime import recent
from wallet_grpc.runtime.listening import CannotListen

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library's own; it looks there when it is imported

_PROCESS = current_process().name  # a worker has its own before it imports this
if _PROCESS == "MainProcess":
    values.ValueClass = values.MutexValue  # whatever the environment says
elif _FOLDER in os.environ:  # noqa: TID251  # set by our supervisor
    values.ValueClass = values.MultiProcessValue(lambda: _PROCESS)  # type: ignore[no-untyped-call]  # the library

_HANDLED = Counter(
    "grpc_server_handled_total",
    "Completed calls, by status code.",
    ["grpc_service", "grpc_method", "grpc_code"],
)
_REFUSED = Counter("wallet_refusals_total", "Failed calls, by error reason.", ["grpc_method", "reason"])
_SECONDS = Histogram(
    "grpc_server_handling_seconds",
    "Seconds that calls spent on a server thread, without queueing.",
    ["grpc_service", "grpc_method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
QUEUED = Gauge("wallet_calls_queued", "Calls that wait for a thread.", multiprocess_mode="livesum")
RECEIVING = Gauge("wallet_calls_receiving", "Calls whose request has not arrived.", multiprocess_mode="livesum")
UNSENT_BYTES = Gauge(
    "wallet_unsent_response_bytes", "Bytes of responses that clients have not read yet.", multiprocess_mode="livesum"
)
DROPPED = Counter(
    "wallet_calls_dropped_total",
    "Calls that were ended because the request did not arrive, or the response was not read, in time.",
    ["stage"],
)
_BANK_STATEMENT_READ = Gauge(
    "wallet_bank_statement_read_timestamp_seconds",
    "When the bank statement was last read to its end, in Unix time; 0: never.",
    multiprocess_mode="max",
)
_CLOCK_BEHIND = Gauge(
    "wallet_clock_behind_seconds",
    "How far the database's clock is behind the last transaction of a system wallet.",
    multiprocess_mode="max",
)
_UNPUBLISHED = Gauge(
    "wallet_events_unpublished",
    "Committed events that are not yet in the journal, counted up to 100,000.",
    multiprocess_mode="max",
)
_UNPUBLISHED_SECONDS = Gauge(
    "wallet_events_unpublished_seconds",
    "How long the oldest event that is not yet in the journal has waited.",
    multiprocess_mode="max",
)
_JOURNAL_END = Gauge("wallet_journal_records", "The number of the last journal record.", multiprocess_mode="max")
_CHECKPOINT = Gauge(
    "wallet_checkpoint_timestamp_seconds",
    "When the last checkpoint of the journal was signed, in Unix time; 0: never.",
    multiprocess_mode="max",
)
_DELIVERIES = Gauge(
    "wallet_webhook_deliveries",
    "Deliveries to webhooks that are pending, and dead letters, counted up to a limit.",
    ["state"],
    multiprocess_mode="max",
)
_OLDEST_DELIVERY = Gauge(
    "wallet_webhook_oldest_pending_timestamp_seconds",
    "When the oldest pending delivery was queued, in Unix time; 0: none is pending.",
    multiprocess_mode="max",
)
_DISABLED_WEBHOOKS = Gauge(
    "wallet_webhooks_disabled", "Webhooks that the service has disabled.", multiprocess_mode="max"
)
IN_PROGRESS = Gauge("wallet_calls_in_progress", "Calls that are being processed.", multiprocess_mode="livesum")


_LOOP_FAILED = Counter("wallet_loop_failures_total", "Failed runs of the process's background loops.", ["loop"])
_LOOP_FAILING = Gauge(
    "wallet_loop_failing",
    "Consecutive failed runs of a background loop; 0: it works.",
    ["loop"],
    multiprocess_mode="max",
)


class MetricsFolderUnavailable(Exception):
    """The folder for the metrics of several processes cannot be created."""


def count(method: str, code: str, reason: str, seconds: float | None) -> None:
    """Count a completed call; *method* is its full path, *reason* is empty where it succeeded.

    A call that took no thread has no *seconds*.
    """
    service, _, name = method[1:].partition("/")
    _HANDLED.labels(service, name, code).inc()
    if seconds is not None:
        _SECONDS.labels(service, name).observe(seconds)
        recent.record(seconds)
    if reason:
        _REFUSED.labels(name, reason).inc()


def _count_loop(name: str, failed: int) -> None:
    _LOOP_FAILING.labels(name).set(failed)
    if failed:
        _LOOP_FAILED.labels(name).inc()


Loop.on_change = staticmethod(_count_loop)


def set_vitals(vitals: Vitals, webhooks: WebhookVitals) -> None:
    """Publish the values that were read last."""
    read_at = vitals.bank_statement_read_time
    _BANK_STATEMENT_READ.set(read_at.timestamp() if read_at is not None else 0)
    _CLOCK_BEHIND.set(vitals.clock_behind.total_seconds())
    _UNPUBLISHED.set(vitals.unpublished)
    _UNPUBLISHED_SECONDS.set(vitals.unpublished_for.total_seconds())
    _JOURNAL_END.set(vitals.journal_end)
    signed_at = vitals.checkpoint_time
    _CHECKPOINT.set(signed_at.timestamp() if signed_at is not None else 0)
    _DELIVERIES.labels("pending").set(webhooks.pending)
    _DELIVERIES.labels("dead").set(webhooks.dead)
    _DISABLED_WEBHOOKS.set(webhooks.disabled)
    oldest = webhooks.oldest_pending
    _OLDEST_DELIVERY.set(oldest.timestamp() if oldest is not None else 0)


@contextmanager
def metrics_page(host: str, port: int | None, folder: str | None = None) -> Iterator[None]:
    """Serve the page, for this process or for all that write into *folder*; without a port there is none.

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
    """Let processes that are started from here write into one folder, and yield it; without a port yield None.

    Raises ``MetricsFolderUnavailable``.
    """
    if port is None:
        yield None
        return
    try:
        temporary = tempfile.TemporaryDirectory(prefix="wallet-metrics-")
    except OSError as error:
        raise MetricsFolderUnavailable(
            f"the folder for the metrics of several workers cannot be created: {error}"
        ) from None
    with temporary as folder:
        os.environ[_FOLDER] = folder  # noqa: TID251  # the library reads it there
        try:
            yield folder
        finally:
            del os.environ[_FOLDER]  # noqa: TID251  # as above


def forget_process(folder: str | None, name: str) -> None:
    """Remove a dead process from the gauges; its counters remain."""
    if folder is not None:
        mark_process_dead(name, folder)  # type: ignore[no-untyped-call]  # any name that a process counts under
