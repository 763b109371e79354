"""The process: ``python -m wallet_console``."""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from wallet_console.app import application
from wallet_console.settings import SettingsError, read_settings

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _Server(uvicorn.Server):
    """Reports where it listens, in one line, and ends with exit code 0 after a signal to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT, also those that came while the process was starting."""
        for number in _STOP_SIGNALS:
            signal.signal(number, self.handle_exit)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
        yield

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]  # sockets of uvicorn's
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            port = self.servers[0].sockets[0].getsockname()[1]
            scheme = "https" if self.config.is_ssl else "http"
            sys.stderr.write(json.dumps({"url": f"{scheme}://{self.config.host}:{port}", "event": "serving"}) + "\n")
            sys.stderr.flush()


def main() -> int:
    """Serve the console until SIGTERM or SIGINT."""
    try:
        settings = read_settings()
    except SettingsError as error:
        sys.stderr.write(f"the console cannot start: {error}\n")
        return 1
    config = uvicorn.Config(
        application(settings),
        host=settings.host,
        port=settings.port,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
    )
    _Server(config).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
