"""The server process: ``python -m wallet_grpc [--workers N]``. Settings come from the environment."""

import argparse
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from multiprocessing.connection import Connection

import grpc
import structlog

from wallet_core.bootstrap import open_app
from wallet_core.domain.model.errors import ServiceError, cause_of
from wallet_core.logs import set_up_logs
from wallet_core.open_files import open_files_limit, raise_open_files_limit
from wallet_core.settings import Settings, SettingsError, read_settings
from wallet_core.startup_checks import allow_unauthenticated, callers, database, require_production
from wallet_core.stop_signals import stop_event
from wallet_grpc.interceptors.authentication import Authentication
from wallet_grpc.runtime.grpcio_private import GrpcioChanged
from wallet_grpc.runtime.listening import CannotListen, bound
from wallet_grpc.runtime.metrics import NowhereToCount, counted_together, forget_process, metrics_page
from wallet_grpc.security.access import Principal, Scope
from wallet_grpc.security.claims import PROVIDERS, Claims
from wallet_grpc.security.keys import KeyLimits, KeySet, KeysUnreadable
from wallet_grpc.security.tls import CertificateFiles, CertificateUnusable, server_credentials
from wallet_grpc.security.tokens import DEVELOPMENT_ISSUER, Tokens
from wallet_grpc.server.admin import admin_port
from wallet_grpc.server.serving import ServerLimits, serving
from wallet_grpc.server.supervisor import Supervisor, WorkerFailed, stop_with_parent

_log = structlog.get_logger("wallet.server")

# What ending takes beside draining.
_ENDING_S = 5.0

# What a call may bring beside a token.
_OTHER_METADATA_BYTES = 8192

# File descriptors for all but callers and the database's pools: logs, sockets that listen, what libraries open.
_DESCRIPTORS_KEPT = 128


def main(arguments: Sequence[str], stopping: threading.Event) -> int:
    """Serve until *stopping* is set; then drain and return 0. Return 1 where it cannot serve, having said why."""
    try:
        settings = _settings(arguments)
        require_production(settings, database, callers)
        for opened in allow_unauthenticated(settings):
            sys.stderr.write(f"warning: {opened}\n")  # whatever the level of the logs
        set_up_logs(settings.log_level)
        raise_open_files_limit()
        if settings.grpc_workers == 1:
            with _metrics(settings):
                return _serve(settings, stopping, lambda port: _log.info("serving", host=settings.grpc_host, port=port))
        with (
            counted_together(settings.metrics_port) as folder,
            _metrics(settings, folder),
            bound(settings.grpc_host, settings.grpc_port, shared=True) as port,
        ):
            lost = partial(forget_process, folder)
            supervisor = Supervisor(partial(work, settings), port, settings.grpc_workers, stopping, lost)
            supervisor.run(settings.drain_delay_s + settings.drain_grace_s + settings.drain_flush_s + _ENDING_S)
    except WorkerFailed:
        return 1
    except (SettingsError, CannotListen, NowhereToCount) as error:
        return _cannot_start(error)
    return 0


def work(settings: Settings, number: int, port: int, begun: Connection) -> None:
    """Serve as one of several processes on a port, until the supervisor says so or is gone."""
    stopping = stop_event()
    stop_with_parent(stopping)
    set_up_logs(settings.log_level)
    channelz_port = settings.channelz_port + number if settings.channelz_port is not None else None
    own = settings.model_copy(update={"grpc_port": port, "channelz_port": channelz_port})
    sys.exit(_serve(own, stopping, begun.send))


def _serve(settings: Settings, stopping: threading.Event, begun: Callable[[int], None]) -> int:
    try:
        with (
            admin_port(settings.admin_host, settings.channelz_port),
            open_app(settings, name="wallet-grpc", stopping=stopping) as app,
            serving(app, server_limits(settings), authentication(settings), credentials(settings)) as port,
        ):
            begun(port)
            stopping.wait()
            _log.info("draining")
    except (SettingsError, ServiceError, CannotListen, KeysUnreadable, CertificateUnusable, GrpcioChanged) as error:
        return 0 if stopping.is_set() else _cannot_start(error)
    return 0


def _metrics(settings: Settings, folder: str | None = None) -> AbstractContextManager[None]:
    return metrics_page(settings.admin_host, settings.metrics_port, folder)


def _settings(arguments: Sequence[str]) -> Settings:
    parser = argparse.ArgumentParser(prog="python -m wallet_grpc", description="Serve the wallet service over gRPC.")
    parser.add_argument("--workers", type=int, help="processes on the one port; WALLET_GRPC_WORKERS otherwise")
    workers = parser.parse_args(arguments).workers
    return read_settings() if workers is None else read_settings(grpc_workers=workers)


def _cannot_start(error: Exception) -> int:
    sys.stderr.write(f"wallet-grpc cannot start: {cause_of(error)}\n")
    return 1


