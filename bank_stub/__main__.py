"""The command line: ``python -m bank_stub --port 8010 --state bank.sqlite``."""

import argparse
import ipaddress
import signal
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

from bank_stub.security import Security
from bank_stub.server import running_bank

PORT_MAX = 65535
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bank until SIGTERM or SIGINT; a line on standard output reports that it is ready."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if (options.certificate is None) is not (options.key is None):
        parser.error("--certificate and --key go together")
    if options.client_ca is not None and options.certificate is None:
        parser.error("--client-ca needs --certificate and --key")
    if not _is_loopback(options.host) and options.token_file is None and options.client_ca is None:
        unauthenticated = f"--host {options.host}: all that reach it may give orders"
        if not options.allow_unauthenticated:
            parser.error(
                f"{unauthenticated}; give --token-file or --client-ca, or --allow-unauthenticated if that is meant"
            )
        sys.stderr.write(f"warning: {unauthenticated}\n")
    # Blocked before any thread starts, because threads inherit the mask, and waited for below: no signal is lost or
    # interrupts other work.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        with running_bank(
            options.state,
            host=options.host,
            port=options.port,
            fail_rate=options.fail_rate,
            seed=options.seed,
            security=Security(
                certificate=options.certificate,
                key=options.key,
                client_ca=options.client_ca,
                token_file=options.token_file,
            ),
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
    parser.add_argument("--certificate", type=Path, help="PEM: its certificate chain; speaks https")
    parser.add_argument("--key", type=Path, help="PEM: the certificate's private key")
    parser.add_argument("--client-ca", type=Path, help="PEM: the authority of callers' certificates, then required")
    parser.add_argument("--token-file", type=Path, help="holds the bearer token that every call must send")
    parser.add_argument(
        "--allow-unauthenticated", action="store_true", help="listen beyond this machine, though all may give orders"
    )
    return parser


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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
