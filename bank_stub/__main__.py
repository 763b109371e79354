"""The command line: ``python -m bank_stub --port 8010 --state bank.sqlite``."""

import argparse
import signal
import sqlite3
import sys
from collections.abc import Sequence

from bank_stub.server import running_bank

PORT_MAX = 65535
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bank until SIGTERM or SIGINT; one line on standard output says that it is ready."""
    options = _parser().parse_args(arguments)
    # Blocked here and waited for below, before any thread starts: the threads inherit it, so no signal is lost or
    # lands amid something.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        with running_bank(
            options.state, host=options.host, port=options.port, fail_rate=options.fail_rate, seed=options.seed
        ) as bank:
            sys.stdout.write(f"bank stub listening on {bank.url}\n")
            sys.stdout.flush()
            signal.sigwait(STOP_SIGNALS)
    except (OSError, sqlite3.Error) as error:
        sys.stderr.write(f"bank stub cannot start: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bank_stub", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", default=8010, type=_port, help="port to listen on, 0 for a free one")
    parser.add_argument("--state", default=":memory:", help="SQLite file that survives the bank; none by default")
    parser.add_argument("--fail-rate", default=0.1, type=_share, help="share of new POSTs that fail for now, 0 to 1")
    parser.add_argument("--seed", default=None, type=int, help="makes what happens by chance repeatable")
    return parser


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= PORT_MAX):
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to {PORT_MAX}")
    return int(text)


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError("a share is a number from 0 to 1")
    return share


if __name__ == "__main__":
    sys.exit(main())
