"""The gRPC server: threaded, its interceptors in order, its life from the first call to the last."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import grpc
import structlog
from wallet.v1.commission_service_pb2_grpc import add_CommissionServiceServicer_to_server
from wallet.v1.event_service_pb2_grpc import add_EventServiceServicer_to_server
from wallet.v1.hold_service_pb2_grpc import add_HoldServiceServicer_to_server
from wallet.v1.operations_service_pb2_grpc import add_OperationsServiceServicer_to_server
from wallet.v1.schedule_service_pb2_grpc import add_ScheduleServiceServicer_to_server
from wallet.v1.transaction_service_pb2_grpc import add_TransactionServiceServicer_to_server
from wallet.v1.wallet_service_pb2_grpc import add_WalletServiceServicer_to_server

from wallet_core.background import Loop
from wallet_core.domain.model.errors import ServiceError
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
from wallet_grpc.runtime.metrics import tell
from wallet_grpc.runtime.receiving import CallLimits, Calls
from wallet_grpc.server.health import Health
from wallet_grpc.server.reflection import add_reflection
from wallet_grpc.servicers.commission import CommissionServicer
from wallet_grpc.servicers.event import EventServicer
from wallet_grpc.servicers.hold import HoldServicer
from wallet_grpc.servicers.operations import OperationsServicer
from wallet_grpc.servicers.schedule import ScheduleServicer
from wallet_grpc.servicers.serving import Serving
from wallet_grpc.servicers.streams import StreamLimits, Streams
from wallet_grpc.servicers.transaction import TransactionServicer
from wallet_grpc.servicers.wallet import WalletServicer
from wallet_grpc.servicers.watches import Watches

_log = structlog.get_logger("wallet.server")

_EVENTS = "wallet.v1.EventService"
_WATCH = f"/{_EVENTS}/WatchEvents"
# Threads beyond those that watch, to refuse a watch too many; and how many may wait for one.
_WATCH_SPARE = 4

_RECEIPT = "/wallet.v1.TransactionService/GetReceipt"

_REFLECTION_THREADS = 4
_REFLECTION_QUEUE_MAX = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What the server takes on. Values come from the settings, which explain them."""

    host: str
    port: int
    shares_port: bool
    threads: int
    queue_max: int
    caller_calls_per_s: int | None
    owner_calls_per_s: int | None
    caller_share: float
    receive_timeout_s: float
    receiving_max: int
    send_timeout_s: float
    unsent_max_bytes: int
    calls_max: int
    pending_calls_max: int
    message_max_bytes: int
    metadata_max_bytes: int
    connections_max: int
    connection_streams_max: int
    handshake_timeout_s: float
    connection_idle_s: float
    connection_age_s: float
    connection_age_grace_s: float
    keepalive_s: float
    ping_min_s: float
    exports_max: int
    export_longest_s: float
    receipts_concurrent: int
    receipts_queue_max: int
    receipts_cached: int
    watchers_max: int
    watch_poll_s: float
    watch_page: int
    watch_buffer: int
    watch_heartbeat_s: float
    stream_stall_s: float
    page_max_bytes: int
    deadline_min_s: float
    deadline_max_s: float
    health_interval_s: float
    health_watchers_max: int
    drain_delay_s: float
    drain_grace_s: float
    drain_flush_s: float
    reflection: bool


