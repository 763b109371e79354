"""The commands ``walletctl token`` and ``certs``: what a development needs to show who it is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from walletctl.context import Trouble, explained
from walletctl.output import out

_KEY_MODE = 0o600


def token(
    client: Annotated[str, typer.Argument(help="The client's id, as WALLET_CALLERS names it; else the caller's name.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="What it may do; can be repeated. Without: everything.")
    ] = None,
    hours: Annotated[float, typer.Option(help="How long it is valid.", min=0.01, max=24 * 30)] = 1.0,
) -> None:
    """Print a token for development, signed with WALLET_AUTH_DEV_SECRET, which the server must have too.

    Give it to other commands by their environment, for all can see arguments:
    export WALLETCTL_TOKEN=$(walletctl token shop)
    """
    # Loaded here: they take longer to load than all other commands to run.
    import jwt  # noqa: PLC0415

    from wallet_core.settings import read_settings  # noqa: PLC0415
    from wallet_grpc.security.access import Scope  # noqa: PLC0415
    from wallet_grpc.security.tokens import DEVELOPMENT, DEVELOPMENT_ISSUER  # noqa: PLC0415

    with explained():
        if unknown := set(scope or ()) - set(Scope):
            raise Trouble(f"no scope: {', '.join(sorted(unknown))}; there are {', '.join(Scope)}")
        settings = read_settings()
        if settings.auth.dev_secret is None:
            raise Trouble("WALLET_AUTH_DEV_SECRET is not set: set it, 32 characters or more, here and for the server")
        now = datetime.now(UTC)  # noqa: TID251  # a token's times are of whoever makes it
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
    folder: Annotated[Path, typer.Argument(help="Where to write them.", file_okay=False)] = Path("certs"),
    host: Annotated[list[str] | None, typer.Option(help="A name or address of the server; can be repeated.")] = None,
    client: Annotated[
        list[str] | None, typer.Option(help="A client's name in its certificate; can be repeated.")
    ] = None,
) -> None:
    """Write certificates for development: an authority, the server's, and one for each client. Replaces old ones."""
    with explained():
        try:
            import trustme  # noqa: PLC0415  # what serves is installed without it
        except ImportError:
            raise Trouble("certificates for development need the package trustme: pip install trustme") from None
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
