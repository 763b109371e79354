"""The proof of the ledger and its checkpoints, by call: the result, the limits, and the end of a check."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from wallet.v1 import audit_service_pb2 as pb

from scheduler.jobs import write_checkpoints
from tests.support.api import Api
from tests.support.idle import Idle
from tests.support.rows import without_triggers
from tests.support.wire import answer_of
from wallet_core.bootstrap import open_app
from wallet_core.domain.model.checkpoint import statement_of
from wallet_core.gateways.checkpoint_keys import CheckpointSigner, is_signed, new_key, public_pem, read_public_keys
from wallet_core.settings import Settings
from wallet_core.storage.verify.checks import MEANINGS
from wallet_core.usecases.app import App
from wallet_grpc.server.serving import serving
from walletctl.local.waiting import wait_until

VERIFY = "AuditService/VerifyLedger"
# So long a pause after each part that a check does not end by itself during a test.
NEVER_ENDS = {"verify_slice_rows": 1, "verify_pause_factor": 1e6}


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """Return the file of a signing key."""
    file = tmp_path / "checkpoints.pem"
    new_key(file)
    return file


@contextmanager
def served(settings: Settings, key: Path, **changes: object) -> Iterator[tuple[App, Idle]]:
    """Serve with a signing key; yield the core, and a channel that outlives the server."""
    chosen = {"checkpoints_signing_key": key, "checkpoints_every_records": 1, "verify_pause_factor": 0.0}
    changed = settings.replaced(**{"drain_grace_s": 5.0, "drain_flush_s": 0.2, **chosen, **changes})
    with open_app(changed, name="tests") as app, serving(app, changed) as port:
        yield app, Idle(f"127.0.0.1:{port}")


@pytest.fixture
def books(settings: Settings, key: Path) -> Iterator[tuple[App, Idle]]:
    """Return the same, with money and one checkpoint."""
    with served(settings, key) as (app, api):
        api.open("alice", 5)
        sign(app)
        yield app, api


def sign(app: App) -> None:
    """Publish all events, and sign a checkpoint."""
    while app.journal.write(1000):
        pass
    write_checkpoints.run_once(app, limit=1)


def result(api: Api, **request: Any) -> pb.VerifyLedgerResponse:  # noqa: ANN401  # fields of the request
    """Return the last response of a check."""
    responses: list[pb.VerifyLedgerResponse] = list(api.stream(pb.VerifyLedgerRequest(**request), timeout_s=60))
    return responses[-1]


def broken(response: pb.VerifyLedgerResponse) -> dict[str, str]:
    """Return the broken rules, each with the first row that breaks it."""
    assert response.result.consistent is not any(rule.broken for rule in response.result.rules)
    return {rule.name: rule.first_broken for rule in response.result.rules if rule.broken}


def exported(api: Api, first_number: int = 0) -> list[pb.Checkpoint]:
    """Return the checkpoints from a number on."""
    stream = api.stream(pb.ExportCheckpointsRequest(first_number=first_number))
    return [one for response in stream for one in response.checkpoints]


def test_a_check_reports_its_progress_and_every_rule(books: tuple[App, Idle]) -> None:
    """The first response comes at once and has no result; the last one has it."""

    _, api = books

    first, *_, last = api.stream(pb.VerifyLedgerRequest(), timeout_s=60)

    assert not first.HasField("result")
    assert (last.result.consistent, broken(last)) == (True, {})
    assert {rule.name: rule.meaning for rule in last.result.rules} == MEANINGS
    assert last.rows >= 8  # a wallet and three of the service, a transaction and its entries, two records
    assert last.journal_end == 2


@pytest.mark.parametrize("one_snapshot", [False, True])
def test_a_broken_ledger_is_reported_with_its_first_broken_row(
    books: tuple[App, Idle], owner: psycopg.Connection, *, one_snapshot: bool
) -> None:
    """By any login, and in each mode of the check."""

    _, api = books
    with without_triggers(owner):
        owner.execute(b"UPDATE wallets SET balance = 6 WHERE id = 'alice'")

    found = broken(result(api, one_snapshot=one_snapshot))
    with without_triggers(owner):
        owner.execute(b"UPDATE wallets SET balance = 5 WHERE id = 'alice'")

    assert found == {"balances": "wallets/alice", "nothing_invented": "USD"}
    assert broken(result(api)) == {}


def test_two_connections_find_what_one_finds(settings: Settings, key: Path, owner: psycopg.Connection) -> None:
    """Each row once: 5 wallets, 6 entries, 3 transactions, 5 requests, a bank statement; in parts of one row."""

    for connections in (1, 2):
        with served(settings, key, verify_connections=connections, verify_slice_rows=1) as (_, api):
            if connections == 1:
                api.open("alice", 5)
                api.open("bob", 5)
                api.transfer("alice", "bob", 3)
                with without_triggers(owner):
                    owner.execute(b"UPDATE transactions SET amount = 4 WHERE type = 'TRANSFER'")
            found = result(api)
        counts = {rule.name: rule.broken for rule in found.result.rules if rule.broken}
        assert (counts, found.rows) == ({"transactions": 1, "events": 1}, 20)
    with without_triggers(owner):
        owner.execute(b"UPDATE transactions SET amount = 3 WHERE type = 'TRANSFER'")


def refusal(api: Api) -> str:
    """Begin a check and cancel it; return the reason why it was refused, empty where it was not."""
    stream = api.stream(pb.VerifyLedgerRequest())
    try:
        next(stream)
    except grpc.RpcError as error:
        return answer_of(error).reason
    stream.cancel()
    return ""


def test_a_second_check_is_refused_and_a_cancelled_one_ends_soon(settings: Settings, key: Path) -> None:
    """Other calls go on meanwhile, though a check keeps its connection for hours."""

    with served(settings, key, **NEVER_ENDS, pool_size=1) as (_, api):
        api.open("alice", 5)
        first = api.stream(pb.VerifyLedgerRequest(), timeout_s=None)
        next(first)

        refused = api.refused(pb.VerifyLedgerRequest())
        assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "SERVER_OVERLOADED")
        assert api.wallet("alice").balance.minor_units == 5
        first.cancel()
        assert wait_until(lambda: refusal(api) == "", timeout_s=20)


def test_a_server_that_stops_ends_its_check(settings: Settings, key: Path) -> None:
    """With SERVER_DRAINING, in time."""

    with served(settings, key, **NEVER_ENDS) as (_, api):
        stream = api.stream(pb.VerifyLedgerRequest(), timeout_s=None)
        next(stream)

    assert api.stream_error(stream).reason == "SERVER_DRAINING"


def test_a_check_since_a_checkpoint_leaves_out_what_was_checked_before(
    books: tuple[App, Idle], owner: psycopg.Connection
) -> None:
    """And one since a checkpoint that does not exist is refused."""

    app, api = books
    (signed,) = exported(api)
    api.deposit("alice", 5)
    sign(app)
    with without_triggers(owner):
        owner.execute(b"UPDATE journal SET type = 'x' WHERE number = 1")

    assert "journal" in broken(result(api))
    assert broken(result(api, since=signed.name)) == {}
    refused = api.refused(pb.VerifyLedgerRequest(since="checkpoints/777"))
    assert (refused.reason, refused.metadata) == ("RESOURCE_NOT_FOUND", {"resourceName": "checkpoints/777"})
    for wrong in ("checkpoints/0", "checkpoints/x", "x", "checkpoints/1 "):
        assert api.refused(pb.VerifyLedgerRequest(since=wrong)).reason == "INVALID_FIELDS"
    with without_triggers(owner):
        owner.execute(b"UPDATE journal SET type = 'wallet.created' WHERE number = 1")


def test_kept_checkpoints_are_compared_with_the_stored_ones(books: tuple[App, Idle], key: Path) -> None:
    """One that is not stored here, or that another key has signed, is a broken rule."""

    app, api = books
    (kept,) = exported(api)
    stated = statement_of(kept.statement)
    forged = CheckpointSigner(key).sign(replace(stated, wallets=9))
    foreign = pb.Checkpoint(number=2, statement="{}", key_id="0" * 16, signature=bytes(64))

    assert broken(result(api, kept=[kept])) == {}
    other = pb.Checkpoint(
        number=forged.number, statement=forged.statement, key_id=forged.key_id, signature=forged.signature
    )
    assert broken(result(api, kept=[kept, other])) == {"kept_checkpoints": "checkpoint 2"}
    assert broken(result(api, kept=[foreign])) == {"kept_checkpoints": "checkpoint 2"}
    unsigned = pb.Checkpoint(number=2, statement="{}", key_id="0" * 16, signature=bytes(63))
    assert api.refused(pb.VerifyLedgerRequest(kept=[unsigned])).reason == "INVALID_FIELDS"
    assert api.refused(pb.VerifyLedgerRequest(kept=[foreign] * 1001)).reason == "INVALID_FIELDS"
    assert len(app.reads.checkpoints_after(0, 10)) == 1


def test_a_server_trusts_the_keys_of_its_settings(settings: Settings, key: Path, tmp_path: Path) -> None:
    """Not those that the database's owner can add."""

    trusted, other = tmp_path / "trusted.pem", tmp_path / "other.pem"
    trusted.write_text(public_pem([CheckpointSigner(key).public_key()]))
    new_key(other)
    for signing, found in ((key, {}), (other, {"checkpoints": "checkpoint 4"})):
        with served(settings, signing, checkpoints_trusted_keys=trusted) as (app, api):
            api.open(f"of-{signing.stem}", 5)
            sign(app)
            assert broken(result(api)) == found


def test_checkpoints_are_exported_from_a_number_on_with_their_keys(books: tuple[App, Idle], tmp_path: Path) -> None:
    """As they were signed, byte for byte; an auditor needs no more than the file and the public key."""

    app, api = books
    api.deposit("alice", 5)
    sign(app)
    stored = app.reads.checkpoints_after(0, 10)

    shown = exported(api)
    (one,) = api.ok(pb.ListCheckpointKeysRequest()).keys
    pem = tmp_path / "public.pem"
    pem.write_text(one.pem)

    assert [(x.name, x.number, x.statement, x.key_id, x.signature) for x in shown] == [
        (f"checkpoints/{x.number}", x.number, x.statement, x.key_id, x.signature) for x in stored
    ]
    assert read_public_keys(pem) == {one.key_id: one.public_key}
    assert all(is_signed(x, {one.key_id: one.public_key}) for x in stored)
    assert exported(api, shown[0].number + 1) == shown[1:]
    assert exported(api, shown[-1].number + 1) == []
    assert api.refused(pb.ExportCheckpointsRequest(first_number=-1)).reason == "INVALID_FIELDS"
