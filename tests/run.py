"""``python -m tests.run``: all tests but the long ones, in two rounds, and a last line with the result.

First those that can share the machine, several at a time; then those marked ``alone``. Arguments go to both rounds.
"""

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from xml.etree import ElementTree as ET

# Two cores are kept busy by four workers: tests wait for processes, for the database, and for time to pass.
WORKERS = 4
_NOTHING_COLLECTED = 5
_TESTS = Path(__file__).parent


@dataclass
class Tally:
    """How many tests of a run passed, failed, and were skipped for which reason."""

    passed: int = 0
    failed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def add(self, report: Path) -> None:
        """Add a round, by the report that pytest wrote."""
        for case in ET.parse(report).iter("testcase"):  # noqa: S314  # written by our own pytest
            skipped = case.find("skipped")
            if skipped is not None:
                self.skipped[skipped.get("message", "")] += 1
            elif case.find("failure") is not None or case.find("error") is not None:
                self.failed += 1
            else:
                self.passed += 1

    def lines(self, took_s: float) -> list[str]:
        """Return the summary that is printed at the end."""
        results = [f"{count} skipped: {reason}" for reason, count in self.skipped.most_common()]
        if results:
            results.append("WALLET_REQUIRE_ALL=1 make test runs these too; it needs Go, Node.js, Java and Maven.")
        minutes, seconds = divmod(round(took_s), 60)
        results.append(f"All tests took {minutes} min {seconds} s.")
        counts = f"{self.passed} passed, {self.failed} failed"
        return [*results, f"{counts}, {self.skipped.total()} skipped" if self.skipped else counts]


def rounds() -> Iterator[list[str]]:
    """Yield pytest's arguments of each round."""
    # A module's tests stay together on one worker, for they share a core, a server, or a scenario that takes long to
    # run. In order of their folders, so that short ones come last and no worker is left with a long one.
    together = ("--dist", "loadscope", "--no-loadscope-reorder")
    yield ["-n", str(WORKERS), *together, "-m", "not alone and not long"]
    # Only files that have the mark: to load all others would take longer than some of these tests.
    alone = sorted(str(path) for path in _TESTS.rglob("test_*.py") if "mark.alone" in path.read_text())
    yield ["-m", "alone and not long", *alone]


def main(arguments: Sequence[str]) -> int:
    """Run both rounds; return 0 only if tests ran and all of them passed or were skipped."""
    started_at = monotonic()
    tally = Tally()
    codes = []
    with tempfile.TemporaryDirectory(prefix="wallet-test-reports-") as folder:
        for number, round_ in enumerate(rounds(), start=1):
            report = Path(folder) / f"{number}.xml"
            command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *round_, *arguments]
            codes.append(subprocess.run(command, check=False).returncode)
            if report.exists():
                tally.add(report)
    print(*tally.lines(monotonic() - started_at), sep="\n")  # noqa: T201  # for the person who ran it
    ran = {code for code in codes if code != _NOTHING_COLLECTED}
    return max(ran, key=abs) if ran else _NOTHING_COLLECTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
