"""The bank over HTTP: one connection for each call, one total deadline, and strict parsing of answers.

HTTP libraries' timeouts are for inactivity: a bank that sends a byte a second would never time out. So each call runs
in an event loop of its own under one deadline, body included. A connection is never reused: "could not connect" is the
only failure after which the bank cannot have got the payment, and it must mean nothing else.
"""

import asyncio
import json
from dataclasses import dataclass, field, replace
from typing import TypeGuard

import httpx

from wallet_core.deadline import run_alone
from wallet_core.domain.model.bank import (
    Answer,
    AnswerKind,
    BankStatementLine,
    BankStatementPage,
    LineKind,
    Payment,
    Status,
    StatusKind,
)
from wallet_core.domain.model.money import INT64_MAX, Money
from wallet_core.gateways.bank_access import BankAccess, BankAccessUnusable, BankCredentials

_OK = 200
_REFUSED_FOR_GOOD = frozenset({400, 422})
_NOT_LET_IN = frozenset({401, 403})
_TOO_MANY = 429
# Levels of an answer's JSON.
_NESTED_MAX = 20
_DETAIL_MAX = 200
_REFERENCE_MAX = 128
_RETRY_AFTER_DIGITS = 9
# Bytes for a line of the statement, with any escaping of its text.
_LINE_MAX = 8192
# The rest of the total deadline is left for the answer once the connection is made.
_CONNECT_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class _Response:
    """A whole HTTP response: its status, and its body if that is a JSON object."""

    status: int
    retry_after: str | None
    body: dict[str, object]
    token: str | None
    """The token of the call: a secret, which the bank may repeat."""


class _NotConnectedError(Exception):
    """No connection was made, so nothing was sent."""


class _UnreadableError(Exception):
    """The call failed after the bank may have got it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpBank:
    """The bank's API at *url*; every call ends within *deadline_s*."""

    url: str
    deadline_s: float
    answer_max_bytes: int
    credentials: BankCredentials = field(default_factory=BankCredentials)

    def pay(self, payment: Payment) -> Answer:
        """Ask the bank to pay or to collect, once."""
        body = {
            "amount": payment.amount.minor,
            "currency": payment.amount.currency,
            "account": payment.account,
            "owner": payment.owner,
        }
        try:
            path = "/collections" if payment.collect else "/"
            response = self._call("POST", path, headers={"Idempotency-Key": payment.key}, json_body=body)
        except _NotConnectedError as error:
            return Answer(kind=AnswerKind.NOT_SENT, detail=str(error))
        except _UnreadableError as error:
            return Answer(kind=AnswerKind.UNKNOWN, detail=str(error))
        answer = read_answer(response.status, response.body, response.retry_after)
        return replace(answer, detail=_detail(response.status, _without_secrets(response, payment)))

    def status(self, payment: Payment) -> Status:
        """Ask for the status of a payment."""
        try:
            response = self._call("GET", f"/{'collections' if payment.collect else 'transfers'}/{payment.key}")
        except (_NotConnectedError, _UnreadableError) as error:
            return Status(kind=StatusKind.SILENT, detail=str(error))
        if response.body.get("key", payment.key) != payment.key:
            return Status(kind=StatusKind.SILENT, detail="the bank answered about another payment")
        status = read_status(response.status, response.body)
        return replace(status, detail=_detail(response.status, _without_secrets(response, payment)))

    def ledger(self, *, after: int, limit: int) -> BankStatementPage | None:
        """Read the bank statement after a line; None where it cannot be read."""
        try:
            path = f"/ledger?after={after}&limit={limit}"
            response = self._call("GET", path, answer_max_bytes=limit * _LINE_MAX)
        except (_NotConnectedError, _UnreadableError):
            return None
        return read_ledger(response.body, after) if response.status == _OK else None

    def _call(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        json_body: object = None,
        answer_max_bytes: int | None = None,
    ) -> _Response:
        longest = answer_max_bytes or self.answer_max_bytes
        try:
            access = self.credentials.now()
            return run_alone(self._call_within_deadline(access, method, path, headers or {}, json_body, longest))
        except BankAccessUnusable as error:
            raise _NotConnectedError(str(error)) from error
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise _NotConnectedError(_described(error)) from error
        except (httpx.HTTPError, OSError, TimeoutError, ValueError) as error:
            raise _UnreadableError(_described(error)) from error

    async def _call_within_deadline(  # noqa: PLR0913, PLR0917  # one call's parts
        self, access: BankAccess, method: str, path: str, headers: dict[str, str], json_body: object, longest: int
    ) -> _Response:
        authorization = {"Authorization": f"Bearer {access.token}"} if access.token is not None else {}
        timeout = httpx.Timeout(self.deadline_s, connect=self.deadline_s * _CONNECT_SHARE)
        async with (
            asyncio.timeout(self.deadline_s),
            # trust_env: a proxy variable of the machine must not change where money is sent.
            httpx.AsyncClient(
                base_url=self.url, timeout=timeout, verify=access.tls, trust_env=False, follow_redirects=False
            ) as client,
            client.stream(method, path, headers=headers | authorization, json=json_body) as response,
        ):
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > longest:
                    raise ValueError("the answer is too large")
            return _Response(
                response.status_code, response.headers.get("Retry-After"), _json_object(body), access.token
            )


