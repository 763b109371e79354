"""A file is read in one sitting: a long one has two subjects, and is split."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINES_MAX = 400

# Of ours and written by hand: `gen/`, `third_party/` and schema.sql are generated, a proto is its service's reference.
ROOMS = (
    *("wallet_core", "wallet_grpc", "wallet_client", "scheduler", "bank_stub", "walletctl", "wallet_console"),
    *("tests", "benchmarks", "tools", "packaging", "examples"),
)


def files() -> Iterator[Path]:
    """Return every Python file of ours."""
    for room in ROOMS:
        yield from (file for file in (ROOT / room).rglob("*.py") if "node_modules" not in file.parts)


def test_no_file_is_longer_than_one_sitting() -> None:
    """Four hundred lines at most."""

    lengths = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in files()}

    assert len(lengths) > 500
    assert {name: length for name, length in lengths.items() if length > LINES_MAX} == {}
