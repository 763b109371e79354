"""Mistakes at the edge: authentication, request reading, shares, and how a server starts."""

from tests.mutants.change import Change
from tests.mutants.mistake import Mistake

WATCH = "tests/grpc/test_watch.py tests/grpc/test_watch_access.py"

EDGE = (
    Mistake(
        "an error after the commit is reported as not done",
        (
            Change(
                "wallet_grpc/interceptors/errors.py:errors_as_status",
                "scope.is_done and CATALOGUE[type(error)].outcome is not Outcome.UNKNOWN",
                "False",
            ),
        ),
        "tests/grpc/test_after_a_commit.py",
    ),
    Mistake(
        "a server without authentication listens on all addresses",
        (
            Change(
                "wallet_core/startup_checks.py:allow_unauthenticated",
                "opened and not settings.access.allow_unauthenticated",
                "not opened",
            ),
        ),
        "tests/unit/test_safe_start.py",
    ),
    Mistake(
        "watches occupy the threads of all other calls",
        (
            Change(
                "wallet_grpc/interceptors/own_threads.py:OwnThreads.wrap",
                "(wrapped.unary_unary or wrapped.unary_stream).experimental_thread_pool = self._pools[method]",
                "(wrapped.unary_unary or wrapped.unary_stream).pool = self._pools[method]",
            ),
        ),
        WATCH,
    ),
    Mistake(
        "a thread waits for a request that never arrives",
        (Change("wallet_grpc/runtime/receiving.py:CallPool.submit", "grpcio is not None", "False"),),
        "tests/grpc/test_half_sent_calls.py",
    ),
    Mistake(
        "a call waits for its request without a limit",
        (
            Change(
                "wallet_grpc/runtime/receiving.py:Calls._end_unreceived",
                "call.until > now and place >= too_many",
                "place >= too_many",
            ),
        ),
        "tests/grpc/test_half_sent_calls.py",
    ),
    Mistake(
        "an owner has one share for each of its callers",
        (
            Change(
                "wallet_grpc/servicers/streams.py:_whose",
                '(("owner", principal.owner),) if principal.owner is not None else ()',
                "()",
            ),
        ),
        "tests/grpc/test_shares.py",
    ),
    Mistake(
        "a token that was issued for another service is accepted",
        (
            Change(
                "wallet_grpc/security/tokens.py:Tokens._claims",
                "{'require': ['exp', 'iss', 'aud']}",
                "{'require': ['exp', 'iss', 'aud'], 'verify_aud': False}",
            ),
        ),
        "tests/grpc/test_authentication.py",
    ),
    Mistake(
        "a page token of one list is accepted by another",
        (
            Change("wallet_grpc/security/sealing.py:Seal.closed", "[bound_to.encode()]", "[]"),
            Change("wallet_grpc/security/sealing.py:Seal.opened", "[bound_to.encode()]", "[]"),
        ),
        "tests/unit/test_sealing.py tests/grpc/test_lists.py",
    ),
)
