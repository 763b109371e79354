"""AuditService."""

from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from time import monotonic

import grpc
from wallet.v1 import audit_service_pb2 as pb
from wallet.v1.audit_service_pb2_grpc import AuditServiceServicer

from wallet_core.domain.model.errors import ServerDraining
from wallet_core.usecases.export_checkpoints import export_checkpoints
from wallet_grpc.convert import audit as convert
from wallet_grpc.servicers.serving import Serving

# The interval of the responses that report the progress of a check.
_PROGRESS_S = 0.5


class AuditServicer(AuditServiceServicer):
    """The proof of the ledger, and checkpoints."""

    def __init__(self, serving: Serving) -> None:
        self._app = serving.app
        self._exports = serving.exports
        self._verifications = serving.verifications

    def VerifyLedger(
        self, request: pb.VerifyLedgerRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.VerifyLedgerResponse]:
        """Check the ledger, and stream the progress."""
        progress = None
        with (
            self._verifications.one(context) as stream,
            closing(
                self._app.auditor.verify(
                    since=convert.checkpoint_number(request.since),
                    kept=[convert.checkpoint_of(one) for one in request.kept],
                    one_snapshot=request.one_snapshot,
                )
            ) as checking,
        ):
            reported_at = monotonic() - _PROGRESS_S
            for progress in checking:
                if self._verifications.is_stopping:
                    raise ServerDraining
                if stream.is_left:
                    return
                if monotonic() - reported_at >= _PROGRESS_S:
                    yield from stream.sent(convert.progress_message(progress))
                    reported_at = monotonic()
            if progress is not None:
                yield from stream.sent(convert.result_message(progress))

    def ExportCheckpoints(
        self, request: pb.ExportCheckpointsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ExportCheckpointsResponse]:
        """Stream checkpoints."""
        with self._exports.one(context) as stream:
            # At once: a stream without any response looks like one that was cut off.
            for page in chain([()], export_checkpoints(self._app, request.first_number)):
                if self._exports.is_stopping:
                    raise ServerDraining
                yield from stream.sent(pb.ExportCheckpointsResponse(checkpoints=map(convert.checkpoint_message, page)))

    def ListCheckpointKeys(
        self, request: pb.ListCheckpointKeysRequest, context: grpc.ServicerContext
    ) -> pb.ListCheckpointKeysResponse:
        """Return the keys."""
        del request, context
        keys = self._app.reads.checkpoint_keys()
        return pb.ListCheckpointKeysResponse(keys=[convert.key_message(*key) for key in keys.items()])
