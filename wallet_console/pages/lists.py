"""Pages of lists: filters from a form's fields, and the way to the next page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from starlette.requests import Request

from wallet_console.formats import Formats, parse_time
from wallet_console.web import visit_of


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of a list."""

    items: list[Any]
    next: str
    """The token of the next page; empty on the last page."""
    is_first: bool
    response: Any


async def listed(request: Request, message: Message, items: str, *, size: int | None = None) -> Listed:
    """Read the page of a list that the address names."""
    visit = visit_of(request)
    token = request.query_params.get("page", "")
    message.page_size, message.page_token = size or visit.console.settings.page_size, token  # type: ignore[attr-defined]  # of a list
    response = await visit.client.read_page(message)
    return Listed(list(getattr(response, items)), response.next_page_token, not token, response)


def quoted(text: str) -> str:
    """Return a value of a filter."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def joined(*comparisons: str) -> str:
    """Return a filter of the comparisons that there are."""
    return " AND ".join(one for one in comparisons if one)


def equal(query: Mapping[str, str], **fields: str) -> list[str]:
    """Return a comparison for each filled field: *fields* are the filter's names by the form's."""
    return [f"{field} = {quoted(query[name].strip())}" for name, field in fields.items() if query.get(name, "").strip()]


def label(query: Mapping[str, str]) -> str:
    """Return the comparison for a label, typed as ``key=value``; empty for none."""
    key, found, value = query.get("label", "").partition("=")
    return f"labels.{key.strip()} = {quoted(value.strip())}" if found else ""


def between(query: Mapping[str, str], field: str) -> list[str]:
    """Return the comparisons for times ``from`` and ``until``; raise ``NotReadable``."""
    begin, end = parse_time(query.get("from", "")), parse_time(query.get("until", ""))
    return [
        *([f'{field} >= "{begin.isoformat()}"'] if begin else []),
        *([f'{field} < "{end.isoformat()}"'] if end else []),
    ]


def amounts(query: Mapping[str, str], formats: Formats) -> list[str]:
    """Return the comparisons for amounts ``least`` and ``most`` of a currency; raise ``NotReadable``."""
    currency = query.get("currency", "").strip().upper() or "USD"
    found = []
    for name, op in (("least", ">="), ("most", "<=")):
        if query.get(name, "").strip():
            found.append(f"amount {op} {formats.parse_amount(query[name], currency).minor_units}")
    return found
