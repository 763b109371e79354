"""Our processes, started as in production, with fast settings."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from walletctl.local.child import spawn


@contextmanager
def process(arguments: Sequence[str], *, env: Mapping[str, object], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``python`` with *arguments*; at the end it is killed if it still lives."""
    variables = {name: str(value) for name, value in env.items()}
    command = [sys.executable, *arguments]
    child = spawn(command, death_signal=signal.SIGKILL, extra_env=variables, log=log, takes_stop_signals=True)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """Return settings as the environment variables that set them."""
    return {
        f"WALLET_{name.upper()}": json.dumps(value) if isinstance(value, list) else str(value)
        for name, value in settings.items()
    }
