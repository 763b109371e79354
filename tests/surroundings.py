"""``python -m tests.surroundings [NAME…]``: the money suite once in each of the surroundings that services really have.

PostgreSQL 14 to 16 in place of 18, PgBouncer in session mode, a login with unusual settings, and a terminal that
is not UTF-8. All tests of money that reach the database by the service's own connections run unchanged.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.surroundings import VARIABLE, Surroundings

_TESTS = Path(__file__).parent
# Those that move money, or show it; not those that are about the edge alone.
MONEY = (
    *("grpc/test_transfers.py", "grpc/test_deposits.py", "grpc/test_batches.py", "grpc/test_batch_items.py"),
    *("grpc/test_holds.py", "grpc/test_hold_captures.py", "grpc/test_hold_requests.py", "grpc/test_reversals.py"),
    *("grpc/test_commission_reversals.py", "grpc/test_commission.py", "grpc/test_commission_quotes.py"),
    *("grpc/test_commission_rules.py", "grpc/test_commission_rule_choice.py", "grpc/test_as_of.py"),
    *("grpc/test_withdrawals.py", "grpc/test_scheduled_deposits.py", "grpc/test_scheduled_deposit_requests.py"),
    *("grpc/test_reserved_withdrawals.py", "grpc/test_statements.py", "grpc/test_exports.py", "grpc/test_lists.py"),
    *("grpc/test_wallets.py", "grpc/test_wallet_life.py", "grpc/test_wallet_updates.py", "grpc/test_operations.py"),
    *("grpc/test_operations_money.py", "grpc/test_watch.py"),
    *("concurrency", "scheduler", "model"),
)
_TERMINAL = {"PYTHONIOENCODING": "latin-1", "LC_ALL": "C", "LANG": "C", "TZ": "Asia/Kathmandu"}


def main(names: Sequence[str]) -> int:
    """Run the suite in all surroundings, or in those that are named; return 0 only if all of it passed."""
    chosen = [Surroundings(name) for name in names] or [one for one in Surroundings if one is not Surroundings.OURS]
    failed = [one for one in chosen if _run(one) != 0]
    print(f"failed in: {', '.join(failed)}" if failed else "all green")  # noqa: T201  # for the person who ran it
    return 1 if failed else 0


def _run(one: Surroundings) -> int:
    print(f"— {one} —", flush=True)  # noqa: T201  # as above
    variables = {**os.environ, **_TERMINAL, VARIABLE: one}  # noqa: TID251  # the test run's own switch
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadscope", "-m", "not long"]
    return subprocess.run([*command, *(str(_TESTS / path) for path in MONEY)], env=variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
