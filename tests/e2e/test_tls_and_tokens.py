"""The commands of docs/how-to/authenticate.md, run in one shell as a person types them."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.toolchain import installed
from walletctl.local.waiting import wait_until

pytestmark = [pytest.mark.alone, pytest.mark.timeout(300)]

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "authenticate.md"
UP = "walletctl up &"
# Free ports, and a service that ends with the shell.
UP_HERE = "walletctl up --port 0 --bank-port 0 --console-port 0 > up.txt 2>&1 & echo $! > up.pid"
PROGRAM = "$ # the output of the program:"
READY = "until grep -qs 'Ctrl-C stops' up.txt; do kill -0 $(cat up.pid) || { cat up.txt; exit 1; }; sleep 0.1; done"


def recipe() -> str:
    """Return the page's commands as one script, each printed before its output, as the page shows it."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text(), re.DOTALL)
    commands = [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    assert commands.count(UP) == 1
    script = []
    for command in commands:
        run = f"{UP_HERE}\n{READY}" if command == UP else command
        script.append(f"cat <<'COMMAND'\n$ {command}\nCOMMAND\n{run}")
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    port = """$(python -c 'import json; print(json.load(open(".wallet/running.json"))["target"].split(":")[1])')"""
    return "\n".join(script) + f"\necho '{PROGRAM}'\npython - <<END\n{program.replace('50051', port)}\nEND\n"


def test_tls_and_tokens_on_one_machine(tmp_path: Path) -> None:
    """Certificates, a token, a service that is seeded over TLS, a call, a refusal, and the client."""

    log, path = tmp_path / "shell.txt", f"{Path(installed('walletctl')).parent}:{os.environ['PATH']}"  # noqa: TID251
    try:
        with log.open("wb") as output:
            done = subprocess.run(
                ["bash", "-c", recipe()],
                cwd=tmp_path,
                env={**os.environ, "PATH": path},  # noqa: TID251  # the shell's own variables
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=200,
                check=False,
            )
    finally:
        os.kill(int((tmp_path / "up.pid").read_text()), signal.SIGTERM)
        stopped = wait_until(lambda: "stopped" in (tmp_path / "up.txt").read_text(), timeout_s=60)

    assert stopped
    printed = log.read_text()
    assert done.returncode == 0, printed
    if os.environ.get("WRITE_OUTPUTS"):  # noqa: TID251  # set by `make readme`
        PAGE.write_text(with_outputs(PAGE.read_text(), printed))
        return

    shown = "".join(re.findall(r"```(?:console|text)\n(.*?)```", PAGE.read_text(), re.DOTALL))
    printed = printed.replace(f"{PROGRAM}\n", "")
    assert normal(printed) == normal(shown)


def normal(text: str) -> list[str]:
    """Leave out request ids."""
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "<id>", text).splitlines()


def with_outputs(page: str, printed: str) -> str:
    """Return the page with the outputs that were printed, each below its command."""
    outputs = dict(re.findall(r"^(\$ .*\n)((?:(?!\$ ).*\n)*)", printed, re.MULTILINE))

    def rewritten(block: re.Match[str]) -> str:
        commands = re.findall(r"^\$ .*\n", block[1], re.MULTILINE)
        return "```console\n" + "".join(command + outputs[command] for command in commands) + "```"

    return re.sub(r"```console\n(.*?)```", rewritten, page, flags=re.DOTALL)
