"""The gRPC server: threaded, its interceptors in order, its life from the first call to the last."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import grpc
import structlog
from wallet.v1.audit_service_pb2_grpc import add_AuditServiceServicer_to_server
from wallet.v1.commission_service_pb2_grpc import add_CommissionServiceServicer_to_server
from wallet.v1.event_service_pb2_grpc import add_EventServiceServicer_to_server
from wallet.v1.hold_service_pb2_grpc import add_HoldServiceServicer_to_server
from wallet.v1.info_service_pb2 import ServiceInfo
from wallet.v1.info_service_pb2_grpc import add_InfoServiceServicer_to_server
from wallet.v1.operations_service_pb2_grpc import add_OperationsServiceServicer_to_server
from wallet.v1.schedule_service_pb2_grpc import add_ScheduleServiceServicer_to_server
from wallet.v1.transaction_service_pb2_grpc import add_TransactionServiceServicer_to_server
from wallet.v1.wallet_service_pb2_grpc import add_WalletServiceServicer_to_server
from wallet.v1.webhook_service_pb2_grpc import add_WebhookServiceServicer_to_server

from wallet_core.background import Loop
from wallet_core.domain.model.errors import ServiceError
from wallet_core.open_files import open_files_limit
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_core.usecases.follow_journal import JournalFeed
from wallet_grpc.convert.page_tokens import PageTokens
from wallet_grpc.descriptors import SERVICES
from wallet_grpc.interceptors.admission import Admission
from wallet_grpc.interceptors.authentication import Authentication
from wallet_grpc.interceptors.authorization import ReadAuthorization
from wallet_grpc.interceptors.deadlines import deadlines_interceptor
from wallet_grpc.interceptors.errors import errors_interceptor
from wallet_grpc.interceptors.overload import LoadShedding
from wallet_grpc.interceptors.own_threads import OwnThreads
from wallet_grpc.interceptors.rates import Rates
from wallet_grpc.interceptors.request_log import request_log_interceptor
from wallet_grpc.interceptors.validation import ValidationInterceptor
from wallet_grpc.runtime.listening import address, cannot_listen
from wallet_grpc.runtime.metrics import set_vitals
from wallet_grpc.runtime.receiving import CallLimits, Calls
from wallet_grpc.server.health import Health
from wallet_grpc.server.info import service_info
from wallet_grpc.server.reflection import add_reflection
from wallet_grpc.servicers.audit import AuditServicer
from wallet_grpc.servicers.commission import CommissionServicer
from wallet_grpc.servicers.event import EventServicer
from wallet_grpc.servicers.hold import HoldServicer
from wallet_grpc.servicers.info import InfoServicer
from wallet_grpc.servicers.operations import OperationsServicer
from wallet_grpc.servicers.schedule import ScheduleServicer
from wallet_grpc.servicers.serving import Serving
from wallet_grpc.servicers.streams import StreamLimits, Streams
from wallet_grpc.servicers.transaction import TransactionServicer
from wallet_grpc.servicers.wallet import WalletServicer
from wallet_grpc.servicers.watches import Watches
from wallet_grpc.servicers.webhook import WebhookServicer

_log = structlog.get_logger("wallet.server")

_EVENTS = "wallet.v1.EventService"
_WATCH = f"/{_EVENTS}/WatchEvents"
# Threads beyond those that watch, to refuse a watch too many; and how many may wait for one.
_WATCH_SPARE = 4

_RECEIPT = "/wallet.v1.TransactionService/GetReceipt"

_REFLECTION_THREADS = 4
_REFLECTION_QUEUE_MAX = 16


# Metadata of a call beside its token.
_OTHER_METADATA_BYTES = 8192

# File descriptors for everything but clients' connections and the database's pools: logs, listening sockets, libraries.
_DESCRIPTORS_RESERVED = 128


@contextmanager
def serving(
    app: App,
    settings: Settings,
    authentication: Authentication | None = None,
    credentials: grpc.ServerCredentials | None = None,
) -> Iterator[int]:
    """Serve *app* and yield the port. On exit drain: report NOT_SERVING, finish accepted calls, then stop.

    Without *authentication* every caller has all scopes; without *credentials* connections are in plain text. Raises
    ``CannotListen``.
    """
    calls = Calls(_call_limits(settings))
    admission = Admission(settings.calls.deadline_min_s)
    server = _server(app, settings, calls, admission, authentication or Authentication())
    feed = JournalFeed(app.reads, poll_s=settings.watch.poll_s, page=settings.watch.page, kept=settings.watch.buffer)
    export_limits, watch_limits = _export_limits(settings), _watch_limits(settings)
    exports = Streams("exports", export_limits)
    verifications = Streams("verifications", _verification_limits(settings))
    watches = Watches(
        feed,
        Streams("watches", watch_limits),
        heartbeat_s=settings.watch.heartbeat_s,
        slow_s=settings.streams.stream_stall_s,
    )
    context = Serving(
        app=app,
        page_tokens=PageTokens(app.reads.page_token_key),
        exports=exports,
        verifications=verifications,
        receipts_cached=settings.receipts.cached,
        deadline_max_s=settings.calls.deadline_max_s,
        page_max_bytes=settings.calls.page_max_bytes,
    )
    _add_services(server, context, watches, service_info(settings, exports=export_limits, watches=watch_limits))
    if settings.reflection:
        threads = calls.pool("reflection", _REFLECTION_THREADS, _REFLECTION_QUEUE_MAX)
        add_reflection(server, [*SERVICES, "grpc.health.v1.Health"], threads)
    port = _listen(server, settings.grpc.host, settings.grpc.port, credentials)
    health = Health(
        SERVICES,
        app.ping,
        calls,
        failing=lambda: {_EVENTS} if feed.keeps_failing else frozenset(),
        interval_s=settings.connections.health_interval_s,
        watchers_max=settings.streams.health_watchers_max,
    )
    streams = (exports, verifications, watches)
    health.start(server)
    for part in (calls, *streams, server):
        part.start()
    try:
        with _measuring_vitals(app, settings.connections.health_interval_s), app.on_records(feed.look):
            yield port
    finally:
        health.leave()
        threading.Event().wait(settings.drain.delay_s)  # time for load balancers to see it
        for stream in streams:
            stream.stop()
        _drain(server, admission, settings)
        for closing in (health, calls, *streams):
            closing.close()


def _server(
    app: App, settings: Settings, calls: Calls, admission: Admission, authentication: Authentication
) -> grpc.Server:
    """Return the server with its threads and its interceptors, in the order that a call passes them."""
    workers = calls.pool("grpc", settings.grpc.threads, settings.grpc.queue_max)
    own_pools = {
        _WATCH: calls.pool("watch", settings.streams.watchers_max + _WATCH_SPARE, _WATCH_SPARE),
        _RECEIPT: calls.pool("receipt", settings.receipts.concurrent, settings.receipts.queue_max),
    }
    rates = (settings.access.caller_calls_per_s, settings.access.owner_calls_per_s)
    return grpc.server(
        workers,
        interceptors=[
            LoadShedding(workers, own_pools),
            errors_interceptor(app.currencies.exponent_if_known),
            request_log_interceptor(),
            admission.interceptor(),
            authentication.interceptor(),
            *([Rates(*rates)] if any(rates) else []),
            deadlines_interceptor(settings.calls.deadline_max_s),
            ValidationInterceptor(),
            ReadAuthorization(app),
            OwnThreads(own_pools),
        ],
        options=_options(settings),
        maximum_concurrent_rpcs=settings.grpc.calls_max,
    )


def _call_limits(settings: Settings) -> CallLimits:
    return CallLimits(
        receive_timeout_s=settings.grpc.receive_timeout_s,
        receiving_max=settings.grpc.receiving_max,
        send_timeout_s=settings.grpc.send_timeout_s,
        unsent_max_bytes=settings.grpc.unsent_max_bytes,
    )


def _export_limits(settings: Settings) -> StreamLimits:
    return StreamLimits(
        most=settings.streams.exports_max,
        share=settings.access.caller_share,
        stall_s=settings.streams.stream_stall_s,
        stopping_s=settings.drain.flush_s,
        longest_s=settings.streams.export_longest_s,
    )


def _verification_limits(settings: Settings) -> StreamLimits:
    return StreamLimits(
        most=settings.verify.concurrent,
        share=1.0,
        stall_s=settings.streams.stream_stall_s,
        stopping_s=settings.drain.flush_s,
    )


def _watch_limits(settings: Settings) -> StreamLimits:
    return StreamLimits(
        most=settings.streams.watchers_max,
        share=settings.access.caller_share,
        # A slow watcher gets WATCHER_TOO_SLOW; twice that time is for a watcher that reads nothing at all.
        stall_s=2 * settings.streams.stream_stall_s,
        stopping_s=settings.drain.flush_s,
    )


def _drain(server: grpc.Server, admission: Admission, settings: Settings) -> None:
    """Finish accepted calls while clients reconnect to another server, then stop."""
    # From here on clients get GOAWAY; accepted calls continue. This alone would also wait for every stream of other
    # services, e.g. a health watch, so the server waits for its own calls.
    server.stop(settings.drain.grace_s + settings.drain.flush_s)
    finished = admission.drain(settings.drain.grace_s)
    _log.info("drained", finished=finished)
    # Time for responses that are being sent, and for calls that waited for a thread and are now refused.
    server.stop(settings.drain.flush_s).wait()


def _add_services(server: grpc.Server, context: Serving, watches: Watches, info: ServiceInfo) -> None:
    add_WalletServiceServicer_to_server(WalletServicer(context), server)
    add_TransactionServiceServicer_to_server(TransactionServicer(context), server)
    add_ScheduleServiceServicer_to_server(ScheduleServicer(context), server)
    add_HoldServiceServicer_to_server(HoldServicer(context), server)
    add_CommissionServiceServicer_to_server(CommissionServicer(context), server)
    add_OperationsServiceServicer_to_server(OperationsServicer(context), server)
    add_EventServiceServicer_to_server(EventServicer(context, watches), server)
    add_WebhookServiceServicer_to_server(WebhookServicer(context), server)
    add_InfoServiceServicer_to_server(InfoServicer(context, info), server)
    add_AuditServiceServicer_to_server(AuditServicer(context), server)


def _options(settings: Settings) -> Sequence[tuple[str, int]]:
    """Return the options of the gRPC server."""
    limits = settings.grpc
    metadata_max_bytes = settings.auth.token_max_bytes + _OTHER_METADATA_BYTES
    pools = settings.connections.pool_size + settings.connections.ledger_pool_size
    reserved = pools + settings.verify.concurrent * settings.verify.connections + _DESCRIPTORS_RESERVED
    connections_max = max(1, min(limits.connections_max, open_files_limit() - reserved))
    return [
        # Two servers share a port only where the settings say so.
        ("grpc.so_reuseport", int(limits.workers > 1)),
        ("grpc.max_receive_message_length", limits.message_max_bytes),
        # gRPC refuses metadata between these two limits at random.
        ("grpc.max_metadata_size", metadata_max_bytes),
        ("grpc.absolute_max_metadata_size", metadata_max_bytes),
        ("grpc.max_allowed_incoming_connections", connections_max),
        ("grpc.max_concurrent_streams", limits.connection_streams_max),
        ("grpc.server_handshake_timeout_ms", _ms(limits.handshake_timeout_s)),
        ("grpc.max_connection_idle_ms", _ms(limits.connection_idle_s)),
        ("grpc.max_connection_age_ms", _ms(limits.connection_age_s)),
        ("grpc.max_connection_age_grace_ms", _ms(limits.connection_age_grace_s)),
        # Both sides may ping while a call lasts, e.g. a watch without events.
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _ms(limits.ping_min_s)),
        ("grpc.keepalive_time_ms", _ms(limits.keepalive_s)),
        ("grpc.keepalive_timeout_ms", _ms(limits.keepalive_s)),
        ("grpc.server.max_pending_requests", limits.pending_calls_max),
        ("grpc.server.max_pending_requests_hard_limit", limits.pending_calls_max),
    ]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _listen(server: grpc.Server, host: str, port: int, credentials: grpc.ServerCredentials | None) -> int:
    """Listen and return the port; raise ``CannotListen``."""
    where = address(host, port)
    try:
        return server.add_secure_port(where, credentials) if credentials else server.add_insecure_port(where)
    except RuntimeError:
        raise cannot_listen(host, port) from None


@contextmanager
def _measuring_vitals(app: App, every_s: float) -> Iterator[None]:
    """Publish the database's vital numbers as metrics. On its own thread: a lock on a table blocks it."""

    def measure() -> None:
        with suppress(ServiceError):  # health reports it
            set_vitals(app.vitals(), app.webhook_vitals())

    loop = Loop("vitals", measure, every_s)
    loop.start()
    try:
        yield
    finally:
        loop.stop(every_s)
