"""The pages of settings have every setting, are fresh, and name the processes that really read it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.generate_settings_docs import EXAMPLE, PAGE, main, settings
from wallet_console.settings import PREFIX, ConsoleSettings
from wallet_console.settings import read_settings as read_console_settings
from wallet_core.settings import read_settings, variables

ROOT = Path(__file__).parents[2]
DECLARED = {one.variable: one for one in settings()}
# Where the code of one process alone reads settings; what bootstrap wires is for one or more of them.
ROOMS = {
    "server": ["wallet_grpc"],
    "scheduler": ["scheduler"],
    "walletctl": ["walletctl"],
}
NAMES = {(one.section, one.field): one.environment for one in variables()}
PROPERTIES = {
    "required_database_url": "WALLET_DATABASE_URL",
    "required_bank_url": "WALLET_BANK_URL",
    "reflection": "WALLET_GRPC_REFLECTION",
}
# Names that code gives to one section of the settings.
SECTIONS = {
    "limits": "grpc",
    "sizes": "connections",
    "timeouts": "connections",
    "bank": "bank",
    "payouts": "payouts",
    "webhooks": "webhooks",
}


def read_in(*rooms: str) -> Iterator[str]:
    """Yield the settings that modules read, by the name that they always have there."""
    for path in (path for room in rooms for path in sorted((ROOT / room).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Attribute(value=ast.Name(id="settings"), attr=name) if name in PROPERTIES:
                    yield PROPERTIES[name]
                case ast.Attribute(value=ast.Attribute(value=ast.Name(id="settings"), attr=section), attr=name):
                    yield NAMES[section, name]
                case (
                    ast.keyword(arg="period", value=ast.Constant(value=str(path_)))
                    | ast.AnnAssign(target=ast.Name(id="period"), value=ast.Constant(value=str(path_)))
                ):  # of the scheduler's jobs, as section and field
                    section, _, name = path_.partition(".")
                    yield NAMES[section, name]
                case ast.Attribute(value=ast.Name(id=section), attr=name):
                    if (found := (SECTIONS.get(section, ""), name)) in NAMES:
                        yield NAMES[found]


@pytest.mark.parametrize("process", ROOMS)
def test_each_setting_is_documented_with_the_processes_that_read_it(process: str) -> None:
    """A setting that a process's own code reads has its name."""

    read = set(read_in(*ROOMS[process]))

    assert read
    assert {name for name in read if process not in DECLARED[name].read_by.split(", ")} == set()


def test_every_setting_is_read_somewhere() -> None:
    """A setting that no process reads would be set in vain."""

    read = {*read_in("wallet_core", "wallet_grpc", "scheduler", "walletctl"), *read_in_the_console()}
    assert read == set(DECLARED)


def read_in_the_console() -> Iterator[str]:
    """Yield the settings that the console's modules read."""
    fields = ConsoleSettings.model_fields
    own = {"_settings", "settings"}
    for path in sorted((ROOT / "wallet_console").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Attribute(value=ast.Name(id=name) | ast.Attribute(attr=name), attr=field) if (
                    field in fields and name in (own | {"self"} if path.name == "settings.py" else own)
                ):
                    yield f"{PREFIX}{field.upper()}"


def test_every_setting_is_documented_with_its_meaning() -> None:
    """In order, each once, in both files; the processes that read it and its meaning are never empty."""

    of_the_console = [f"{PREFIX}{field.upper()}" for field in ConsoleSettings.model_fields]
    assert list(DECLARED) == [one.environment for one in variables()] + of_the_console
    assert re.findall(r"^\| `(WALLET_\w+)`", PAGE.read_text(), re.MULTILINE) == list(DECLARED)
    assert re.findall(r"^#(WALLET_\w+)=", EXAMPLE.read_text(), re.MULTILINE) == list(DECLARED)
    assert [name for name, one in DECLARED.items() if not (one.meaning and one.read_by and one.type)] == []


def test_the_example_sets_what_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uncommented as a whole it changes nothing; what has no default is left empty."""

    defaults = read_settings(), read_console_settings()
    for name, value in re.findall(r"^#(WALLET_\w+)=(.+)$", EXAMPLE.read_text(), re.MULTILINE):
        monkeypatch.setenv(name, value)

    assert (read_settings(), read_console_settings()) == defaults


def test_pages_are_what_the_settings_make(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The check fails, writes nothing, and prints the command to run where one is not."""

    page, example = tmp_path / "settings.md", tmp_path / "example"
    page.write_text(PAGE.read_text())
    example.write_text("stale")

    assert main(["--check"]) == 0, "Run `make settings`."
    assert main(["--check", str(page), str(example)]) == 1
    assert f"{example} is not what the settings make. Run `make settings`." in capsys.readouterr().out
    assert example.read_text() == "stale"
    assert main([str(page), str(example)]) == 0
    assert example.read_text() == EXAMPLE.read_text()
