"""The commands ``walletctl checkpoints …``: signed states of the journal, to keep outside the database."""

import json as jsons
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from wallet_client import WalletClient, as_dict
from wallet_core.domain.model.checkpoint import Checkpoint
from walletctl.context import CommandFailed, Context, report_errors
from walletctl.kept import line, parsed
from walletctl.options import Json
from walletctl.output import Column, Row, out, show, show_json, time, write
from walletctl.typed import InvalidArgument

checkpoints = typer.Typer(
    no_args_is_help=True, help="Keep signed checkpoints of the journal where nobody can change them."
)

_STDOUT = Path("-")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

COLUMNS = (
    Column("number", lambda row: str(row["number"]), right=True),
    Column("time", lambda row: time(row["time"])),
    Column("wallets", lambda row: str(row["wallets"]), right=True),
    Column("key", lambda row: row["key_id"]),
    Column("hash", lambda row: row["hash"]),
)


@checkpoints.command("list")
def list_(
    context: typer.Context,
    since: Annotated[int, typer.Option(help="The first number.", min=0)] = 0,
    *,
    json: Json = False,
) -> None:
    """List the checkpoints, oldest first."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        show(COLUMNS, [_row(one) for one in _exported(client, since)], as_json=json)


@checkpoints.command("export")
def export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file, which is continued if it exists; - for standard output.")],
) -> None:
    """Add new checkpoints to a file, one JSON object per line.

    Exit code 1 if the last checkpoint of the file is not the service's any more: its history was changed.
    """
    app: Context = context.obj
    with report_errors(), app.client() as client:
        if file == _STDOUT:
            write(f"{line(one)}\n".encode() for one in _exported(client, 0))
            return
        added = _continue(file, client)
        out.print(f"{added} new checkpoints in {file}", soft_wrap=True)


@checkpoints.command("keys")
def keys(context: typer.Context, *, json: Json = False) -> None:
    """Print the public keys that checkpoints were signed with, as PEM."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        found = client.list_checkpoint_keys()
        if json:
            show_json([as_dict(key) for key in found])
        else:
            write(key.pem.encode() for key in found)


@checkpoints.command("new-key")
def new_key(
    file: Annotated[Path, typer.Argument(help="The file to write: PEM, for its owner only. It must not exist.")],
) -> None:
    """Make a key that signs checkpoints; print its public half, as PEM.

    Give the scheduler the file (WALLET_CHECKPOINTS_SIGNING_KEY), and auditors the public half.
    """
    from wallet_core.gateways import checkpoint_keys  # noqa: PLC0415  # loads cryptography, for this command only

    with report_errors():
        try:
            public = checkpoint_keys.new_key(file)
        except OSError as error:
            raise InvalidArgument(f"{file}: {error.strerror}") from None
        write([checkpoint_keys.public_pem([public]).encode()])


def _exported(client: WalletClient, first_number: int) -> Iterator[Checkpoint]:
    for one in client.export_checkpoints(first_number=first_number):
        yield Checkpoint(one.number, one.statement, one.key_id, one.signature)


def _continue(file: Path, client: WalletClient) -> int:
    """Add to a file what it does not have; return how many checkpoints those were."""
    try:
        with file.open("a+b") as opened:
            opened.seek(0)
            # A line without an end was not written completely.
            complete = opened.read().rpartition(b"\n")
            text = b"".join(complete[:2])
            kept = parsed(text.decode(errors="replace"), file)
            found = _exported(client, kept[-1].number if kept else 0)
            if kept and next(found, None) != kept[-1]:
                raise CommandFailed(
                    f"checkpoint {kept[-1].number} of {file} is not the service's any more: its history was changed, "
                    "or it was restored from a backup. Keep the file, and run `walletctl verify --kept`"
                )
            opened.truncate(len(text))
            added = 0
            for one in found:
                opened.write(f"{line(one)}\n".encode())
                added += 1
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as error:
        raise InvalidArgument(f"{file}: {error.strerror}") from None
    return added


def _row(checkpoint: Checkpoint) -> Row:
    stated: dict[str, Any] = jsons.loads(checkpoint.statement)
    signed_at = (_EPOCH + timedelta(microseconds=stated["time"])).isoformat()
    return {**stated, "time": signed_at, "key_id": checkpoint.key_id}
