"""The commands and programs of README.md, docs/ and examples/, run against a service of the test's own.

An id that one block prints and a later one names is this run's id in both. ``make readme`` rewrites all outputs.
``BLOCKS`` lists every block with the test that runs it, so that a new one cannot be forgotten.
"""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.toolchain import grpcurl, installed
from wallet_client import Amount, CallError, WalletClient
from walletctl.local.service import Ports, local_service
from walletctl.seed import seed

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
TUTORIAL = ROOT / "docs" / "tutorial.md"
RETRY = ROOT / "docs" / "how-to" / "retry.md"
REFERENCES = ROOT / "docs" / "how-to" / "unique-references.md"
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
TARGET = "127.0.0.1:50051"

# Of each document how many blocks of which language, without drawings and outputs, which have none.
BLOCKS = {
    "README.md": {"console": 21, "python": 1},  # here; the first one, `make`, is what CI runs
    "docs/tutorial.md": {"console": 11, "python": 1},  # here
    "docs/how-to/retry.md": {"python": 1},  # here
    "docs/how-to/unique-references.md": {"python": 1},  # here
    "docs/how-to/authenticate.md": {"console": 2, "python": 1, "json": 1},  # test_tls_and_tokens.py
    "docs/how-to/audit.md": {"console": 6, "sql": 1},  # test_walletctl_audit.py
    "docs/console.md": {"sh": 1},  # tests/console/test_login.py
    "docs/how-to/deploy.md": {"sql": 1, "console": 1},  # tests/storage/test_logins.py
}

# A block's command, which may continue over lines that end in a backslash, and the output below it.
_BLOCK = re.compile(r"```console\n\$ (?P<command>(?:grpcurl|buf|walletctl).*?[^\\])\n(?P<output>.*?)```", re.DOTALL)
_PYTHON = re.compile(r"```python\n(?P<program>.*?)```(?:\n\n```text\n(?P<output>.*?)```)?", re.DOTALL)
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[478][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the whole service, seeded as by ``up``; return its address."""
    state = tmp_path_factory.mktemp("documents") / "state"
    ports = Ports(grpc=0, bank=0, console=0)
    with local_service(state, ports=ports, bank_fail_rate=0.0, progress=lambda _: None) as local:
        with WalletClient(local.running.target) as client:
            seed(client)
        yield local.running.target


def test_every_block_of_every_document_is_run_by_a_test() -> None:
    """A document with a new block, or another number of them, needs its entry here and a test that runs it."""

    found = {
        str(path.relative_to(ROOT)): dict(Counter(languages))
        for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))
        if (languages := re.findall(r"^```(?!text)(\w+)$", path.read_text(), re.MULTILINE))
    }

    assert found == BLOCKS


@pytest.mark.parametrize("document", [README, TUTORIAL], ids=lambda path: path.name)
def test_commands_print_what_is_documented(service: str, document: Path) -> None:
    """Every block with a command that calls the service, in order, with its real output."""

    text = document.read_text()
    blocks = list(_BLOCK.finditer(text))
    ran: list[tuple[str, str]] = []
    ids: dict[str, str] = {}
    for block in blocks:
        command = block["command"]
        for shown in set(_ID.findall(command)) & ids.keys():
            command = command.replace(shown, ids[shown])
        ran.append((command, _run(command, service)))
        ids |= dict(zip(_ID.findall(block["output"]), _ID.findall(ran[-1][1]), strict=False))
    if os.environ.get("WRITE_OUTPUTS"):  # noqa: TID251  # set by `make readme`
        document.write_text(_with_outputs(text, ran))
        return

    assert blocks
    for block, (_, output) in zip(blocks, ran, strict=True):
        assert _normal(block["output"]) == _normal(output), block["command"]


@pytest.mark.parametrize("document", [README, TUTORIAL, RETRY, REFERENCES], ids=lambda path: path.name)
def test_programs_print_what_is_documented(service: str, document: Path) -> None:
    """Every program that uses the client; amounts that depend on what ran before are any number."""

    with WalletClient(service) as client:
        for wallet in ("carol", "dave", "erin", "frank"):
            with contextlib.suppress(CallError):  # another test has made it
                client.create_wallet(wallet, "USD")
            client.deposit(f"wallets/{wallet}", Amount("USD", 1000))
    programs = list(_PYTHON.finditer(document.read_text()))
    for program in programs:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(program["program"].replace(TARGET, service), str(document), "exec"), {})  # noqa: S102  # ours
        expected = program["output"] or "250 moved; 1 left\nINSUFFICIENT_FUNDS 1\n"  # the README shows none
        assert re.sub(r"\d+", "N", printed.getvalue()) == re.sub(r"\d+", "N", expected)

    assert programs


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_print_what_is_committed(service: str, example: Path) -> None:
    """Each as a process of its own, against the service that all share; its output is in a file beside it."""

    done = subprocess.run(
        [sys.executable, str(example), service], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    expected = example.with_suffix(".txt")
    if os.environ.get("WRITE_OUTPUTS"):  # noqa: TID251  # set by `make readme`
        expected.write_text(done.stdout)
        return

    assert done.stdout == expected.read_text()


def _run(command: str, target: str) -> str:
    name, _, rest = command.replace(TARGET, target).partition(" ")
    tool = grpcurl() if name == "grpcurl" else installed(name)
    done = subprocess.run(
        ["bash", "-c", f'"$0" {rest}', tool],
        env={**os.environ, "WALLETCTL_TARGET": target},  # noqa: TID251  # the shell's own variables
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # in the order that a person sees
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.replace(target, TARGET).expandtabs(4)


def _normal(output: str) -> object:
    """Leave out what differs from run to run: ids, times, events' numbers, and the order of an error's metadata."""
    text = _ID.sub("<id>", output)
    text = re.sub(r"20(?!99)\d\d-\d\d-\d\d(T[0-9:.]+Z| [0-9:]+)", "<time>", text)
    text = re.sub(r"^ *\d+  <time>", "<number>  <time>", text, flags=re.MULTILINE)
    try:
        return json.loads(text)
    except ValueError:
        return sorted(line.strip().rstrip(",") for line in text.splitlines())


def _with_outputs(text: str, ran: Sequence[tuple[str, str]]) -> str:
    left = iter(f"```console\n$ {command}\n{output.rstrip()}\n```" for command, output in ran)
    return _BLOCK.sub(lambda _: next(left), text)
