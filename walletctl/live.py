"""A table that is redrawn as it changes; without a terminal, a line for each change."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic

from walletctl.output import Column, Row, out, short, state, table

WATCHED_MAX = 50

_REFRESH_S = 0.25


def show_live(
    columns: Sequence[Column],
    read: Callable[[], Sequence[Row]],
    *,
    until: Callable[[Sequence[Row]], bool] | None = None,
    longest_s: float = 1e9,
) -> Sequence[Row]:
    """Draw what *read* returns again and again, until *until* holds, time is up, or Ctrl-C; return the last rows."""
    from rich.live import Live  # noqa: PLC0415  # of commands that list and get, too: rich is for those that watch

    pause = threading.Event()
    ends_at = monotonic() + longest_s
    rows = read()
    with suppress(KeyboardInterrupt), Live(table(columns, rows), console=out.terminal, auto_refresh=False) as live:
        while not (until is not None and until(rows)) and monotonic() < ends_at:
            pause.wait(_REFRESH_S)
            before, rows = rows, read()
            if out.is_terminal:
                live.update(table(columns, rows), refresh=True)
            else:
                _print_changes(before, rows)
                live.update(table(columns, rows))
    if not out.is_terminal:
        out.print()  # ends the table's last line
    return rows


def _print_changes(before: Sequence[Row], after: Sequence[Row]) -> None:
    states = {row["name"]: row["state"] for row in before}
    for row in after:
        if states.get(row["name"]) not in {None, row["state"]}:
            out.print(f"  {short(row['name'])}  {state(states[row['name']])} → {state(row['state'])}")
