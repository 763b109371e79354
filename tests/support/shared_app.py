"""One core and one server in this process, kept from test to test of a module for as long as the settings are the same.

To start and to stop them for each test costs as much as most tests. Each test still begins with an empty ledger and
ends with ``verify``; between two tests nothing may be under way, and no wallet may be remembered as stuck.
"""

from contextlib import ExitStack
from time import monotonic

from tests.support.commands import a_deposit
from wallet_core.bootstrap import open_app
from wallet_core.domain.model.errors import ServiceError
from wallet_core.domain.model.money import Money
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.convert.webhook_messages import WebhookMessages
from wallet_grpc.runtime.metrics import IN_PROGRESS
from wallet_grpc.server.serving import serving
from walletctl.local.waiting import wait_until

_SETTLES_WITHIN_S = 30.0
_NOTHING = a_deposit("nobody-at-all", Money("USD", 1), validate_only=True)


class SharedApp:
    """What is open at present, if anything."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._key: tuple[str, str] | None = None
        self._app: App | None = None
        self._target: str | None = None

    def app(self, module: str, settings: Settings) -> App:
        """Return the core with these settings; what was open for another module or with others is closed."""
        key = (module, repr(settings.model_dump()))
        if self._app is None or key != self._key:
            self.close()
            self._app = self._stack.enter_context(open_app(settings, name="tests", webhook_messages=WebhookMessages))
            self._key = key
        return self._app

    def server(self, settings: Settings) -> str:
        """Serve the core that is open; return the address."""
        assert self._app is not None
        if self._target is None:
            port = self._stack.enter_context(serving(self._app, settings))
            self._target = f"127.0.0.1:{port}"
        return self._target

    def settle(self) -> None:
        """Wait until nothing is under way, and forget which wallets were stuck; close what a test has left broken."""
        assert self._app is not None
        ledger = self._app.ledger
        try:
            assert wait_until(lambda: IN_PROGRESS._value.get() == 0, timeout_s=_SETTLES_WITHIN_S)  # noqa: SLF001  # its value
            # Commands wait in order: once one that changes nothing is answered, none before it is left.
            for queue in (ledger._queue, ledger._slow):  # noqa: SLF001  # both of them
                queue.submit(_NOTHING, monotonic() + _SETTLES_WITHIN_S)
            ledger._mark_free(ledger._stuck())  # noqa: SLF001  # wallets of the next test have the same names
        except (ServiceError, AssertionError):
            self.close()

    def close(self) -> None:
        """Stop what is open."""
        self._app = self._target = self._key = None
        self._stack.close()
