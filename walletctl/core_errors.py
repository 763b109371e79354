"""Errors of the core, for the commands that use it in this process."""

from collections.abc import Iterator
from contextlib import contextmanager

from wallet_core.domain.model.errors import ServiceError, cause_of
from wallet_core.settings import SettingsError
from walletctl.context import CommandFailed


@contextmanager
def core_errors() -> Iterator[None]:
    """Report them as the command's own."""
    try:
        yield
    except SettingsError as wrong:
        raise CommandFailed(str(wrong)) from None
    except ServiceError as failed:
        raise CommandFailed(cause_of(failed)) from None
