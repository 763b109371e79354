"""The README's blocks, run against a service of the test's own: what stands there is what happens.

An id that one block shows and a later one names is the id of this run in both. ``make readme`` writes all anew.
"""

import contextlib
import io
import json
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.toolchain import grpcurl, installed
from wallet_client import Amount, CallError, WalletClient
from walletctl.local.service import Ports, local_service
from walletctl.seed import seed

pytestmark = pytest.mark.timeout(300)

README = Path(__file__).parents[2] / "README.md"
TARGET = "127.0.0.1:50051"

# A block's command, which may go on over lines that end in a backslash, and the output below it.
_BLOCK = re.compile(r"```console\n\$ (?P<command>(?:grpcurl|buf|walletctl).*?[^\\])\n(?P<output>.*?)```", re.DOTALL)
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[478][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the whole service, seeded as by ``up``; return its address."""
    state = tmp_path_factory.mktemp("readme") / "state"
    ports = Ports(grpc=0, bank=0)
    with local_service(state, ports=ports, bank_fail_rate=0.0, tell=lambda _: None) as local:
        with WalletClient(local.running.target) as client:
            seed(client)
        yield local.running.target


def test_readme_calls_answer_as_shown(service: str) -> None:
    """Every block with a command that talks to it, in order, with its real output."""

    readme = README.read_text()
    blocks = list(_BLOCK.finditer(readme))
    assert len(blocks) == 20
    ran: list[tuple[str, str]] = []
    ids: dict[str, str] = {}
    for block in blocks:
        command = block["command"]
        for shown in set(_ID.findall(command)) & ids.keys():
            command = command.replace(shown, ids[shown])
        ran.append((command, _run(command, service)))
        ids |= dict(zip(_ID.findall(block["output"]), _ID.findall(ran[-1][1]), strict=False))
    if os.environ.get("WRITE_README"):  # noqa: TID251  # asked for by whoever runs it
        README.write_text(_with_outputs(readme, ran))
        return

    for block, (_, output) in zip(blocks, ran, strict=True):
        assert _normal(block["output"]) == _normal(output), block["command"]


def test_readme_python_block_runs(service: str) -> None:
    """The block that uses the client."""

    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    with WalletClient(service) as client:
        for wallet in ("carol", "dave"):
            with contextlib.suppress(CallError):  # the other test has made it
                client.create_wallet(wallet, "USD")
        client.deposit("wallets/carol", Amount("USD", 1000))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        exec(compile(block.replace(TARGET, service), str(README), "exec"), {})  # noqa: S102  # our own README

    assert re.fullmatch(r"250 moved; \d+ left\nINSUFFICIENT_FUNDS \d+\n", printed.getvalue())


def _run(command: str, target: str) -> str:
    tool = {"grpcurl": grpcurl(), "buf": installed("buf"), "walletctl": installed("walletctl")}
    name, _, rest = command.replace(TARGET, target).partition(" ")
    done = subprocess.run(
        ["bash", "-c", f'"$0" {rest}', tool[name]],
        env={**os.environ, "WALLETCTL_TARGET": target},  # noqa: TID251  # the shell's own variables
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # in the order that a person sees
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.replace(target, TARGET).expandtabs(4)


def _normal(output: str) -> object:
    """Leave out what differs from run to run: ids, times, and the order of an error's metadata."""
    text = _ID.sub("<id>", output)
    text = re.sub(r"20(?!99)\d\d-\d\d-\d\d(T[0-9:.]+Z| [0-9:]+)", "<time>", text)
    try:
        return json.loads(text)
    except ValueError:
        return sorted(line.strip().rstrip(",") for line in text.splitlines())


def _with_outputs(readme: str, ran: Sequence[tuple[str, str]]) -> str:
    left = iter(f"```console\n$ {command}\n{output.rstrip()}\n```" for command, output in ran)
    return _BLOCK.sub(lambda _: next(left), readme)
