"""What a person must look at, as callers see it, and how it is settled."""

from datetime import UTC, timedelta
from uuid import UUID

import psycopg
import pytest
from prometheus_client import REGISTRY
from wallet.v1 import operations_service_pb2 as pb
from wallet.v1.schedule_service_pb2 import (
    RESOLUTION_KIND_EXECUTED,
    BankAttempt,
    Withdrawal,
)

from scheduler.jobs import pay_due_withdrawals, reconcile_bank_statement, reconcile_withdrawals
from tests.support.api import Api
from tests.support.callers import BIGGEST, balance, everything, open_funded, refusal, usd
from tests.support.payouts import Bank
from tests.support.requests import money
from tests.support.reserved_withdrawals import run_jobs, schedule
from tests.support.rows import rewrite
from tests.support.scheduled import CollectingBank
from wallet_client import WalletClient
from wallet_core.usecases.app import App
from walletctl.local.waiting import wait_until

ALICE = "wallets/alice"
ACCOUNT = "DE89370400440532013000"


@pytest.fixture
def doubtful(client: WalletClient, app: App, stub: Bank) -> str:
    """Return a withdrawal of 30.00 in doubt, for longer than the grace time, by the database's clock."""
    stub.order("reset", times=1)
    open_funded(client, alice=10_000)
    name = client.schedule_withdrawal(ALICE, usd(3_000), bank_account=ACCOUNT).withdrawal.name
    pay_due_withdrawals.run_once(app)
    return name


@pytest.fixture
def old(doubtful: str, owner: psycopg.Connection) -> str:
    """Return the same, an hour later."""
    owner.execute("UPDATE bank_attempts SET in_flight_until = start_time")
    rewrite(
        owner,
        "UPDATE withdrawals SET update_time = update_time - interval '1 hour',"
        " execute_time = now() - interval '1 hour'",
    )
    return doubtful


def test_a_withdrawal_shows_the_banks_requests_and_answers_without_the_account(
    client: WalletClient, doubtful: str
) -> None:
    """Every attempt; of the account only its end."""

    (attempt,) = client.get_withdrawal(doubtful).bank_attempts

    assert (attempt.number, attempt.result) == (1, BankAttempt.RESULT_UNKNOWN)
    assert (attempt.key.removeprefix("wd-"), ACCOUNT in attempt.request, "…3000" in attempt.request) == (
        doubtful.removeprefix("withdrawals/"),
        False,
        True,
    )
    assert attempt.result_detail


def test_a_doubt_is_listed_once_it_is_old_and_leaves_the_list_once_it_is_settled(
    client: WalletClient, old: str
) -> None:
    """With what it is about; the operator's word is kept with it."""

    (item,) = client.list_attention()
    assert (item.kind, item.resource_name, item.wallet) == (pb.AttentionItem.KIND_IN_DOUBT, old, ALICE)
    assert (item.amount.minor_units, item.bank_key) == (3_000, "wd-" + old.removeprefix("withdrawals/"))

    resolved = client.resolve_withdrawal(
        old, "EXECUTED", reason="asked by phone", bank_evidence="ticket 7", bank_reference="R-9"
    )
    withdrawal = resolved.withdrawal
    assert (withdrawal.state, withdrawal.bank_reference, resolved.replayed) == (
        Withdrawal.STATE_SUCCEEDED,
        "R-9",
        False,
    )
    (kept,) = withdrawal.resolutions
    assert (kept.kind, kept.reason, kept.bank_evidence, kept.operator) == (
        RESOLUTION_KIND_EXECUTED,
        "asked by phone",
        "ticket 7",
        "local",
    )
    assert list(client.list_attention()) == []
    assert client.get_withdrawal(old) == withdrawal


def test_a_young_doubt_is_neither_listed_nor_resolved(
    client: WalletClient, doubtful: str, owner: psycopg.Connection
) -> None:
    """A call to the bank may still be in flight; nothing changes but the request's record."""

    before = everything(owner)
    assert list(client.list_attention()) == []
    assert (
        refusal(lambda: client.resolve_withdrawal(doubtful, "NOT_EXECUTED", reason="x")).reason
        == "STATE_TRANSITION_FORBIDDEN"
    )
    after = everything(owner)
    assert {name for name in after if after[name] != before[name]} == {"requests"}


def test_validating_a_resolution_changes_nothing(client: WalletClient, old: str, owner: psycopg.Connection) -> None:
    """It returns what would result."""

    before = everything(owner)
    withdrawal = client.resolve_withdrawal(old, "NOT_EXECUTED", reason="x", validate_only=True).withdrawal

    assert withdrawal.state == Withdrawal.STATE_FAILED
    assert withdrawal.failure_reason == Withdrawal.FAILURE_REASON_RESOLVED
    assert everything(owner) == before


def test_a_repeat_is_answered_as_the_first_was(client: WalletClient, old: str) -> None:
    """And settles nothing more."""

    id_ = str(UUID(int=5))
    first = client.resolve_withdrawal(old, "NOT_EXECUTED", reason="x", request_id=id_)
    again = client.resolve_withdrawal(old, "NOT_EXECUTED", reason="x", request_id=id_)

    assert (first.withdrawal, again.replayed, balance(client, "alice")) == (again.withdrawal, True, 10_000)