def read_answer(status: int, body: dict[str, object], retry_after: str | None) -> Answer:
    """Return the meaning of an answer to a payment request: UNKNOWN unless it surely accepts or declines."""
    code = body.get("status")
    detail = _detail(status, body)
    if status == _OK and body.get("data") == "success" and code == _OK:
        return Answer(kind=AnswerKind.ACCEPTED, reference=_reference(body), detail=detail)
    if status == _TOO_MANY:
        return Answer(kind=AnswerKind.DECLINED_RETRYABLE, detail=detail, retry_after_s=_seconds(retry_after))
    if status == _OK and body.get("data") == "failed" and code == 503:  # noqa: PLR2004  # the bank's own word
        return Answer(kind=AnswerKind.DECLINED_RETRYABLE, detail=detail)
    if status in _REFUSED_FOR_GOOD or (status == _OK and body.get("data") == "rejected" and code in _REFUSED_FOR_GOOD):
        return Answer(kind=AnswerKind.DECLINED, detail=detail)
    if status in _NOT_LET_IN:
        return Answer(kind=AnswerKind.NOT_SENT, detail=detail)
    return Answer(kind=AnswerKind.UNKNOWN, detail=detail)


def read_status(status: int, body: dict[str, object]) -> Status:
    """Return the meaning of an answer to a status request. A 404 counts only if its body says "not found"."""
    detail = _detail(status, body)
    match status, body.get("state"):
        case 200, "executed":
            return Status(kind=StatusKind.EXECUTED, amount=_money(body), reference=_reference(body), detail=detail)
        case 200, "failed":
            return Status(kind=StatusKind.FAILED, detail=detail)
        case 200, "pending":
            return Status(kind=StatusKind.PENDING, detail=detail)
        case 404, "not_found":
            return Status(kind=StatusKind.NOT_FOUND, detail=detail)
        case _:
            return Status(kind=StatusKind.SILENT, detail=detail)


def read_ledger(body: dict[str, object], after: int) -> BankStatementPage | None:
    """Say what the bank's ledger holds. It is numbered without gaps; what else cannot be read meets nothing."""
    lines, last = body.get("lines"), body.get("last")
    if not isinstance(lines, list) or not _is_number(last):
        return None
    read: list[BankStatementLine] = []
    for line in lines:
        number = line.get("number") if isinstance(line, dict) else None
        if not _is_number(number) or number != after + 1:
            return None
        after = number
        read.append(_line(number, line))
    return BankStatementPage(tuple(read), last)


def _line(number: int, line: dict[str, object]) -> BankStatementLine:
    kind = str(line.get("kind")).upper()
    return BankStatementLine(
        number=number,
        kind=LineKind(kind) if kind in set(LineKind) else LineKind.OTHER,
        key=_kept(line.get("key")),
        amount=_money(line) or Money("", 0),
        reference=_kept(line.get("reference")),
    )


def _detail(status: int, body: dict[str, object]) -> str:
    return (
        f"HTTP {status}: {json.dumps(body, ensure_ascii=False)}".encode(errors="replace")
        .decode()
        .replace("\x00", "")[:_DETAIL_MAX]
    )


def _without_secrets(response: _Response, payment: Payment) -> dict[str, object]:
    """Return the body without account and token, which the bank may repeat: it is stored and shown."""

    def clean(value: object) -> object:
        match value:
            case str():
                text = payment.without_account(value)
                return text.replace(response.token, "…") if response.token else text
            case dict():
                return {clean(name): clean(one) for name, one in value.items()}
            case list():
                return [clean(one) for one in value]
            case _:
                return value

    return {str(clean(name)): clean(value) for name, value in response.body.items()}


def _is_number(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= INT64_MAX


def _money(body: dict[str, object]) -> Money | None:
    amount, currency = body.get("amount"), body.get("currency")
    if _is_number(amount) and isinstance(currency, str):
        return Money(_kept(currency), amount)
    return None


def _reference(body: dict[str, object]) -> str:
    return _kept(body.get("reference"))


def _kept(text: object) -> str:
    """Return a text of the bank as it can be stored: short, without characters that PostgreSQL refuses."""
    if not isinstance(text, str):
        return ""
    return text.encode(errors="ignore").decode().replace("\x00", "")[:_REFERENCE_MAX]


def _json_object(body: bytes) -> dict[str, object]:
    """Return the body if it is a JSON object, else an empty one."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) and _is_flat_enough(parsed) else {}


def _is_flat_enough(value: object) -> bool:
    """Return whether JSON is nested no deeper than any answer is: deeper JSON can be read and not always written."""
    level = [value]
    for _ in range(_NESTED_MAX):
        level = [
            one
            for outer in level
            for one in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
        ]
        if not level:
            return True
    return False


def _seconds(retry_after: str | None) -> float | None:
    """Read Retry-After in seconds; a date is not understood and means the usual backoff."""
    if retry_after is None or not retry_after.isdecimal():
        return None
    return float(retry_after) if len(retry_after) <= _RETRY_AFTER_DIGITS else 10.0**_RETRY_AFTER_DIGITS


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_DETAIL_MAX]
