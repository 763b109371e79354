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
    """Bank accounts and callers' words stand in locals; the place and the error are enough."""

    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    line = json.loads(done.stderr)

    assert (line["event"], line["exception"][0]["exc_type"]) == ("call", "ValueError")
    assert "secret-account" not in done.stderr
