"""A command of ``walletctl`` loads only what it uses: loading everything takes most of a second."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
import typer
from wallet.v1.wallet_service_pb2 import Currency, ListCurrenciesResponse

from wallet_client import health
from walletctl.cli import COMMANDS, cli

# What is slow to load, and what a command needs it for.
CORE = {"wallet_core.settings", "wallet_core.bootstrap", "pydantic", "pydantic_settings", "sqlalchemy", "psycopg"}
ELSEWHERE = {"alembic", "iso4217", "babel", "httpx", "jwt", "structlog", "walletctl.demo", "walletctl.local.service"}
CLIENT = {"wallet_client", "grpc", "google.protobuf"}
TABLES = {"rich", "walletctl.terminal"}

_RUN = """
import sys
from walletctl.cli import cli
for command in sys.argv[1:]:
    try:
        cli(command.split())
    except SystemExit as ended:
        print("ENDED", ended.code)
print("LOADED", *sys.modules)
"""


def loaded_by(*commands: str) -> set[str]:
    """Return the modules that are loaded in a process when its commands have succeeded."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *commands], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.count("ENDED 0") == len(commands), done.stderr
    return set(done.stdout.rpartition("LOADED")[2].split())


class EmptyAnswers(grpc.GenericRpcHandler):
    """A healthy service that answers calls with an empty message, which is a valid response."""

    _ANSWERS: Mapping[str, bytes] = {
        health.CHECK: health.SERVING,
        "/wallet.v1.WalletService/ListCurrencies": ListCurrenciesResponse(
            currencies=[Currency(code="USD", exponent=2)]
        ).SerializeToString(),
    }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        """Return what answers a call. A health watch that is not implemented counts as serving."""
        if handler_call_details.method == "/grpc.health.v1.Health/Watch":
            return None
        answer = self._ANSWERS.get(handler_call_details.method, b"")
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: answer)


@pytest.fixture
def target() -> Iterator[str]:
    """Return the address of a server that answers every call."""
    server = grpc.server(ThreadPoolExecutor(1), handlers=[EmptyAnswers()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_the_overview_loads_no_client_and_no_core() -> None:
    """It is made of ``COMMANDS`` alone."""

    loaded = loaded_by("--help")

    assert "walletctl.cli" in loaded
    assert loaded & (CORE | ELSEWHERE | CLIENT) == set()


def test_a_command_that_calls_loads_the_client_alone(target: str) -> None:
    """Neither settings nor what the database, the bank or tokens need; texts, choices and labels need no pydantic."""

    loaded = loaded_by(
        f"--target {target} wallet get alice --json",
        f"--target {target} --language fa wallet create carol --label tier=gold --json",
        f"--target {target} --token ours withdrawal list --json",
        f"--target {target} withdraw alice 10.05 --account bank --validate-only --json",
        f"--target {target} commission list --json",
    )

    assert loaded >= CLIENT
    assert loaded & (CORE | ELSEWHERE | TABLES) == set()


def test_a_table_is_drawn_by_rich_alone(target: str) -> None:
    """It is loaded when the service has answered."""

    loaded = loaded_by(f"--target {target} withdrawal list")

    assert loaded >= CLIENT | TABLES
    assert loaded & (CORE | ELSEWHERE) == set()


def test_the_overview_equals_each_commands_help() -> None:
    """The first line of its own help; and every command can be loaded."""

    root: Any = typer.main.get_command(cli)
    context: Any = root.make_context("walletctl", ["seed"], resilient_parsing=True)
    own = {
        name: (root.get_command(context, name).help or "").partition("\n")[0] for name in root.list_commands(context)
    }

    assert own == {name: line for name, (_, line) in COMMANDS.items()}
