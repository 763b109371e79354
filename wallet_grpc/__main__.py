"""The server process: ``python -m wallet_grpc``. Settings come from the environment."""

import signal
import sys
import threading

import structlog

from wallet_core.bootstrap import open_app
from wallet_core.domain.errors import NotServed, cause_of
from wallet_core.logs import set_up_logs
from wallet_core.settings import Settings, SettingsError, read_settings
from wallet_grpc.server import CannotListen, ServerLimits, serving

_log = structlog.get_logger("wallet.server")


def main() -> int:
    """Serve until SIGTERM or SIGINT; then drain and return 0."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        settings = read_settings()
        set_up_logs(settings.log_level)
        with (
            open_app(settings, name="wallet-grpc", stopping=stopping) as app,
            serving(app, server_limits(settings)) as port,
        ):
            _log.info("serving", host=settings.grpc_host, port=port)
            stopping.wait()
            _log.info("draining")
    except (SettingsError, NotServed, CannotListen) as error:
        if stopping.is_set():
            return 0
        sys.stderr.write(f"wallet-grpc cannot start: {cause_of(error)}\n")
        return 1
    return 0


def server_limits(settings: Settings) -> ServerLimits:
    """Return what the settings let the server take on."""
    return ServerLimits(
        host=settings.grpc_host,
        port=settings.grpc_port,
        threads=settings.grpc_threads,
        calls_max=settings.grpc_calls_max,
        message_max_bytes=settings.grpc_message_max_bytes,
        exports_max=settings.exports_max,
        export_longest_s=settings.export_longest_s,
        page_max_bytes=settings.page_max_bytes,
        deadline_max_s=settings.deadline_max_s,
        health_interval_s=settings.health_interval_s,
        drain_delay_s=settings.drain_delay_s,
        drain_grace_s=settings.drain_grace_s,
        drain_flush_s=settings.drain_flush_s,
        reflection=settings.grpc_reflection,
    )


if __name__ == "__main__":
    sys.exit(main())
