"""Write `docs/settings.md` and `.env.example` from the settings: meaning, type, default, and readers.

`--check` writes nothing: it fails where one of them is not what the settings make.
"""

import argparse
import json
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from wallet_console.settings import PREFIX as CONSOLE
from wallet_console.settings import ConsoleSettings
from wallet_core.settings import variables
from wallet_core.settings.base import Section

ROOT = Path(__file__).parents[1]
PAGE, EXAMPLE = ROOT / "docs" / "settings.md", ROOT / ".env.example"

_WIDTH = 120

PAGE_HEAD = """\
<!-- Made from the settings of wallet_core and wallet_console by tools/generate_settings_docs.py: change them there. -->

# Settings

Every setting is an environment variable. `.env.example` has all of them, commented out with their defaults. What a
production must set is in [Deploy](how-to/deploy.md#in-production). Names of durations end in `_S`: seconds, with a
fraction where the type is a number. A variable `WALLET_…` that is in none of these tables stops every process at its
start, and so does a value that is out of bounds; all errors are reported at once.

`walletctl` reads these settings to migrate, to verify, and to sign tokens for development. Which service it calls,
and how, is an option or a `WALLETCTL_…` variable: `walletctl --help`.
"""

EXAMPLE_HEAD = """\
# Made from the settings of wallet_core and wallet_console by tools/generate_settings_docs.py: change them there.
# Every setting with its default. Copy it to .env, which is not committed, and uncomment what you change:
#   set -a; . ./.env; set +a
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting as both files show it."""

    variable: str
    section: str
    read_by: str
    type: str
    default: str
    """Empty where there is none."""
    meaning: str


def settings() -> Iterator[Setting]:
    """Yield every setting, in order."""
    for one in variables():
        yield _setting(one.environment, one.kind, one.field, one.info)
    for field, info in ConsoleSettings.model_fields.items():
        yield _setting(f"{CONSOLE}{field.upper()}", ConsoleSettings, field, info)


def _setting(variable: str, kind: type[Section | ConsoleSettings], field: str, info: FieldInfo) -> Setting:
    shape = kind.model_json_schema()["properties"][field]
    own = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    return Setting(
        variable=variable,
        section=kind.title,
        read_by=", ".join(map(str, own.get("read_by", kind.read_by))),  # type: ignore[arg-type]  # a list
        type=_type_of(shape),
        default=_written(info.get_default(call_default_factory=True)),
        meaning=info.description or "",
    )


def page() -> str:
    """Return docs/settings.md."""
    parts = [PAGE_HEAD]
    for section, found in groupby(settings(), key=lambda setting: setting.section):
        rows = ["| variable | type | default | meaning | read by |", "|---|---|---|---|---|"]
        for one in found:
            default = f"`{one.default}`" if one.default else "none"
            cells = (f"`{one.variable}`", one.type, default, one.meaning, one.read_by)
            rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
        parts.append(f"## {section}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def example() -> str:
    """Return .env.example."""
    parts = [EXAMPLE_HEAD]
    for section, found in groupby(settings(), key=lambda setting: setting.section):
        parts.append(f"\n# {section}\n")
        for one in found:
            text = f"{one.meaning} ({one.type}; read by {one.read_by})"
            lines = textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")
            parts.append("\n" + "\n".join([*lines, f"#{one.variable}={one.default}"]) + "\n")
    return "".join(parts)


def _type_of(shape: Mapping[str, Any]) -> str:
    """Say in words what a value may be."""
    (shape,) = [one for one in shape.get("anyOf", [shape]) if one.get("type") != "null"]
    if "enum" in shape:
        return " or ".join(f"`{value}`" for value in shape["enum"])
    if shape.get("format") == "password":
        return f"secret, {shape['minLength']} characters or more" if "minLength" in shape else "secret"
    names = {
        "boolean": "`true` or `false`",
        "array": "JSON",
        "integer": "whole number",
        "number": "number",
        "object": "JSON",
        "string": "path" if shape.get("format") == "path" else "text",
    }
    bounds = {
        "exclusiveMinimum": "more than {}",
        "minimum": "{} or more",
        "maximum": "{} or less",
    }
    within = [words.format(_number(shape[bound])) for bound, words in bounds.items() if bound in shape]
    return ", ".join([names[shape["type"]], *within])


def _written(default: object) -> str:
    """Write a default as its variable would be set."""
    match default:
        case None:
            return ""
        case bool():
            return str(default).lower()
        case float():
            return _number(default)
        case dict() | tuple():
            return json.dumps(default)
        case _:
            return str(default)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def main(arguments: list[str]) -> int:
    """Write both, or check that they are what the settings make; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", nargs="?", type=Path, default=PAGE)
    parser.add_argument("example", nargs="?", type=Path, default=EXAMPLE)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where one is not fresh")
    given = parser.parse_args(arguments)
    stale = False
    for path, made in ((given.page, page()), (given.example, example())):
        if not given.check:
            path.write_text(made)
        elif not path.exists() or path.read_text() != made:
            print(f"{path} is not what the settings make. Run `make settings`.")
            stale = True
    return int(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
