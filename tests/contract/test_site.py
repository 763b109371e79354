"""The documentation site: it builds without a warning, and a browser that opens it contacts no other host."""

import os
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support.toolchain import installed

ROOT = Path(__file__).parents[2]
# What a browser fetches by itself: everything but links to follow.
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data", "link": "href"}
# Relations that name a page, and fetch nothing.
NAMED = {"canonical", "next", "prev", "alternate"}


class Page(HTMLParser):
    """Collects what a page fetches, and the classes of its elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fetched: set[str] = set()
        self.classes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one element."""
        found = dict(attrs)
        self.classes |= set((found.get("class") or "").split())
        if tag in FETCHED and found.get("rel") not in NAMED and (address := found.get(FETCHED[tag])):
            self.fetched.add(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site; any warning, e.g. of a broken link, is an error (``strict`` in mkdocs.yml)."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [installed("mkdocs"), "build", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},  # noqa: TID251  # the tool's own variables
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return folder


def test_every_document_is_a_page(site: Path) -> None:
    """None is left out of the site."""

    pages = {path.relative_to(site).with_suffix(".md") for path in site.rglob("*.html")} - {Path("404.md")}

    assert pages == {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}


def test_no_other_host_is_contacted(site: Path) -> None:
    """No script, style, font or picture of another host; and no drawing for which the theme would load a library."""

    pages = {path: Page(path.read_text()) for path in site.rglob("*.html")}
    assert pages
    for path, page in pages.items():
        assert page.fetched, path
        assert [address for address in page.fetched if re.match(r"(https?:)?//", address)] == [], path
        assert "mermaid" not in page.classes, path
    styles = [path.read_text() for path in site.rglob("*.css")]
    assert styles
    for style in styles:
        assert re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", style) == []
