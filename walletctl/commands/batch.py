"""The command ``walletctl batch``."""

import csv
import io
import json as json_format
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID, uuid4, uuid5

import typer

from wallet_client import CallError, OutcomeUnknown, TransferItem, as_dict, item_failed
from walletctl import typed
from walletctl.context import Context, report_errors
from walletctl.options import CurrencyOption, Json, RequestId, ValidateOnly
from walletctl.output import Column, Row, amount, short, show, show_json, words
from walletctl.typed import InvalidArgument, wallet_name

_NEEDED = ("source", "destination", "amount")
_FIELDS = (*_NEEDED, "currency", "description", "external_reference", "max_commission", "request_id")
_LABEL = "labels."

RESULTS = (
    Column("item", lambda row: str(row["item"]), right=True),
    Column("from", lambda row: short(row["source"])),
    Column("to", lambda row: short(row["destination"])),
    Column("amount", lambda row: amount(row["amount"]), right=True),
    Column("commission", lambda row: amount(row["commission"]), right=True, rare=True),
    Column("outcome", lambda row: row["outcome"]),
)


def batch(
    context: typer.Context,
    file: Annotated[
        typer.FileText,
        typer.Argument(
            encoding="utf-8-sig",
            help="CSV with a header, or a JSON list, with source, destination, amount, and optionally currency, "
            "description, external_reference, max_commission, request_id, labels.KEY; - for standard input.",
        ),
    ],
    currency: CurrencyOption = "USD",
    request_id: RequestId = None,
    *,
    unique_references: Annotated[
        bool,
        typer.Option("--unique-references", help="Refuse a transfer where an earlier payment has its reference."),
    ] = False,
    atomic: Annotated[bool, typer.Option("--atomic/--each", help="All or none, or each transfer by itself.")] = True,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Make many transfers in one call; exit code 1 if one was not done."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        base = _uuid(request_id) if request_id is not None else uuid4()
        rows = list(_rows(_text(file)))
        if atomic and (places := [place for place, row in rows if row.get("request_id")]):
            raise InvalidArgument(
                f"{places[0]}: a request_id per row is for --each; an atomic batch has one --request-id"
            )
        items = [_item(place, row, currency, id_) for (place, row), id_ in zip(rows, _ids(base, rows), strict=True)]
        if unique_references:
            items = [replace(item, unique_reference=True) for item in items]
        if not atomic:  # the items' ids follow from it
            app.announce(str(base))
        done = client.batch_transfer(
            items, atomic=atomic, validate_only=validate_only, request_id=str(base) if atomic else None
        )
        refused = [item_failed(result, item.request_id) for item, result in zip(items, done.results, strict=True)]
        results = [as_dict(result) for result in done.results]
        if json:
            ids = [{} if atomic else {"request_id": item.request_id} for item in items]
            show_json([id_ | result for id_, result in zip(ids, results, strict=True)])
        else:
            rows_shown = [
                _row(number, item, result, failed)
                for number, (item, result, failed) in enumerate(zip(items, results, refused, strict=True), start=1)
            ]
            show(RESULTS, rows_shown, as_json=False)
        if any(refused):
            raise typer.Exit(1)


def _ids(base: UUID, rows: Sequence[tuple[str, Mapping[str, str]]]) -> Iterator[str]:
    """Yield each row's request id: a hash of the batch's id and the row's content.

    So a repeat with a corrected file does only the new rows. Equal rows are distinguished by their count.
    """
    seen: Counter[str] = Counter()
    for _, row in rows:
        content = json_format.dumps(sorted(row.items()), ensure_ascii=False)
        yield str(uuid5(base, f"{seen[content]} {content}"))
        seen[content] += 1


def _row(number: int, item: TransferItem, result: Row, failed: CallError | None) -> Row:
    """Return the table's row of an item."""
    if isinstance(failed, OutcomeUnknown):
        outcome = f"[yellow]may have been done[/] {failed.reason}: repeat with the batch's request id to find out"
    elif failed is not None:
        outcome = f"[red]{failed.reason}[/] {words(failed.localized or failed.message)}"
    else:
        outcome = short(result["transaction"]["name"]) or "(validated only)"
    return {
        "item": number,
        "source": item.source,
        "destination": item.destination,
        "amount": {"currency_code": item.amount.currency_code, "minor_units": item.amount.minor_units},
        "commission": result.get("transaction", {}).get("commission", {}).get("amount"),
        "outcome": outcome + ("  [dim](done before)[/]" if result["replayed"] else ""),
    }


def _text(file: typer.FileText) -> str:
    try:
        return file.read()
    except UnicodeDecodeError:
        raise InvalidArgument("the file is not text in UTF-8") from None


def _rows(text: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Parse the transfers, each with its place in the file."""
    rows = list(_json_rows(text) if text.lstrip().startswith(("[", "{")) else _csv_rows(text))
    if not rows:
        raise InvalidArgument("the file has no transfer")
    for place, row in rows:
        for field in row:
            if field not in _FIELDS and not field.startswith(_LABEL):
                raise InvalidArgument(f"{place}: {field!r} is not one of {', '.join(_FIELDS)}, {_LABEL}KEY")
        for field in _NEEDED:
            if not row.get(field):
                raise InvalidArgument(f"{place}: {field} is missing")
        yield place, row


def _csv_rows(text: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    try:
        for row in reader:
            place = f"line {reader.line_num}"
            if None in row:
                raise InvalidArgument(f"{place}: more values than the header has fields")
            yield place, {field: value for field, value in row.items() if value}
    except csv.Error as error:
        raise InvalidArgument(f"line {reader.line_num + 1}: {error}") from None


def _json_rows(text: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    try:
        # As text: a number with a point would be rounded.
        rows = json_format.loads(text, parse_float=str, parse_int=str)
    except ValueError as error:
        raise InvalidArgument(f"not JSON: {error}") from None
    if not isinstance(rows, list):
        raise InvalidArgument("the JSON is not a list")
    for number, row in enumerate(rows, start=1):
        place = f"item {number}"
        if not isinstance(row, dict):
            raise InvalidArgument(f"{place}: not an object")
        labels = row.pop("labels", {})
        if not isinstance(labels, dict):
            raise InvalidArgument(f"{place}: labels is not an object")
        flat: dict[str, Any] = row | {f"{_LABEL}{key}": value for key, value in labels.items()}
        for field, value in flat.items():
            if not isinstance(value, str):
                raise InvalidArgument(f"{place}: {field} is not a string")
        yield place, flat


def _item(place: str, row: Mapping[str, str], currency: str, request_id: str) -> TransferItem:
    in_currency = row.get("currency") or currency
    try:
        most = row.get("max_commission")
        return TransferItem(
            source=wallet_name(row["source"]),
            destination=wallet_name(row["destination"]),
            amount=typed.amount(row["amount"], in_currency),
            description=row.get("description", ""),
            external_reference=row.get("external_reference", ""),
            labels={field.removeprefix(_LABEL): value for field, value in row.items() if field.startswith(_LABEL)},
            max_commission=typed.amount_or_zero(most, in_currency, "max_commission") if most else None,
            request_id=row.get("request_id") or request_id,
        )
    except InvalidArgument as wrong:
        raise InvalidArgument(f"{place}: {wrong}") from None


def _uuid(typed_id: str) -> UUID:
    try:
        return UUID(typed_id)
    except ValueError:
        raise InvalidArgument(f"--request-id: {typed_id!r} is not a UUID") from None
