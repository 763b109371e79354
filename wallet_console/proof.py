"""The check of the whole ledger, at most one at a time, and its report. It runs with the token of who started it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from wallet.v1.audit_service_pb2 import VerifyLedgerResponse, VerifyResult

from wallet_client import AsyncWalletClient, CallError
from wallet_console.formats import now


@dataclass(slots=True)
class Check:
    """One check, under way or over."""

    request_id: str
    started: datetime
    started_by: str
    table: str = ""
    rows: int = 0
    rows_estimated: int = 0
    ended: datetime | None = None
    result: VerifyResult | None = None
    error: CallError | None = None

    @property
    def share(self) -> float:
        """How much of the rows has been read, from 0 to 1; an estimate."""
        return min(1.0, self.rows / self.rows_estimated) if self.rows_estimated else 0.0


class Proof:
    """The last check."""

    def __init__(self) -> None:
        self.last: Check | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, client: AsyncWalletClient, request_id: str, person: str) -> None:
        """Begin a check, unless one is under way or this form has begun one before."""
        if self.last is not None and (self.last.ended is None or self.last.request_id == request_id):
            return
        self.last = Check(request_id, now(), person)
        self._task = asyncio.create_task(self._run(client, self.last))

    async def _run(self, client: AsyncWalletClient, check: Check) -> None:
        try:
            checking = cast("AsyncGenerator[VerifyLedgerResponse, None]", client.verify_ledger())
            async with aclosing(checking) as responses:
                async for response in responses:
                    check.table, check.rows, check.rows_estimated = (
                        response.table,
                        response.rows,
                        response.rows_estimated,
                    )
                    if response.HasField("result"):
                        check.result = response.result
        except CallError as error:
            check.error = error
        finally:
            check.ended = now()

    async def stop(self) -> None:
        """End a check that is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