def authentication(settings: Settings) -> Authentication:
    """Return whom the settings let call; raise ``KeysUnreadable`` where the keys of tokens cannot be read."""
    tokens = None
    if settings.auth_keys is not None or settings.auth_dev_secret is not None:
        clients = {client: name for name, caller in settings.callers.items() for client in caller.clients}
        names_nobody = settings.mode == "development" and not settings.callers
        tokens = Tokens(
            issuer=settings.auth_issuer or DEVELOPMENT_ISSUER,
            audience=settings.auth_audience,
            leeway_s=settings.auth_leeway_s,
            keys=_keys(settings, settings.auth_keys) if settings.auth_keys is not None else None,
            secret=settings.auth_dev_secret.get_secret_value() if settings.auth_dev_secret is not None else None,
            clients=None if names_nobody else clients,
            claims=_claims(settings),
            size_max=settings.auth_token_max_bytes,
        )
    certificates = None
    if settings.tls_client_ca is not None:
        certificates = {
            certificate: Principal(name, frozenset(map(_scope, caller.certificate_scopes)))
            for name, caller in settings.callers.items()
            for certificate in caller.certificates
        }
    return Authentication(tokens=tokens, certificates=certificates)


def _claims(settings: Settings) -> Claims:
    own = PROVIDERS[settings.auth_provider](settings.auth_audience)
    return Claims(
        scopes=settings.auth_scope_claims or own.scopes,
        clients=settings.auth_client_claims or own.clients,
        owners=settings.auth_owner_claims or own.owners,
    )


def credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """Return the server's certificate; raise ``CertificateUnusable`` where it cannot be used."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return server_credentials(
        CertificateFiles(certificate=settings.tls_certificate, key=settings.tls_key, client_ca=settings.tls_client_ca)
    )


def _scope(name: str) -> Scope:
    try:
        return Scope(name)
    except ValueError:
        raise SettingsError(f"WALLET_CALLERS: there is no scope {name}; there are {', '.join(Scope)}") from None


def _keys(settings: Settings, source: str) -> KeySet:
    keys = KeySet(
        source,
        KeyLimits(
            refresh_s=settings.auth_keys_refresh_s,
            retry_s=settings.auth_keys_retry_s,
            keep_s=settings.auth_keys_keep_s,
            timeout_s=settings.auth_keys_timeout_s,
            max_bytes=settings.auth_keys_max_bytes,
        ),
    )
    keys.load()
    return keys


def server_limits(settings: Settings) -> ServerLimits:
    """Return what the settings let the server take on."""
    return ServerLimits(
        host=settings.grpc_host,
        port=settings.grpc_port,
        shares_port=settings.grpc_workers > 1,
        threads=settings.grpc_threads,
        queue_max=settings.grpc_queue_max,
        caller_calls_per_s=settings.caller_calls_per_s,
        owner_calls_per_s=settings.owner_calls_per_s,
        caller_share=settings.caller_share,
        receive_timeout_s=settings.grpc_receive_timeout_s,
        receiving_max=settings.grpc_receiving_max,
        send_timeout_s=settings.grpc_send_timeout_s,
        unsent_max_bytes=settings.grpc_unsent_max_bytes,
        calls_max=settings.grpc_calls_max,
        pending_calls_max=settings.grpc_pending_calls_max,
        message_max_bytes=settings.grpc_message_max_bytes,
        metadata_max_bytes=settings.auth_token_max_bytes + _OTHER_METADATA_BYTES,
        connections_max=_connections_max(settings),
        connection_streams_max=settings.grpc_connection_streams_max,
        handshake_timeout_s=settings.grpc_handshake_timeout_s,
        connection_idle_s=settings.grpc_connection_idle_s,
        connection_age_s=settings.grpc_connection_age_s,
        connection_age_grace_s=settings.grpc_connection_age_grace_s,
        keepalive_s=settings.grpc_keepalive_s,
        ping_min_s=settings.grpc_ping_min_s,
        exports_max=settings.exports_max,
        export_longest_s=settings.export_longest_s,
        receipts_concurrent=settings.receipts_concurrent,
        receipts_queue_max=settings.receipts_queue_max,
        receipts_cached=settings.receipts_cached,
        watchers_max=settings.watchers_max,
        watch_poll_s=settings.watch_poll_s,
        watch_page=settings.watch_page,
        watch_buffer=settings.watch_buffer,
        watch_heartbeat_s=settings.watch_heartbeat_s,
        stream_stall_s=settings.stream_stall_s,
        page_max_bytes=settings.page_max_bytes,
        deadline_min_s=settings.deadline_min_s,
        deadline_max_s=settings.deadline_max_s,
        health_interval_s=settings.health_interval_s,
        health_watchers_max=settings.health_watchers_max,
        drain_delay_s=settings.drain_delay_s,
        drain_grace_s=settings.drain_grace_s,
        drain_flush_s=settings.drain_flush_s,
        reflection=settings.reflects,
    )


def _connections_max(settings: Settings) -> int:
    """Return how many connections callers may have, so that a file descriptor is left for each of our own."""
    ours = settings.pool_size + settings.ledger_pool_size + _DESCRIPTORS_KEPT
    return max(1, min(settings.grpc_connections_max, open_files_limit() - ours))
