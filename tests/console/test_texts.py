"""The texts of the console: each is there in Persian, with the same placeholders, and none is there for nothing."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from wallet_console import words
from wallet_console.pages.wallets import RANGES
from wallet_console.texts import placeholders, preferred, texts

ROOT = Path(__file__).parents[2] / "wallet_console"
# A text in a template: t("…"), and words that a loop of a template hands to t().
_SHOWN = re.compile(r"""\bt\("((?:[^"\\]|\\.)*)"|\bt\('((?:[^'\\]|\\.)*)'""")
_LISTED = re.compile(r'"([A-Z][^"]*)"')
# Where code has texts that a template or a page translates.
_CALLS = {"t", "NotReadable", "HTTPException", "Refused", "Button", "texts"}
_NAMES = {"title", "warning", "button", "label", "help"}
_TABLES = {"ADVICE", "found", "_NOT_REACHED", "_DEFECT", "_NOT_ACCEPTED", "_AGAIN", "_RESOLVED", "_CANCELLED", "title"}


def in_templates() -> Iterator[str]:
    """Yield the texts of the templates."""
    for path in sorted((ROOT / "templates").glob("*.html")):
        text = path.read_text()
        for double, single in _SHOWN.findall(text):
            yield double or single
        # Lists that are translated one by one: those of the navigation, of counts, of options.
        for loop in re.findall(r"(?:in|set \w+ =|select\()[^%}]*?(\[[^%]*?\])", text, re.DOTALL):
            yield from (one for one in _LISTED.findall(loop) if not one.isupper())
        for noun in re.findall(r"set (?:title|noun) = ([^%]*)%", text):
            yield from _LISTED.findall(noun)


def in_code() -> Iterator[str]:
    """Yield the texts of the code."""
    for path in sorted(set(ROOT.rglob("*.py")) - {ROOT / "settings.py"}):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in _CALLS:
                    yield from _texts(node.args)
                yield from _texts([keyword.value for keyword in node.keywords if keyword.arg in _NAMES])
            if isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(getattr(target, "id", "") in _TABLES for target in targets) and node.value is not None:
                    yield from _texts(list(ast.walk(node.value)))
            if isinstance(node, ast.For):
                yield from (text for text in _texts(list(ast.walk(node.iter))) if text.startswith("{count} "))


def _texts(nodes: list[ast.expr] | list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        for one in [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]:
            if isinstance(one, ast.Constant) and isinstance(one.value, str) and re.match(r"[A-Z{a-z].", one.value):
                yield one.value


def used() -> set[str]:
    """Return every text, without paths and names of values."""
    found = {*in_templates(), *in_code(), *words.all_words()}
    found |= RANGES.keys() | {"See the documentation."}
    return {one for one in found if not re.fullmatch(r"[A-Z_]+|/.*|\w+/.*|[a-z_]+", one) or one in KEPT}


KEPT = {"none", "never"}


def test_every_text_is_there_in_persian() -> None:
    """Or a page would be half in English."""

    persian = texts("fa").translations
    assert (sorted(used() - persian.keys()), sorted(persian.keys() - used())) == ([], [])


def test_a_translation_has_the_placeholders_of_its_text() -> None:
    """Or a page fails where it is shown."""

    different = {
        text for text, persian in texts("fa").translations.items() if placeholders(text) != placeholders(persian)
    }
    assert different == set()


def test_the_language_is_the_first_that_a_browser_asks_for_and_that_there_is() -> None:
    """English for all others."""

    assert [preferred(one) for one in ("fa-IR,fa;q=0.9", "de, fa;q=0.5", "de", "", "EN-gb")] == [
        "fa",
        "fa",
        "en",
        "en",
        "en",
    ]
