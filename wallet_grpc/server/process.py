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
from wallet_core.domain.model.errors import ServiceError
from wallet_core.logs import set_up_logs
from wallet_core.open_files import raise_open_files_limit
from wallet_core.settings import Settings, SettingsError, read_settings
from wallet_core.startup_checks import allow_unauthenticated, callers, database, require_production, start_failure
from wallet_core.stop_signals import stop_event
from wallet_grpc.interceptors.authentication import Authentication
from wallet_grpc.runtime.grpcio_private import GrpcioChanged
from wallet_grpc.runtime.listening import CannotListen, bound
from wallet_grpc.runtime.metrics import MetricsFolderUnavailable, counted_together, forget_process, metrics_page
from wallet_grpc.security.access import Principal, Scope
from wallet_grpc.security.claims import PROVIDERS, Claims
from wallet_grpc.security.keys import KeyLimits, KeySet, KeysUnreadable
from wallet_grpc.security.tls import CertificateFiles, CertificateUnusable, server_credentials
from wallet_grpc.security.tokens import DEVELOPMENT_ISSUER, Tokens
from wallet_grpc.server.admin import admin_port
from wallet_grpc.server.serving import serving
from wallet_grpc.server.supervisor import Supervisor, WorkerFailed, stop_with_parent

_log = structlog.get_logger("wallet.server")

# Time for ending, beyond draining, in seconds.
_ENDING_S = 5.0


def main(arguments: Sequence[str], stopping: threading.Event) -> int:
    """Serve until *stopping* is set; then drain and return 0. Return 1 after an error message where it cannot serve."""
    try:
        settings = _settings(arguments)
        require_production(settings, database, callers)
        for opened in allow_unauthenticated(settings):
            sys.stderr.write(f"warning: {opened}\n")  # regardless of the log level
        set_up_logs(settings.process.log_level)
        raise_open_files_limit()
        if settings.grpc.workers == 1:
            with _metrics(settings):
                return _serve(settings, stopping, lambda port: _log.info("serving", host=settings.grpc.host, port=port))
        with (
            counted_together(settings.admin.metrics_port) as folder,
            _metrics(settings, folder),
            bound(settings.grpc.host, settings.grpc.port, shared=True) as port,
        ):
            lost = partial(forget_process, folder)
            supervisor = Supervisor(partial(work, settings), port, settings.grpc.workers, stopping, lost)
            supervisor.run(settings.drain.delay_s + settings.drain.grace_s + settings.drain.flush_s + _ENDING_S)
    except WorkerFailed:
        return 1
    except (SettingsError, CannotListen, MetricsFolderUnavailable) as error:
        return _cannot_start(error)
    return 0


def work(settings: Settings, number: int, port: int, begun: Connection) -> None:
    """Serve as one of several processes on a port, until the supervisor stops it or has ended."""
    stopping = stop_event()
    stop_with_parent(stopping)
    set_up_logs(settings.process.log_level)
    channelz_port = settings.admin.channelz_port + number if settings.admin.channelz_port is not None else None
    own = settings.replaced(grpc_port=port, channelz_port=channelz_port)
    sys.exit(_serve(own, stopping, begun.send))


def _serve(settings: Settings, stopping: threading.Event, begun: Callable[[int], None]) -> int:
    try:
        with (
            admin_port(settings.admin.admin_host, settings.admin.channelz_port),
            open_app(settings, name="wallet-grpc", stopping=stopping) as app,
            serving(app, settings, authentication(settings), credentials(settings)) as port,
        ):
            begun(port)
            stopping.wait()
            _log.info("draining")
    except (SettingsError, ServiceError, CannotListen, KeysUnreadable, CertificateUnusable, GrpcioChanged) as error:
        return 0 if stopping.is_set() else _cannot_start(error)
    return 0


def _metrics(settings: Settings, folder: str | None = None) -> AbstractContextManager[None]:
    return metrics_page(settings.admin.admin_host, settings.admin.metrics_port, folder)


def _settings(arguments: Sequence[str]) -> Settings:
    parser = argparse.ArgumentParser(prog="python -m wallet_grpc", description="Serve the wallet service over gRPC.")
    parser.add_argument("--workers", type=int, help="processes on the one port; WALLET_GRPC_WORKERS otherwise")
    workers = parser.parse_args(arguments).workers
    return read_settings() if workers is None else read_settings(grpc_workers=workers)


def _cannot_start(error: Exception) -> int:
    sys.stderr.write(f"wallet-grpc cannot start: {start_failure(error)}\n")
    return 1


def authentication(settings: Settings) -> Authentication:
    """Return the accepted credentials; raise ``KeysUnreadable`` where the keys of tokens cannot be read."""
    tokens = None
    if settings.auth.keys is not None or settings.auth.dev_secret is not None:
        clients = {client: name for name, caller in settings.access.callers.items() for client in caller.clients}
        names_nobody = settings.process.mode == "development" and not settings.access.callers
        tokens = Tokens(
            issuer=settings.auth.issuer or DEVELOPMENT_ISSUER,
            audience=settings.auth.audience,
            leeway_s=settings.auth.leeway_s,
            keys=_keys(settings, settings.auth.keys) if settings.auth.keys is not None else None,
            secret=settings.auth.dev_secret.get_secret_value() if settings.auth.dev_secret is not None else None,
            clients=None if names_nobody else clients,
            claims=_claims(settings),
            size_max=settings.auth.token_max_bytes,
        )
    certificates = None
    if settings.tls.client_ca is not None:
        certificates = {
            certificate: Principal(name, frozenset(map(_scope, caller.certificate_scopes)))
            for name, caller in settings.access.callers.items()
            for certificate in caller.certificates
        }
    return Authentication(tokens=tokens, certificates=certificates)


def _claims(settings: Settings) -> Claims:
    own = PROVIDERS[settings.auth.provider](settings.auth.audience)
    return Claims(
        scopes=settings.auth.scope_claims or own.scopes,
        clients=settings.auth.client_claims or own.clients,
        owners=settings.auth.owner_claims or own.owners,
    )


def credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """Return the server's TLS credentials, None for plain text; raise ``CertificateUnusable``."""
    if settings.tls.certificate is None or settings.tls.key is None:
        return None
    return server_credentials(
        CertificateFiles(certificate=settings.tls.certificate, key=settings.tls.key, client_ca=settings.tls.client_ca)
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
            refresh_s=settings.auth.keys_refresh_s,
            retry_s=settings.auth.keys_retry_s,
            keep_s=settings.auth.keys_keep_s,
            timeout_s=settings.auth.keys_timeout_s,
            max_bytes=settings.auth.keys_max_bytes,
        ),
    )
    keys.load()
    return keys
