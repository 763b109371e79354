"""A real browser before a console of its own: service, console and browser are started once for a module."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, ViewportSize, sync_playwright

from bank_stub.server import BankServer, running_bank
from tests.conftest import FAST
from tests.support import toolchain
from tests.support.console import running_console
from tests.support.database import Cluster, Database
from wallet_client import WalletClient
from wallet_core.bootstrap import open_app
from wallet_core.settings import read_settings
from wallet_core.usecases.app import App
from wallet_grpc.convert.webhook_messages import WebhookMessages
from wallet_grpc.server.serving import serving

# A payout in doubt needs a person at once.
SOON_IN_DOUBT: dict[str, object] = {"payout_attention_after_s": 0.05, "bank_provides_statement": False}
WIDE: ViewportSize = {"width": 1280, "height": 860}
NARROW: ViewportSize = {"width": 360, "height": 740}
# What axe looks for: everything that WCAG 2.2 AA asks for and a program can see, and good practice.
_RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
    "preload": False,
}


@dataclass
class Stage:
    """A service, its bank, its console, and a browser."""

    app: App
    bank: BankServer
    client: WalletClient
    database: Database
    url: str
    browser: Browser
    complaints: list[str] = field(default_factory=list)
    """What a page has reported as an error, or asked of another machine."""

    @contextmanager
    def page(self, language: str = "en", scheme: str = "light") -> Iterator[Page]:
        """Open a window of a person of its own."""
        context = self.browser.new_context(
            base_url=self.url,
            locale={"en": "en-GB", "fa": "fa-IR"}[language],
            color_scheme="dark" if scheme == "dark" else "light",
            viewport=WIDE,
            reduced_motion="reduce",
        )
        page = context.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._request)
        yield page
        context.close()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def _request(self, request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.url).netloc:
            self.complaints.append(f"{request.url} was asked for")

    def inaccessible(self, page: Page) -> list[str]:
        """Return what axe finds wrong with a page."""
        found: Any = Axe().run(page, options=_RULES).response
        return [
            f"{page.url} {rule['id']}: {node['html'][:200]} {node.get('failureSummary', '')}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]


@contextmanager
def a_stage(cluster: Cluster, name: str) -> Iterator[Stage]:
    """Start all of it; at the end the books are proven."""
    program = toolchain.chromium()
    with (
        cluster.clone(name) as database,
        running_bank(state=":memory:", port=0, fail_rate=0.0, seed=1) as bank,
    ):
        settings = read_settings(**FAST | SOON_IN_DOUBT, database_url=database.url, bank_url=bank.url)
        with (
            open_app(settings, name="tests", webhook_messages=WebhookMessages) as app,
            serving(app, settings) as port,
            WalletClient(f"127.0.0.1:{port}") as client,
            running_console(f"127.0.0.1:{port}") as url,
            sync_playwright() as playwright,
        ):
            # As root, which CI is, Chromium has no sandbox.
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            yield Stage(app, bank, client, database, url, browser)
            browser.close()
        broken = database.broken_rules()
        assert broken == [], broken
