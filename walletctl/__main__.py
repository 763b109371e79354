"""``walletctl`` and ``python -m walletctl``."""

import sys

from wallet_core.stop_signals import block_stop_signals


def main() -> None:
    """Run the command line."""
    block_stop_signals()
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal has not is no reason to fail. A stream that was closed is None.
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a text file
    # Not before: loading takes a second, in which a signal would end `up` with an error.
    from walletctl.cli import cli  # noqa: PLC0415  # see above

    cli()


if __name__ == "__main__":
    main()
