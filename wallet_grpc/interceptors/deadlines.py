"""Tells the core how long the caller will wait, so that no read for it goes on once it has left.

Not of streams, which have a time of their own. What moves money does not heed it: a commit is cut short by nobody.
"""

from contextlib import AbstractContextManager, nullcontext

import grpc

from wallet_core.deadline import deadline_scope
from wallet_grpc.convert.values import deadline_of
from wallet_grpc.descriptors import STREAMS
from wallet_grpc.interceptors.wrapping import Wrapping


def deadlines_interceptor(longest_s: float) -> Wrapping:
    """Return the interceptor; a caller that does not say how long it waits is held to wait for *longest_s*."""

    def around(method: str, context: grpc.ServicerContext) -> AbstractContextManager[None]:
        return nullcontext() if method in STREAMS else deadline_scope(deadline_of(context, longest_s))

    return Wrapping(around)
