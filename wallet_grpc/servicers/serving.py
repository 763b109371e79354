"""What all servicers share."""

from dataclasses import dataclass

import grpc

from wallet_core.usecases.app import App
from wallet_grpc.convert.page_tokens import PageTokens
from wallet_grpc.convert.values import deadline_of
from wallet_grpc.servicers.streams import Streams


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The core, and the edge's limits and page tokens."""

    app: App
    page_tokens: PageTokens
    exports: Streams
    verifications: Streams
    receipts_cached: int
    deadline_max_s: float
    page_max_bytes: int

    def deadline(self, context: grpc.ServicerContext) -> float:
        """Return the deadline of a call, on the monotonic clock."""
        return deadline_of(context, self.deadline_max_s)
