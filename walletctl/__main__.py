"""``walletctl`` and ``python -m walletctl``."""

from wallet_core.stop_signals import block_stop_signals


def main() -> None:
    """Run the command line."""
    block_stop_signals()
    # Not before: loading takes a second, in which a signal would end `up` with an error.
    from walletctl.cli import cli  # noqa: PLC0415  # see above

    cli()


if __name__ == "__main__":
    main()
