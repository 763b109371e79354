"""The commands ``walletctl token`` and ``certs``: credentials for development."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import jwt
import typer

from wallet_core.settings import read_settings
from wallet_grpc.security.access import Scope
from wallet_grpc.security.tokens import DEVELOPMENT, DEVELOPMENT_ISSUER
from walletctl.context import CommandFailed, report_errors
from walletctl.core_errors import core_errors
from walletctl.output import out

_KEY_MODE = 0o600


def token(
    client: Annotated[
        str, typer.Argument(help="The client's id in WALLET_CALLERS; without WALLET_CALLERS the caller's name.")
    ],
    scope: Annotated[list[str] | None, typer.Option(help="A scope; may be repeated. Default: all.")] = None,
    hours: Annotated[float, typer.Option(help="The validity in hours.", min=0.01, max=24 * 30)] = 1.0,
) -> None:
    """Print a token for development, signed with WALLET_AUTH_DEV_SECRET.

    The server must have the same secret. Pass the token to other commands in the environment, because all users of a
    machine can see arguments: export WALLETCTL_TOKEN=$(walletctl token shop)
    """
    with report_errors(), core_errors():
        if unknown := set(scope or ()) - set(Scope):
            raise CommandFailed(f"unknown scope: {', '.join(sorted(unknown))}; the scopes are {', '.join(Scope)}")
        settings = read_settings()
        if settings.auth.dev_secret is None:
            raise CommandFailed(
                "WALLET_AUTH_DEV_SECRET is not set: set it, 32 characters or more, here and for the server"
            )
        now = datetime.now(UTC)  # noqa: TID251  # the issuer's own clock
        claims = {
            "iss": settings.auth.issuer or DEVELOPMENT_ISSUER,
            "aud": settings.auth.audience,
            "client_id": client,
            "scope": " ".join(scope or Scope),
            "iat": now,
            "exp": now + timedelta(hours=hours),
        }
        typer.echo(jwt.encode(claims, settings.auth.dev_secret.get_secret_value(), algorithm=DEVELOPMENT))


def certs(
    folder: Annotated[Path, typer.Argument(help="The folder to write to.", file_okay=False)] = Path("certs"),
    host: Annotated[list[str] | None, typer.Option(help="A name or address of the server; may be repeated.")] = None,
    client: Annotated[
        list[str] | None, typer.Option(help="A client's name in its certificate; may be repeated.")
    ] = None,
) -> None:
    """Write certificates for development; existing ones are replaced.

    An authority, the server's, and one for each client.
    """
    with report_errors():
        try:
            import trustme  # noqa: PLC0415  # not installed for serving
        except ImportError:
            raise CommandFailed("certificates for development need the package trustme: pip install trustme") from None
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        names = {"server": host or ["localhost", "127.0.0.1"], **{name: [name] for name in client or []}}
        for name, known_as in names.items():
            issued = authority.issue_cert(*known_as)
            chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
            _write(folder, name, issued.private_key_pem.bytes(), chain)
        for file in sorted(folder.glob("*.pem")):
            out.print(str(file))


def _write(folder: Path, name: str, key: bytes, chain: bytes) -> None:
    path = folder / f"{name}-key.pem"
    path.touch(_KEY_MODE)
    path.chmod(_KEY_MODE)
    path.write_bytes(key)
    (folder / f"{name}.pem").write_bytes(chain)
