"""The calls of AuditService."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from functools import cached_property

from wallet.v1 import audit_service_pb2 as pb
from wallet.v1 import audit_service_pb2_grpc as grpc_pb

from wallet_client.aio.calls import Calls
from wallet_client.values import Signed


class AuditCalls(Calls):
    """The proof of the ledger, and checkpoints of its journal."""

    @cached_property
    def _audit(self) -> grpc_pb.AuditServiceAsyncStub:
        return grpc_pb.AuditServiceStub(self._channel)

    async def verify_ledger(
        self, *, since: str = "", one_snapshot: bool = False, kept: Iterable[Signed] = ()
    ) -> AsyncIterator[pb.VerifyLedgerResponse]:
        """Check every rule of the ledger, and iterate over the progress; the last response has the ``result``.

        Closing the iterator ends the check.

        Args:
            since: check the journal and the transactions from this checkpoint on only, ``checkpoints/{number}``.
            one_snapshot: check everything as of one moment; for a replica, or a small ledger.
            kept: up to 1000 checkpoints that were kept elsewhere, to compare the ledger with; anything that has their
                ``number``, ``statement``, ``key_id`` and ``signature``.

        Raises:
            CallFailed: the call failed, e.g. ``SERVER_OVERLOADED`` where a check is in progress, or
                ``SERVER_DRAINING``; try again.

        Example:
            >>> async for progress in client.verify_ledger(): print(progress.rows, progress.result.consistent)
        """
        checkpoints = [
            pb.Checkpoint(number=one.number, statement=one.statement, key_id=one.key_id, signature=one.signature)
            for one in kept
        ]
        request = pb.VerifyLedgerRequest(since=since, one_snapshot=one_snapshot, kept=checkpoints)
        async for response in self._stream(self._audit.VerifyLedger, request):
            yield response

    async def export_checkpoints(self, *, first_number: int = 0) -> AsyncIterator[pb.Checkpoint]:
        """Iterate over the checkpoints, in their order. Keep them where the database's owner cannot change them.

        Args:
            first_number: begin with this number; to continue an export, the last number that it has, plus 1.

        Raises:
            CallFailed: the call failed, e.g. ``PERMISSION_MISSING``.

        Example:
            >>> [one.statement async for one in client.export_checkpoints()]
        """
        request = pb.ExportCheckpointsRequest(first_number=first_number)
        async for response in self._stream(self._audit.ExportCheckpoints, request):
            for one in response.checkpoints:
                yield one

    async def list_checkpoint_keys(self) -> list[pb.CheckpointKey]:
        """Return the public keys that checkpoints were signed with, in the order of their first use.

        Raises:
            CallFailed: the call failed, e.g. ``PERMISSION_MISSING``.

        Example:
            >>> [key.key_id for key in await client.list_checkpoint_keys()]
        """
        return list((await self._read(self._audit.ListCheckpointKeys, pb.ListCheckpointKeysRequest())).keys)
