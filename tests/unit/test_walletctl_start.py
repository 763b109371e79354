"""A command of ``walletctl`` loads only what it uses: loading everything takes most of a second."""

import subprocess
import sys
from typing import Any

import pytest
import typer

from walletctl.cli import COMMANDS, cli

# What is slow to load, and what a command needs it for.
CORE = {"wallet_core.settings", "pydantic_settings", "wallet_core.bootstrap", "sqlalchemy", "psycopg", "alembic"}
ELSEWHERE = {"iso4217", "babel", "httpx", "jwt", "walletctl.demo", "walletctl.local.service"}
CLIENT = {"wallet_client", "grpc", "google.protobuf", "walletctl.output"}

_RUN = """
import sys
from walletctl.cli import cli
try:
    cli(sys.argv[1:])
except SystemExit:
    pass
print("LOADED", *sys.modules)
"""


def loaded_by(*arguments: str) -> set[str]:
    """Return the modules that are loaded when a command has ended."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.rpartition("LOADED")[2].split())


def test_the_overview_loads_no_client_and_no_core() -> None:
    """It is made of ``COMMANDS`` alone."""

    loaded = loaded_by("--help")

    assert "walletctl.cli" in loaded
    assert not loaded & (CORE | ELSEWHERE | CLIENT)


@pytest.mark.parametrize("arguments", [["wallet", "get", "alice"], ["withdrawal", "list"], ["seed"]], ids=" ".join)
def test_a_command_that_calls_loads_the_client_alone(arguments: list[str]) -> None:
    """Neither settings nor what the database, the bank or tokens need."""

    loaded = loaded_by("--target", "127.0.0.1:1", *arguments)

    assert loaded >= CLIENT
    assert not loaded & (CORE | ELSEWHERE)


def test_the_overview_equals_each_commands_help() -> None:
    """The first line of its own help; and every command can be loaded."""

    root: Any = typer.main.get_command(cli)
    context: Any = root.make_context("walletctl", ["seed"], resilient_parsing=True)
    own = {
        name: (root.get_command(context, name).help or "").partition("\n")[0] for name in root.list_commands(context)
    }

    assert own == {name: line for name, (_, line) in COMMANDS.items()}
