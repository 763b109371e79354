"""The command ``walletctl verify``: at the database, or by the service's own call."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from wallet_core import bootstrap, startup_checks
from wallet_core.domain.model.checkpoint import Checkpoint, checkpoint_name
from wallet_core.domain.model.errors import ResourceNotFound
from wallet_core.storage.connections.engine import SERVICE_ROLE
from walletctl.commands.database import database_settings
from walletctl.context import CommandFailed, Context, report_errors
from walletctl.core_errors import core_errors
from walletctl.kept import read_kept
from walletctl.options import Json
from walletctl.output import Column, Row, err, out, show_json, table, words
from walletctl.typed import InvalidArgument

# As many as a call may send.
_SENT_MAX = 1000
_CONNECTIONS = 2

CHECKS = (
    Column("rule", lambda row: row["name"]),
    Column("meaning", lambda row: row["meaning"]),
    Column("broken", lambda row: "[green]0[/]" if not row["broken"] else f"[bold red]{row['broken']}[/]", right=True),
    Column("first broken", lambda row: words(row["first_broken"]), rare=True),
)

Shown = Callable[[str, int, int], None]
"""Shows the progress: the table, the rows checked, and about how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What to check, and against what."""

    since: int
    kept: Sequence[Checkpoint]
    one_snapshot: bool


def verify(  # options
    context: typer.Context,
    since: Annotated[int, typer.Option(help="Check journal and transactions from this checkpoint on only.", min=0)] = 0,
    kept: Annotated[
        Path | None, typer.Option(help="Compare with checkpoints kept elsewhere: a file of `checkpoints export`.")
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(help="PEM file with the public keys to trust. Default: WALLET_CHECKPOINTS_TRUSTED_KEYS."),
    ] = None,
    connections: Annotated[
        int, typer.Option(help="Check on as many connections; each takes one of the database's processors.", min=1)
    ] = _CONNECTIONS,
    *,
    one_snapshot: Annotated[
        bool, typer.Option("--one-snapshot", help="As of one moment, on one connection; for a replica.")
    ] = False,
    as_login: Annotated[
        bool, typer.Option("--as-login", help="Do not take the service's role: for a login that may only read.")
    ] = False,
    json: Json = False,
) -> None:
    """Prove the ledger from its entries; exit code 1 if a rule is broken.

    Reads the database directly, by WALLET_DATABASE_URL; with --target it asks the service, which checks more slowly.
    """
    app: Context = context.obj
    with report_errors(), core_errors():
        question = _Question(since=since, kept=read_kept(kept) if kept is not None else (), one_snapshot=one_snapshot)
        with _showing() as shown:
            if app.target is None:
                report = _at_database(app, question, shown, keys=keys, connections=connections, as_login=as_login)
            elif keys is not None or as_login or connections != _CONNECTIONS:
                raise InvalidArgument("--keys, --as-login and --connections are for the database: leave out --target")
            else:
                report = _by_call(app, question, shown)
        if json:
            show_json(report)
        else:
            out.print(table(CHECKS, report["rules"]))
        if not report["consistent"]:
            raise CommandFailed("the ledger is broken: stop servers and schedulers, and call the operators")
        if not json:
            out.print(f"[green]the ledger is consistent[/] up to journal record {report['journal_end']}")


def _at_database(  # options
    app: Context, question: _Question, shown: Shown, *, keys: Path | None, connections: int, as_login: bool
) -> Row:
    settings = database_settings(app, **({"checkpoints_trusted_keys": keys} if keys is not None else {}))
    startup_checks.require_production(settings, startup_checks.database)
    role = None if as_login else SERVICE_ROLE
    try:
        with (
            bootstrap.open_auditor(settings, role=role, connections=connections) as auditor,
            closing(
                auditor.verify(since=question.since, kept=question.kept, one_snapshot=question.one_snapshot)
            ) as checking,
        ):
            for progress in checking:
                shown(progress.table, progress.rows, progress.rows_estimated)
    except ResourceNotFound as missing:
        raise CommandFailed(f"there is no {missing.resource} that a trusted key has signed") from None
    rules = [
        {"name": rule.name, "meaning": rule.meaning, "broken": rule.broken, "first_broken": rule.first}
        for rule in progress.checks.values()
    ]
    return _report(not progress.is_broken, progress, rules)


def _by_call(app: Context, question: _Question, shown: Shown) -> Row:
    if len(question.kept) > _SENT_MAX:
        err.print(f"[dim]the last {_SENT_MAX} checkpoints of the file are compared; they cover all records[/]")
    kept = question.kept[-_SENT_MAX:]
    with app.client() as client:
        since = checkpoint_name(question.since) if question.since else ""
        for last in client.verify_ledger(since=since, one_snapshot=question.one_snapshot, kept=kept):
            shown(last.table, last.rows, last.rows_estimated)
    rules = [
        {"name": rule.name, "meaning": rule.meaning, "broken": rule.broken, "first_broken": rule.first_broken}
        for rule in last.result.rules
    ]
    return _report(last.result.consistent, last, rules)


def _report(consistent: bool, last: Any, rules: Sequence[Row]) -> Row:  # noqa: ANN401, FBT001  # of either source
    return {"consistent": consistent, "journal_end": last.journal_end, "rows": last.rows, "rules": rules}


@contextmanager
def _showing() -> Iterator[Shown]:
    """Yield a function that shows the progress where a person looks, on standard error."""
    if not err.is_terminal:
        yield lambda _table, _rows, _estimated: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,} rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err.terminal, transient=True) as bar:
        task = bar.add_task("verifying", total=None)
        yield lambda table_, rows, estimated: bar.update(
            task, description=table_ or "verifying", completed=rows, total=max(rows, estimated)
        )
