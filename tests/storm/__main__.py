"""The crash storm: ``python -m tests.storm --seed N --seconds S``, or ``make storm SEED=N SECONDS=S``.

Calls of every kind, while every process is killed and started again at random; then all is started, and all ledgers are
compared. The seed decides what every caller requests and what is killed when. How far the callers come, and what meets
what, is the machine's: a seed that has failed replays the same plan, and may need a few rounds to fail again.
"""

import argparse
import secrets
import sys
from collections.abc import Sequence

from tests.storm.show import Screen, show
from tests.storm.storm import Report, storm
from walletctl.output import out

# In less time not every process can have been hit.
SECONDS_MIN = 20.0
_SEEDS = 1_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one storm; return 1 where any two books disagree."""
    request = _parser().parse_args(arguments)
    report = run(secrets.randbelow(_SEEDS) if request.seed is None else request.seed, request.seconds)
    return 1 if report.findings else 0


def run(seed: int, seconds: float) -> Report:
    """Run one storm before a person's eyes."""
    out.print(f"A storm of {seconds:g} s, seed [bold]{seed}[/]")
    with Screen(seconds) as screen:
        report = storm(seed, seconds, screen.watcher())
    show(report)
    return report


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=None, help="what is asked and who is killed when; a new one without"
    )
    parser.add_argument("--seconds", type=_seconds, default=600.0, help="how long it rages, before all is healed")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if seconds < SECONDS_MIN:
        raise argparse.ArgumentTypeError(f"a storm takes at least {SECONDS_MIN:g} s")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
