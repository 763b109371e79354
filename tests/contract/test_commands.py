"""README's table of commands names every command of ``walletctl``, and no other."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from walletctl.cli import cli

README = (Path(__file__).parents[2] / "README.md").read_text()


def commands() -> set[str]:
    """Return every command, e.g. ``deposit`` and ``wallet get``."""
    root: Any = typer.main.get_command(cli)
    context: Any = root.make_context("walletctl", ["seed"], resilient_parsing=True)
    found = {name: root.get_command(context, name) for name in root.list_commands(context)}
    alone = {name for name, command in found.items() if not hasattr(command, "commands")}
    return alone | {f"{name} {one}" for name, group in found.items() if name not in alone for one in group.commands}


def documented() -> Iterator[str]:
    """Yield the commands that the table names: ``wallet create/get`` are two, ``deposit alice 100.00`` is one."""
    groups = {command.partition(" ")[0] for command in commands() if " " in command}
    (table,) = re.findall(r"^\| command \|.*\n\|.*\n((?:\|.*\n)+)", README, re.MULTILINE)
    for row in table.splitlines():
        for typed in re.findall(r"`(?:walletctl )?([^`]+)`", row.split("|")[1]):
            first, *more = typed.split()
            if first in groups:
                yield from (f"{first} {one}" for one in more[0].split("/"))
            else:
                yield first


def test_every_command_is_in_the_table_of_commands() -> None:
    """A command that is forgotten, or gone, is named here."""

    assert sorted(documented()) == sorted(commands())
