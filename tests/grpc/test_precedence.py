"""Of two faults at once the one that the documents list first is reported: on every call that changes something.

Each call's faults are here in the order of its comment in the protos; every two of them that one request can have
are tried together, done and only validated.
"""

from itertools import combinations

import psycopg
import pytest

from tests.support.api import Api
from tests.support.callers import everything
from tests.support.documented_faults import AMOUNT_MAX, FAULTS, all_faults
from tests.support.fuzz_trial import METHODS, WRITES, listed_reasons
from tests.support.issuer import Issuer, bearer
from tests.support.requests import (
    changed,
)
from tests.support.world import World, bases
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.security.access import SCOPES, Scope
from wallet_grpc.server.process import authentication
from wallet_grpc.server.serving import serving
from walletctl.local.waiting import wait_until

SERVICES = sorted({path.partition("/")[0] for path in METHODS})


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings by which less is too much for one call than for any wallet here."""
    return settings.replaced(amount_max=AMOUNT_MAX, webhook_owner_count_max=1)


def test_the_faults_here_are_in_the_order_of_the_protos() -> None:
    """Reasons follow each other as the call's own comment lists them, and none is left out."""

    listed = listed_reasons()
    assert set(FAULTS) == set(WRITES)
    for path, faults in FAULTS.items():
        call = METHODS[path].name
        rest = iter(listed[call])
        unfolded = [fault.reason for fault in faults]
        in_order = [reason for reason, before in zip(unfolded, [None, *unfolded], strict=False) if reason != before]
        if call not in {"Transfer", "BatchTransfer", "CaptureHold"}:  # these list what is of one wallet, then the other
            assert all(reason in rest for reason in in_order), (call, in_order, listed[call])
        assert set(unfolded) <= set(listed[call]) <= {fault.reason for fault in all_faults(path)}, call


@pytest.mark.parametrize("service", SERVICES)
def test_of_two_faults_in_a_call_the_first_documented_is_reported(
    world: World, owner: psycopg.Connection, service: str
) -> None:
    """Every two that one request can have, and each by itself; nothing is done, and without any it would be."""

    before = everything(owner)

    for path, base in bases(world.names).items():
        if not path.startswith(f"{service}/"):
            continue
        faults = all_faults(path)
        pairs = [pair for pair in combinations(faults, 2) if pair[0].meets(pair[1])]
        for first, *others in [*((fault,) for fault in faults), *pairs]:
            for answer in world.answers_to(path, base, first, *others):
                result = (answer.reason, {key: answer.metadata.get(key) for key in first.metadata})
                assert result == (first.reason, dict(first.metadata)), (path, first, others, answer)
        assert len(pairs) >= len(faults), path
        by, fine = world.request(base)
        assert world.callers[by].call(path, changed(fine, validate_only=True)).code == "OK", path

    after = everything(owner)
    assert {table for table in before if after[table] != before[table]} <= {"requests"}


def test_before_a_request_is_read_the_server_checks_itself_then_the_caller(
    app: App, guarded: Settings, issuer: Issuer, owner: psycopg.Connection
) -> None:
    """Room, time, credentials, scope, rate, then the request, on every call.

    Each is reported while all after it lack.
    """

    before = everything(owner)
    slow = guarded.replaced(deadline_min_s=30.0, caller_calls_per_s=1)

    def reasons(path: str, scopes: set[Scope] | None, times: int = 1, timeout_s: float | None = None) -> set[str]:
        metadata = () if scopes is None else bearer(issuer.token(" ".join(scopes)))
        with Api(target, metadata=metadata) as api:
            return {api.call(path, b"\xff\xfe", timeout_s=timeout_s).reason for _ in range(times)}

    full = slow.model_copy(update={"grpc": slow.grpc.model_copy(update={"queue_max": 0})})
    with serving(app, full, authentication(slow)) as port:
        target = f"127.0.0.1:{port}"
        assert {path: reasons(path, None, timeout_s=20) for path in METHODS} == each("SERVER_OVERLOADED")
    with serving(app, slow, authentication(slow)) as port:
        target = f"127.0.0.1:{port}"
        assert {path: reasons(path, None, timeout_s=20) for path in METHODS} == each("DEADLINE_TOO_SHORT")
        assert {path: reasons(path, None) for path in METHODS} == each("CREDENTIALS_INVALID")
        without = {path: reasons(path, set(Scope) - takes(path)) for path in METHODS if takes(path)}
        assert without == {path: {"PERMISSION_MISSING"} for path in without}
        assert set(METHODS) - without.keys() == {"WalletService/ListCurrencies", "InfoService/GetServiceInfo"}
        for path in METHODS:  # one a second is admitted, and rejected as no request
            assert wait_until(lambda path=path: reasons(path, takes(path), 4) >= {"RATE_LIMITED"}, timeout_s=30), path  # type: ignore[misc]  # bound
            assert reasons(path, takes(path), 4) <= {"RATE_LIMITED", "INVALID_FIELDS"}, path
    assert everything(owner) == before


def each(reason: str) -> dict[str, set[str]]:
    """Check that every call gets this and nothing else."""
    return {path: {reason} for path in METHODS}


def takes(path: str) -> set[Scope]:
    """Return the scope that a call takes."""
    scope = SCOPES[f"/wallet.v1.{path}"]
    return {scope} if scope is not None else set()
