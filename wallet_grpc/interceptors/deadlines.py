"""Gives the core the caller's deadline, so that no read continues after it.

Streams have their own limits. Changes ignore the deadline: a commit is never aborted.
"""

from contextlib import AbstractContextManager, nullcontext

import grpc

from wallet_core.deadline import deadline_scope
from wallet_grpc.convert.values import deadline_of
from wallet_grpc.descriptors import STREAMS
from wallet_grpc.interceptors.wrapping import Wrapping


def deadlines_interceptor(longest_s: float) -> Wrapping:
    """Return the interceptor; *longest_s* is the deadline of calls that have none, or a longer one."""

    def around(method: str, context: grpc.ServicerContext) -> AbstractContextManager[None]:
        return nullcontext() if method in STREAMS else deadline_scope(deadline_of(context, longest_s))

    return Wrapping(around)
