"""Write the client for threads from the one for asyncio: the same text without its awaiting. Run by `make protos`.

With ``--check`` nothing is written; exit code 1 says that it is not what it should be.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import unasync  # type: ignore[import-untyped]

CLIENT = Path(__file__).parents[1] / "wallet_client"
NAMES = {
    "aio": "sync",
    "AioCall": "Call",
    "AioToken": "Token",
    "open_aio_channel": "open_channel",
    "aio_is_ready": "is_ready",
    "aio_pause": "pause",
    "AIO_CUT": "CUT",
    "aio_given_up": "given_up",
    "OneLoop": "EveryThread",
    "AsyncWalletClient": "WalletClient",
} | {
    f"{service}ServiceAsyncStub": f"{service}ServiceStub"
    for service in (
        *("Wallet", "Transaction", "Schedule", "Hold", "Commission", "Operations", "Event", "Webhook"),
        *("Info", "Audit"),
    )
}
# unasync changes names, not texts: the examples in docstrings lose their awaiting here.
_EXAMPLE = re.compile(r"^ +(>>>|\.\.\.) .*$", re.MULTILINE)
_AWAITING = re.compile(r"\b(await|async) ")
HEAD = (
    '"""The client for threads, made from the one for asyncio by tools/generate_sync_client.py: change that one."""\n'
)


def generate(out: Path) -> None:
    """Write it to a folder."""
    sources = sorted(path for path in (CLIENT / "aio").glob("*.py") if path.name != "__init__.py")
    rule = unasync.Rule(f"{CLIENT / 'aio'}/", f"{out}/", additional_replacements=NAMES)
    unasync.unasync_files([str(path) for path in sources], rules=[rule])
    for path in out.glob("*.py"):
        path.write_text(_EXAMPLE.sub(lambda line: _AWAITING.sub("", line[0]), path.read_text()))
    (out / "__init__.py").write_text(HEAD)
    config = str(CLIENT.parents[0] / "pyproject.toml")
    tidy = ["check", "--quiet", "--fix", "--unsafe-fixes", "--select", "I,UP028"]
    for command in (tidy, ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, "--config", config, str(out)], check=True)


def main() -> None:
    """Write it, or compare it."""
    if sys.argv[1:] != ["--check"]:
        generate(CLIENT / "sync")
        return
    with tempfile.TemporaryDirectory() as made:
        generate(Path(made))
        for path in sorted({p.name for folder in (Path(made), CLIENT / "sync") for p in folder.glob("*.py")}):
            ours, right = CLIENT / "sync" / path, Path(made) / path
            if not (ours.exists() and right.exists() and ours.read_text() == right.read_text()):
                sys.exit(f"{ours} is not what the client for asyncio makes. Run `make protos`.")


if __name__ == "__main__":
    main()
