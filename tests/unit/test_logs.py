"""What the logs never hold."""

import json
import subprocess
import sys

_PROGRAM = """
import structlog
from wallet_core.logs import set_up_logs

set_up_logs("INFO")

def pay(bank_account):
    raise ValueError("broken")

try:
    pay("secret-account")
except ValueError:
    structlog.get_logger().error("call", exc_info=True)
"""


def test_traceback_comes_without_what_the_code_held() -> None:
    """Bank accounts and callers' texts are in locals; the place and the error are enough."""

    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    line = json.loads(done.stderr)

    assert (line["event"], line["exception"][0]["exc_type"]) == ("call", "ValueError")
    assert "secret-account" not in done.stderr


_LIBRARIES = """
import logging, threading, warnings
from wallet_core.logs import set_up_logs

set_up_logs("INFO")
logging.getLogger("sqlalchemy.pool").error("Exception during reset or similar", exc_info=ValueError("lost"))
logging.getLogger("psycopg").warning("error ignored terminating %s", "pipeline")
logging.getLogger("httpx").info("not worth a line")
warnings.warn("is old")
thread = threading.Thread(target=lambda: 1 / 0, name="bad")
thread.start()
thread.join()

class Left:
    def __del__(self):
        raise ValueError("too late")

Left()
"""


def test_libraries_log_in_lines_like_our_own() -> None:
    """Their logs and warnings, and what ends a thread or is raised where it cannot be caught."""

    done = subprocess.run([sys.executable, "-c", _LIBRARIES], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]

    assert [(line["level"], line.get("logger", "")) for line in lines] == [
        ("warning", "sqlalchemy.pool"),  # a connection was lost: no defect, and the call's error has its consequence
        ("warning", "psycopg"),
        ("warning", "py.warnings"),
        ("error", ""),
        ("error", ""),
    ]
    assert [line["event"] for line in lines[:2] + lines[3:]] == [
        "Exception during reset or similar: ValueError",
        "error ignored terminating pipeline",
        "thread ended",
        "error ignored",
    ]
    assert [line["exception"][0]["exc_type"] for line in lines if "exception" in line] == [
        "ZeroDivisionError",
        "ValueError",
    ]
