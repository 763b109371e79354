"""A process that serves loads no library that only a person's terminal needs."""

import subprocess
import sys

import pytest

_RUN = """
import runpy, sys
process = sys.argv.pop(1)
try:
    runpy.run_module(process, run_name="__main__", alter_sys=True)
except SystemExit:
    print("LOADED", *sys.modules)
"""


@pytest.mark.parametrize("process", ["wallet_grpc", "scheduler"])
def test_a_server_imports_no_rich(process: str) -> None:
    """Rich draws tracebacks and a command line, which structlog and httpx offer and no server shows."""

    done = subprocess.run(
        [sys.executable, "-c", _RUN, process, "--help"], capture_output=True, text=True, timeout=60, check=True
    )

    loaded = {module.partition(".")[0] for module in done.stdout.rpartition("LOADED")[2].split()}
    assert {"structlog", "httpx", "wallet_core"} <= loaded
    assert "rich" not in loaded
