"""``walletctl`` and ``python -m walletctl``."""

import sys

from wallet_core.stop_signals import block_stop_signals


def main() -> None:
    """Run the command line."""
    block_stop_signals()
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal lacks is escaped. A closed stream is None.
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a text file
    # After blocking: a signal during the import would end `up` with an error.
    from walletctl.cli import cli  # noqa: PLC0415  # see above

    cli()


if __name__ == "__main__":
    main()
