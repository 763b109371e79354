"""A console in this process, reached by real HTTP, and a visitor who follows links and fills in forms."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from threading import Thread

import httpx
import uvicorn

from wallet_console.app import application
from wallet_console.settings import ConsoleSettings
from walletctl.local.waiting import wait_until

_STARTS_WITHIN_S = 30.0
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
_FORM = re.compile(r"<form\b[^>]*>.*?</form>", re.DOTALL)


@contextmanager
def running_console(target: str, **settings: object) -> Iterator[str]:
    """Serve a console of this service; yield its address."""
    chosen = {"target": target, "port": 0, "update_s": 0.05, "poll_s": 60.0, **settings}
    app = application(ConsoleSettings(**chosen))  # type: ignore[arg-type]  # checked as they are read
    config = uvicorn.Config(
        app, port=int(str(chosen["port"])), log_level="error", lifespan="on", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    try:
        assert wait_until(lambda: server.started or not thread.is_alive(), timeout_s=_STARTS_WITHIN_S)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(_STARTS_WITHIN_S)


@dataclass
class Visitor:
    """A browser without scripts."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, headers=self.headers, timeout=30, trust_env=False)

    def get(self, path: str, **query: str) -> httpx.Response:
        """Read a page; follow where it leads."""
        return self.http.get(path, params=query or None, follow_redirects=True)

    def post(self, path: str, form: Mapping[str, str]) -> httpx.Response:
        """Send a form; follow where it leads."""
        return self.http.post(path, data=dict(form), follow_redirects=True)

    def fill(self, page: httpx.Response, **fields: str) -> dict[str, str]:
        """Return the form of a page that does something, filled in."""
        return hidden(page) | fields

    def act(self, path: str, **fields: str) -> httpx.Response:
        """Fill in the form of an action, and confirm it."""
        asked = self.post(path, self.fill(self.get(path), step="check", **fields))
        return self.post(path, self.fill(asked, step="confirmed"))


def hidden(page: httpx.Response) -> dict[str, str]:
    """Return the hidden fields of the page's own form: the last one that has a request id, or that does something."""
    forms = [dict(_HIDDEN.findall(form)) for form in _FORM.findall(page.text)]
    named = [form for form in forms if "request_id" in form] or [form for form in forms if "csrf" in form]
    assert named, page.text
    return {name: unescape(value) for name, value in named[-1].items()}


def words(page: httpx.Response) -> str:
    """Return what a page says, without its markup."""
    main = page.text.partition("<main")[2].partition(">")[2].partition("</main>")[0]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", main)).split())
