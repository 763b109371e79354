"""Checks before a process starts: no unauthenticated access by accident, and the requirements of production mode.

Each process names its parts: ``require_production(settings, database, bank)``.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias
from urllib.parse import urlsplit

from pydantic import SecretStr

from wallet_core.addresses import is_loopback
from wallet_core.domain.model.errors import DatabaseNotReady, DatabaseUnavailable, cause_of
from wallet_core.settings import Settings, SettingsError
from wallet_core.storage.connections.engine import SERVICE_ROLE, Engine
from wallet_core.storage.connections.logins import excess_privileges_of
from wallet_core.storage.connections.transport import is_private

# Yields what is missing or forbidden in one part of a production, a phrase each.
Part: TypeAlias = Callable[[Settings], Iterator[str]]


def require_production(settings: Settings, *parts: Part) -> None:
    """Raise ``SettingsError`` in production mode, naming everything that is missing or forbidden in these parts."""
    if settings.process.mode == "production" and (wrong := [phrase for part in parts for phrase in part(settings)]):
        raise _not_a_production("; ".join(wrong))


def require_login_that_only_serves(settings: Settings, engine: Engine) -> None:
    """Raise ``SettingsError`` in production mode where the database login has more privileges than it needs."""
    if settings.process.mode == "production" and (excess := excess_privileges_of(engine)) is not None:
        raise _not_a_production(
            f"{excess}: serve by a login that owns nothing and is a member of "
            f"{SERVICE_ROLE} alone (CREATE ROLE wallet_app LOGIN PASSWORD '…' IN ROLE {SERVICE_ROLE}), and leave the "
            "owner's to `walletctl migrate` (WALLET_DATABASE_OWNER_URL)"
        )


def allow_unauthenticated(settings: Settings) -> list[str]:
    """Return where a server listens beyond this machine without authentication, as phrases for a warning.

    Raises ``SettingsError`` unless the settings allow it.
    """
    opened = [*_open_calls(settings), *_open_pages(settings)]
    if opened and not settings.access.allow_unauthenticated:
        raise SettingsError(
            f"{'; '.join(opened)}. Listen on 127.0.0.1, or authenticate callers (WALLET_AUTH_KEYS, "
            "WALLET_TLS_CLIENT_CA), or set WALLET_ALLOW_UNAUTHENTICATED=true if that is intended"
        )
    return opened


def database(settings: Settings) -> Iterator[str]:
    """Yield what the database needs: a URL, and a private connection."""
    if settings.database.url is None:
        yield "WALLET_DATABASE_URL is not set"
    yield from _open_way("WALLET_DATABASE_URL", settings.database.url)


def migrating(settings: Settings) -> Iterator[str]:
    """Yield what the database needs, for either login."""
    yield from _open_way("WALLET_DATABASE_URL", settings.database.url)
    yield from _open_way("WALLET_DATABASE_OWNER_URL", settings.database.owner_url)


def callers(settings: Settings) -> Iterator[str]:
    """Yield what calls need: TLS, named callers, and operators' pages that stay on this machine."""
    if settings.tls.certificate is None:
        yield "WALLET_TLS_CERTIFICATE and WALLET_TLS_KEY are not set"
    if settings.auth.keys is None and settings.tls.client_ca is None:
        yield "neither WALLET_AUTH_KEYS (tokens) nor WALLET_TLS_CLIENT_CA (certificates) is set"
    if (settings.auth.keys or "").startswith("http://"):
        yield "WALLET_AUTH_KEYS is not an https:// address or a file"
    if not settings.access.callers:
        yield "WALLET_CALLERS names no caller"
    if settings.auth.dev_secret is not None:
        yield "WALLET_AUTH_DEV_SECRET is set, which is for development only"
    if settings.access.allow_unauthenticated:
        yield "WALLET_ALLOW_UNAUTHENTICATED is set, which is for development only"
    yield from _open_pages(settings)


def bank(settings: Settings) -> Iterator[str]:
    """Yield what the bank needs: an address, a private connection, and credentials."""
    has_token = settings.bank.token is not None or settings.bank.token_file is not None
    if settings.bank.url is None:
        yield "WALLET_BANK_URL is not set"
        shows_certificate = settings.bank.certificate is not None
    else:
        url = urlsplit(settings.bank.url)
        shows_certificate = url.scheme == "https" and settings.bank.certificate is not None
        if url.scheme != "https" and not is_loopback(url.hostname or ""):
            yield "WALLET_BANK_URL leads to another machine and is not https://"
    if not has_token and not shows_certificate:
        yield (
            "there are no credentials for the bank: set WALLET_BANK_TOKEN_FILE or WALLET_BANK_TOKEN (a bearer token), "
            "or by https WALLET_BANK_CERTIFICATE and WALLET_BANK_KEY (a client certificate)"
        )


def _open_way(variable: str, url: SecretStr | None) -> Iterator[str]:
    try:
        if url is not None and not is_private(url.get_secret_value()):
            yield (
                f"{variable} leads to another machine without a verified TLS: add sslmode=verify-full "
                "(and sslrootcert=FILE, the authority that signs its certificate)"
            )
    except ValueError as error:
        yield f"{variable} {error}"


def _open_calls(settings: Settings) -> Iterator[str]:
    asks = any(way is not None for way in (settings.auth.keys, settings.auth.dev_secret, settings.tls.client_ca))
    if not asks and not is_loopback(settings.grpc.host):
        yield f"WALLET_GRPC_HOST is {settings.grpc.host}: every client that reaches it has all scopes"


def _open_pages(settings: Settings) -> Iterator[str]:
    if not is_loopback(settings.admin.admin_host) and (settings.admin.metrics_port or settings.admin.channelz_port):
        host = settings.admin.admin_host
        yield f"WALLET_ADMIN_HOST is {host}: every client that reaches it can read metrics and channelz"


def _not_a_production(why: str) -> SettingsError:
    return SettingsError(f"WALLET_MODE is production, but {why}")


def start_failure(error: Exception) -> str:
    """Return why a process cannot start, for its operator.

    An error of a call also states the outcome of the call, which means nothing at a start.
    """
    if isinstance(error, DatabaseUnavailable) and not isinstance(error, DatabaseNotReady):
        root: BaseException = error
        while root.__cause__ is not None:
            root = root.__cause__
        cause = f" ({str(root).strip().partition(chr(10))[0]})" if root is not error else ""
        return f"the database cannot be reached, or does not serve{cause}: check WALLET_DATABASE_URL and the database"
    return cause_of(error)