@pytest.mark.parametrize("reason", ["", "   ", "x" * 1025])
def test_a_reason_is_required(client: WalletClient, old: str, reason: str) -> None:
    """In words, for later readers."""

    assert refusal(lambda: client.resolve_withdrawal(old, "EXECUTED", reason=reason)).reason == "INVALID_FIELDS"


def test_what_is_due_and_left_alone_is_listed(client: WalletClient, owner: psycopg.Connection) -> None:
    """So that an operator checks whether a scheduler runs."""

    open_funded(client, alice=10_000)
    withdrawal = client.schedule_withdrawal(ALICE, usd(10)).withdrawal.name
    deposit = client.schedule_deposit(ALICE, usd(10)).scheduled_deposit.name
    collection = client.schedule_deposit(ALICE, usd(10), collect=True).scheduled_deposit.name
    client.schedule_withdrawal(
        ALICE, usd(10), execute_time=client.get_wallet(ALICE).create_time.ToDatetime().replace(year=2099, tzinfo=UTC)
    )
    assert list(client.list_attention()) == []
    for table in ("withdrawals", "scheduled_deposits"):
        owner.execute(
            f"UPDATE {table} SET next_attempt_time = next_attempt_time - interval '1 hour'"  # noqa: S608  # ours
            " WHERE next_attempt_time < now()"
        )

    listed = list(client.list_attention(page_size=1))

    assert {item.resource_name for item in listed} == {withdrawal, deposit, collection}
    assert {item.kind for item in listed} == {pb.AttentionItem.KIND_OVERDUE}
    assert [item.since.ToNanoseconds() for item in listed] == sorted(item.since.ToNanoseconds() for item in listed)


def test_a_discrepancy_is_listed_until_an_operator_resolves_it(client: WalletClient, app: App, stub: Bank) -> None:
    """By page; closing it moves nothing and is done once."""

    for number in range(3):
        stub.execute(key=f"stranger-{number}", amount=5)
    reconcile_bank_statement.run_once(app)
    listed = list(client.list_attention(page_size=2))
    assert [(item.kind, item.resource_name) for item in listed] == [
        (pb.AttentionItem.KIND_DISCREPANCY, f"bankStatementLines/{number}") for number in (1, 2, 3)
    ]

    closed = client.resolve_discrepancy("bankStatementLines/2", reason="a test of theirs").bank_statement_line

    assert (closed.name, closed.kind, closed.bank_key, closed.resolution, closed.resolved_by) == (
        "bankStatementLines/2",
        "EXECUTION",
        "stranger-1",
        "a test of theirs",
        "local",
    )
    assert [item.resource_name for item in client.list_attention()] == ["bankStatementLines/1", "bankStatementLines/3"]
    assert (
        refusal(lambda: client.resolve_discrepancy("bankStatementLines/2", reason="again")).reason
        == "STATE_TRANSITION_FORBIDDEN"
    )
    assert (
        refusal(lambda: client.resolve_discrepancy("bankStatementLines/9", reason="x")).reason == "RESOURCE_NOT_FOUND"
    )


def test_attention_shows_when_the_bank_statement_was_last_read_to_its_end(server: str, app: App, stub: Bank) -> None:
    """In the list, and as a metric."""

    del stub
    with Api(server) as api:
        assert not api.ok(pb.ListAttentionRequest()).HasField("bank_statement_read_time")
        reconcile_bank_statement.run_once(app)
        read_at = app.reads.vitals().bank_statement_read_time
        assert read_at is not None
        assert api.ok(pb.ListAttentionRequest()).bank_statement_read_time.ToDatetime(UTC) == read_at
    metric = "wallet_bank_statement_read_timestamp_seconds"
    assert wait_until(lambda: REGISTRY.get_sample_value(metric) == read_at.timestamp(), timeout_s=30)


@pytest.mark.usefixtures("alice_and_bob")
def test_a_payout_that_overflows_the_external_wallet_needs_attention(api: Api, app: App, stub: CollectingBank) -> None:
    """The bank has paid more than the external wallet can count: listed, and settled once there is room."""

    api.open("rich", overdraft_limit=money(BIGGEST))
    api.open("poor", overdraft_limit=money(2000))
    first = schedule(api, wallet="wallets/rich", amount=money(BIGGEST)).name
    run_jobs(app)
    name = schedule(api, wallet="wallets/poor", amount=money(1500)).name
    jobs = (pay_due_withdrawals, reconcile_withdrawals)
    rounds = [job.run_once(app, clock_offset=timedelta(seconds=10 * n)) for n in range(2) for job in jobs]

    assert (api.withdrawal(first).state, len(stub.ledger())) == (Withdrawal.STATE_SUCCEEDED, 2)
    assert {word for counts in rounds for word in counts.outcomes} <= {"PROCESSING", "IN_DOUBT"}
    assert api.withdrawal(name).attention
    api.deposit("bob", 1000)
    run_jobs(app, timedelta(seconds=30))
    assert (api.withdrawal(name).state, len(stub.ledger())) == (Withdrawal.STATE_SUCCEEDED, 2)
