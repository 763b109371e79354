"""``python -m tests.mutants``: put each mistake into a copy of the product, and check that a test goes red.

The product itself is never touched: what is changed is a copy, which is thrown away.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.table import Table

from tests.mutants.change import NoSuchPlace
from tests.mutants.mistake import Mistake
from tests.mutants.mistakes import MISTAKES

ROOT = Path(__file__).parents[2]
ENDS_WITHIN_S = 600
RED = 1
"""Pytest's exit code where tests ran and some failed."""


def main() -> int:
    """Try every mistake whose name holds the words given, or all; return 1 if one went unnoticed."""
    wanted = " ".join(sys.argv[1:])
    mistakes = [mistake for mistake in MISTAKES if wanted in mistake.name]
    console = Console()
    table = Table("mistake", "found by", "s", title="Mistakes put into a copy of the product")
    unnoticed = 0
    green: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="wallet-mutants-") as folder, console.status("copying") as status:
        copy = Path(folder)
        _copy_to(copy)
        for mistake in mistakes:
            started_at = monotonic()
            if mistake.tests not in green:
                status.update(f"without any mistake: {mistake.tests}")
                if (code := _run(copy, mistake.tests)[0]) != 0:
                    raise SystemExit(f"{mistake.tests} is not green without any mistake (pytest ended with {code})")
                green.add(mistake.tests)
            status.update(mistake.name)
            found_by = _found_by(copy, mistake)
            unnoticed += found_by is None
            shown = f"[green]{found_by}[/]" if found_by is not None else "[bold red]nobody[/]"
            table.add_row(mistake.name, shown, f"{monotonic() - started_at:.0f}")
    console.print(table)
    return 1 if unnoticed or not mistakes else 0


def _copy_to(folder: Path) -> None:
    """Copy all that is in the repository, as it lies here."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # independent of git's configuration
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())


def _found_by(copy: Path, mistake: Mistake) -> str | None:
    """Return the test that goes red with a mistake; None where none does."""
    before = {change.file: (copy / change.file).read_text() for change in mistake.changes}
    try:
        for change in mistake.changes:
            file = copy / change.file
            try:
                file.write_text(change.applied(file.read_text()))
            except NoSuchPlace as error:
                raise SystemExit(f"{mistake.name}: {error}") from None
        code, red = _run(copy, mistake.tests)
    finally:
        for name, text in before.items():
            (copy / name).write_text(text)
    return red if code == RED else None


def _run(copy: Path, tests: str) -> tuple[int, str]:
    """Run tests in the copy; return pytest's exit code, and the first that went red."""
    ran = subprocess.run(  # our own tests
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not long", *tests.split()],
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
        env={**os.environ, "PYTHONPATH": str(copy)},  # noqa: TID251  # handed on
        check=False,
    )
    # A test whose ledger is found broken at its end is reported as an error.
    output = [line for line in ran.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    red = [line.partition(" ")[2].partition(" - ")[0] for line in output]
    return ran.returncode, red[0].rpartition("::")[2] if red else ""


if __name__ == "__main__":
    sys.exit(main())