@contextmanager
def serving(
    app: App,
    limits: ServerLimits,
    authentication: Authentication | None = None,
    credentials: grpc.ServerCredentials | None = None,
) -> Iterator[int]:
    """Serve *app*; yield the port. At the end drain: say NOT_SERVING, finish what is under way, then stop.

    Without *authentication* calls are taken from everybody, without *credentials* they come in the clear.
    """
    is_rated = limits.caller_calls_per_s is not None or limits.owner_calls_per_s is not None
    admission = Admission(limits.deadline_min_s)
    calls = Calls(
        CallLimits(
            receive_timeout_s=limits.receive_timeout_s,
            receiving_max=limits.receiving_max,
            send_timeout_s=limits.send_timeout_s,
            unsent_max_bytes=limits.unsent_max_bytes,
        )
    )
    workers = calls.pool("grpc", limits.threads, limits.queue_max)
    own_pools = {
        _WATCH: calls.pool("watch", limits.watchers_max + _WATCH_SPARE, _WATCH_SPARE),
        _RECEIPT: calls.pool("receipt", limits.receipts_concurrent, limits.receipts_queue_max),
    }
    server = grpc.server(
        workers,
        interceptors=[
            LoadShedding(workers, own_pools),
            errors_interceptor(app.currencies.exponent_if_known),
            request_log_interceptor(),
            admission.interceptor(),
            (authentication or Authentication()).interceptor(),
            *([Rates(limits.caller_calls_per_s, limits.owner_calls_per_s)] if is_rated else []),
            deadlines_interceptor(limits.deadline_max_s),
            ValidationInterceptor(),
            ReadAuthorization(app),
            OwnThreads(own_pools),
        ],
        options=[
            # Two servers on one port must be asked for, not happen.
            ("grpc.so_reuseport", int(limits.shares_port)),
            ("grpc.max_receive_message_length", limits.message_max_bytes),
            # Between these two limits gRPC refuses by chance.
            ("grpc.max_metadata_size", limits.metadata_max_bytes),
            ("grpc.absolute_max_metadata_size", limits.metadata_max_bytes),
            ("grpc.max_allowed_incoming_connections", limits.connections_max),
            ("grpc.max_concurrent_streams", limits.connection_streams_max),
            ("grpc.server_handshake_timeout_ms", round(limits.handshake_timeout_s * 1000)),
            ("grpc.max_connection_idle_ms", round(limits.connection_idle_s * 1000)),
            ("grpc.max_connection_age_ms", round(limits.connection_age_s * 1000)),
            ("grpc.max_connection_age_grace_ms", round(limits.connection_age_grace_s * 1000)),
            # Callers may ask whether we are there, and are asked, while a call lasts: a watch where nothing happens.
            ("grpc.http2.min_recv_ping_interval_without_data_ms", round(limits.ping_min_s * 1000)),
            ("grpc.keepalive_time_ms", round(limits.keepalive_s * 1000)),
            ("grpc.keepalive_timeout_ms", round(limits.keepalive_s * 1000)),
            ("grpc.server.max_pending_requests", limits.pending_calls_max),
            ("grpc.server.max_pending_requests_hard_limit", limits.pending_calls_max),
        ],
        maximum_concurrent_rpcs=limits.calls_max,
    )
    exports = Streams(
        "exports",
        StreamLimits(
            most=limits.exports_max,
            share=limits.caller_share,
            stall_s=limits.stream_stall_s,
            stopping_s=limits.drain_flush_s,
            longest_s=limits.export_longest_s,
        ),
    )
    feed = JournalFeed(app.reads, poll_s=limits.watch_poll_s, page=limits.watch_page, kept=limits.watch_buffer)
    watches = Watches(
        feed,
        # A watcher that is merely slow is told so; twice the time is for those that take nothing at all.
        Streams(
            "watches",
            StreamLimits(
                most=limits.watchers_max,
                share=limits.caller_share,
                stall_s=2 * limits.stream_stall_s,
                stopping_s=limits.drain_flush_s,
            ),
        ),
        heartbeat_s=limits.watch_heartbeat_s,
        slow_s=limits.stream_stall_s,
    )
    context = Serving(
        app=app,
        page_tokens=PageTokens(app.reads.page_token_key),
        exports=exports,
        receipts_cached=limits.receipts_cached,
        deadline_max_s=limits.deadline_max_s,
        page_max_bytes=limits.page_max_bytes,
    )
    add_WalletServiceServicer_to_server(WalletServicer(context), server)
    add_TransactionServiceServicer_to_server(TransactionServicer(context), server)
    add_ScheduleServiceServicer_to_server(ScheduleServicer(context), server)
    add_HoldServiceServicer_to_server(HoldServicer(context), server)
    add_CommissionServiceServicer_to_server(CommissionServicer(context), server)
    add_OperationsServiceServicer_to_server(OperationsServicer(context), server)
    add_EventServiceServicer_to_server(EventServicer(context, watches), server)
    if limits.reflection:
        threads = calls.pool("reflection", _REFLECTION_THREADS, _REFLECTION_QUEUE_MAX)
        add_reflection(server, [*SERVICES, "grpc.health.v1.Health"], threads)
    try:
        where = address(limits.host, limits.port)
        port = server.add_secure_port(where, credentials) if credentials else server.add_insecure_port(where)
    except RuntimeError:
        raise cannot_listen(limits.host, limits.port) from None
    health = Health(
        SERVICES,
        app.ping,
        calls,
        ailing=lambda: {_EVENTS} if feed.keeps_failing else frozenset(),
        interval_s=limits.health_interval_s,
        watchers_max=limits.health_watchers_max,
    )
    health.start(server)
    calls.start()
    exports.start()
    watches.start()
    server.start()
    try:
        with _telling_vitals(app, limits.health_interval_s):
            yield port
    finally:
        health.leave()
        threading.Event().wait(limits.drain_delay_s)  # time for balancers to see it
        exports.stop()
        watches.stop()
        # Tells channels to turn elsewhere from now on; calls under way go on. Alone it would wait for every stream of
        # somebody's, e.g. a health watch, so what we wait for is our own calls.
        server.stop(limits.drain_grace_s + limits.drain_flush_s)
        finished = admission.drain(limits.drain_grace_s)
        _log.info("drained", finished=finished)
        # Answers that are still being sent, and calls that waited for a thread and are now turned away, get a moment.
        server.stop(limits.drain_flush_s).wait()
        health.close()
        calls.close()
        exports.close()
        watches.close()


@contextmanager
def _telling_vitals(app: App, every_s: float) -> Iterator[None]:
    """Show as metrics what the database knows; on a thread of its own, for a lock on a table holds it up."""

    def tell_on() -> None:
        with suppress(ServiceError):  # health says so
            tell(app.vitals())

    loop = Loop("vitals", tell_on, every_s)
    loop.start()
    try:
        yield
    finally:
        loop.stop(every_s)
