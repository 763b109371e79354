"""Deposits that are collected: what each answer of the bank comes to, and that no wallet is credited but by its yes."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from bank_stub.server import BankServer
from scheduler.jobs import collect_due_deposits, credit_due_deposits, pay_due_withdrawals, reconcile_collections
from scheduler.worker_pool import Counts
from tests.support.books import balance_of, deposit, open_wallet, transfer
from tests.support.callers import BIGGEST, count
from tests.support.keeps_no_ledger import KeepsNoLedger
from tests.support.payouts import schedule
from tests.support.rows import rewrite
from tests.support.scheduled import (
    CollectingBank,
    cancel_deposit,
    collection_key,
    schedule_deposit,
    scheduled_deposit,
)
from wallet_core.bootstrap import open_app
from wallet_core.domain.model.bank import Answer, AnswerKind, Payment, Status, StatusKind
from wallet_core.domain.model.errors import StateTransitionForbidden
from wallet_core.domain.model.payment_order import FailureReason, OrderState, ScheduledDeposit
from wallet_core.domain.model.transaction import TransactionType
from wallet_core.domain.model.wallet import Role, WalletId, system_wallet
from wallet_core.gateways.bank import HttpBank
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_core.usecases.pay_out import pay_out
from walletctl.local.waiting import wait_until

SOON = timedelta(seconds=1)  # past any backoff of the tests' settings, within the lease
PAST_LEASE = timedelta(seconds=2)
PAST_GRACE = timedelta(seconds=10)

IN_TRANSIT, EXTERNAL = system_wallet(Role.IN_TRANSIT, "USD"), system_wallet(Role.EXTERNAL, "USD")


@pytest.fixture
def stub(bank: BankServer) -> CollectingBank:
    """Return the bank, to be ordered about."""
    return CollectingBank(bank.url)


@pytest.fixture
def alice(app: App) -> WalletId:
    """Return a wallet with 1,000."""
    return open_wallet(app, "alice", 1000)


@pytest.fixture
def ghost() -> Iterator[str]:
    """Return an address at which nobody listens, now or later."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{door.getsockname()[1]}"


def collect(app: App, clock_offset: timedelta = timedelta()) -> Counts:
    """Run one round of collections."""
    return collect_due_deposits.run_once(app, clock_offset=clock_offset)


def reconcile(app: App, clock_offset: timedelta = SOON) -> Counts:
    """Run one round of reconciliation."""
    return reconcile_collections.run_once(app, clock_offset=clock_offset)


def hasty(app: App) -> App:
    """Return the core with a bank that is not waited for long."""
    assert isinstance(app.bank, HttpBank)
    return replace(app, bank=replace(app.bank, deadline_s=0.25))


def everything_due(app: App, clock_offset: timedelta) -> None:
    """Run one round of every job that could touch a scheduled deposit, and of one that must not."""
    collect(app, clock_offset)
    reconcile(app, clock_offset)
    credit_due_deposits.run_once(app, clock_offset=clock_offset)
    pay_due_withdrawals.run_once(app, clock_offset=clock_offset)


def answers(found: ScheduledDeposit) -> list[AnswerKind | None]:
    """Return what the bank said on each attempt."""
    return [attempt.answer for attempt in found.attempts]


def money(app: App) -> tuple[int, int, int]:
    """Return what is in Alice's wallet, on its way, and outside."""
    return balance_of(app, WalletId("alice")), balance_of(app, IN_TRANSIT), balance_of(app, EXTERNAL)


UNTOUCHED, CREDITED = (1000, 0, -1000), (1300, 0, -1300)

# What an answer can be that says neither yes nor no; with its own account each, so that one round meets them all.
UNCLEAR: dict[str, dict[str, object]] = {
    "500": {"fault": "http_error", "status": 500},
    "503-executed": {"fault": "http_error", "status": 503, "execute": True},
    "504-executed": {"fault": "http_error", "status": 504, "execute": True},
    "404": {"fault": "http_error", "status": 404},
    "302": {"fault": "http_error", "status": 302, "location": "/"},
    "garbage": {"fault": "garbage"},
    "half_body": {"fault": "half_body"},
    "trickle": {"fault": "trickle"},
    "reset": {"fault": "reset"},
    "reset-executed": {"fault": "reset", "execute": True},
}


def one_for_each(app: App, stub: CollectingBank, faults: dict[str, dict[str, object]]) -> dict[str, UUID]:
    """Schedule a collection of 300 for each fault, into a wallet of its own; return them by the fault's word."""
    for account, fault in faults.items():
        stub.order(**{"times": 1, "match": {"account": account}, **fault})  # type: ignore[arg-type]  # JSON
    return {
        account: schedule_deposit(
            app, open_wallet(app, f"w-{number}"), 300, collect=True, bank_account=account, external_reference=account
        )
        for number, account in enumerate(faults)
    }


def each(app: App, ids: dict[str, UUID]) -> dict[str, tuple[OrderState, int]]:
    """Return each collection's state, and what is in its wallet."""
    found = {account: scheduled_deposit(app, id_) for account, id_ in ids.items()}
    return {account: (one.state, balance_of(app, one.wallet)) for account, one in found.items()}


def test_due_collection_is_asked_for_once_and_credited_with_what_the_bank_says(
    app: App, stub: CollectingBank, alice: WalletId
) -> None:
    """One POST to the collections; then external → wallet, type COLLECTION, with the bank's reference."""

    id_ = schedule_deposit(app, alice, 300, collect=True, bank_account="acct-7", external_reference="standing-1")
    collect(app)

    found = scheduled_deposit(app, id_)
    (line,) = stub.ledger()
    assert (found.state, found.bank_reference, found.failure_reason) == (
        OrderState.SUCCEEDED,
        line["reference"],
        None,
    )
    assert (line["kind"], line["key"], line["account"]) == ("collection", f"sd-{id_}", "acct-7")
    (body,) = stub.sent(id_)
    assert json.loads(body) == {"amount": 300, "currency": "USD", "account": "acct-7", "owner": "alice"}
    assert money(app) == CREDITED
    assert found.credit is not None
    moved = app.reads.transaction(found.credit).movement
    assert (moved.type, moved.source, moved.destination) == (
        TransactionType.COLLECTION,
        EXTERNAL,
        alice,
    )
    assert (moved.cause, moved.details.external_reference, moved.amount.minor) == (
        id_,
        "standing-1",
        300,
    )


def test_nothing_is_posted_while_the_bank_has_not_answered(
    app: App, stub: CollectingBank, alice: WalletId, owner: psycopg.Connection
) -> None:
    """The bank has executed and holds its answer back: no transaction, no lock, deposits pass; then one credit."""

    stub.order("hold", times=1)
    id_ = schedule_deposit(app, alice, 300, collect=True)
    posted = count(owner, "transactions")
    with ThreadPoolExecutor(1) as pool:
        round_ = pool.submit(collect, app)
        assert wait_until(lambda: stub.held_back() == 1, timeout_s=30)
        during = scheduled_deposit(app, id_)
        posted_during = count(owner, "transactions")
        deposit(app, alice, 50)
        stub.release()
        round_.result()

    assert (during.state, during.credit, during.bank_reference) == (OrderState.PROCESSING, None, "")
    assert (posted_during, stub.collected(id_)) == (posted, 1)
    assert (scheduled_deposit(app, id_).state, balance_of(app, alice)) == (OrderState.SUCCEEDED, 1350)


def test_credit_and_success_are_one_transaction(
    app: App, stub: CollectingBank, alice: WalletId, owner: psycopg.Connection
) -> None:
    """The state, the entries and the transaction carry one and the same database transaction."""

    del stub
    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect(app)

    stamps = owner.execute(
        "SELECT xmin::text FROM scheduled_deposits WHERE id = %(id)s"
        " UNION SELECT xmin::text FROM transactions WHERE cause = %(id)s"
        " UNION SELECT xmin::text FROM wallets WHERE id = 'alice'"
        " UNION SELECT e.xmin::text FROM entries e JOIN transactions t ON t.id = e.transaction WHERE t.cause = %(id)s",
        {"id": id_},
    ).fetchall()
    assert len(stamps) == 1


def test_final_collection_is_not_asked_for_again(app: App, stub: CollectingBank, alice: WalletId) -> None:
    """Later rounds of every job find nothing to do."""

    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect(app)
    found = scheduled_deposit(app, id_)
    for offset in (timedelta(), PAST_LEASE, PAST_GRACE):
        everything_due(app, offset)

    assert (found, 1, CREDITED) == (scheduled_deposit(app, id_), stub.asked(id_), money(app))


def test_declined_retryable_is_asked_again_with_the_same_key_until_the_bank_collects(
    app: App, stub: CollectingBank, alice: WalletId
) -> None:
    """Two refusals, then a yes: nothing is posted in between."""

    stub.order("declined_retryable", times=2)
    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect(app)
    waiting = scheduled_deposit(app, id_)
    assert (waiting.state, waiting.lease_until, money(app)) == (OrderState.PROCESSING, None, UNTOUCHED)
    collect(app, SOON)
    collect(app, 2 * SOON)

    found = scheduled_deposit(app, id_)
    assert answers(found) == [AnswerKind.DECLINED_RETRYABLE, AnswerKind.DECLINED_RETRYABLE, AnswerKind.ACCEPTED]
    assert {attempt.key for attempt in found.attempts} == {collection_key(id_)}
    assert (found.state, money(app), stub.asked(id_), stub.collected(id_)) == (OrderState.SUCCEEDED, CREDITED, 3, 1)


def test_declined_retryable_as_often_as_allowed_fails_and_has_moved_nothing(
    app: App, stub: CollectingBank, alice: WalletId, owner: psycopg.Connection
) -> None:
    """Asked three times, with backoff; then FAILED, and never asked again."""

    stub.order("declined_retryable")
    id_ = schedule_deposit(app, alice, 300, collect=True)
    posted = count(owner, "transactions")
    for round_ in range(6):
        everything_due(app, round_ * SOON)

    found = scheduled_deposit(app, id_)
    assert (found.state, found.failure_reason, found.credit) == (
        OrderState.FAILED,
        FailureReason.ATTEMPTS_EXHAUSTED,
        None,
    )
    assert (found.next_attempt_time, found.bank_reference, found.attempts_counted) == (None, "", 3)
    assert (money(app), stub.asked(id_), stub.collected(id_), count(owner, "transactions")) == (UNTOUCHED, 3, 0, posted)


def test_retry_after_is_waited_for(app: App, stub: CollectingBank, alice: WalletId) -> None:
    """A 429 with Retry-After: a round before it sends nothing, one after it collects."""

    stub.order("too_many", seconds=20, times=1)
    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect(app)
    collect(app, 10 * SOON)

    assert (stub.asked(id_), money(app)) == (1, UNTOUCHED)

    collect(app, 21 * SOON)
    assert (scheduled_deposit(app, id_).state, money(app)) == (OrderState.SUCCEEDED, CREDITED)


def test_final_refusal_fails_and_has_moved_nothing(app: App, stub: CollectingBank, owner: psycopg.Connection) -> None:
    """No for good: in the body of a 200, or in the status line."""

    noes: dict[str, dict[str, object]] = {
        "rejected": {"fault": "declined", "reason": "account closed"},
        "422": {"fault": "http_error", "status": 422},
        "400": {"fault": "http_error", "status": 400},
    }
    ids = one_for_each(app, stub, noes)
    for offset in (timedelta(), SOON, PAST_GRACE):
        everything_due(app, offset)

    assert each(app, ids) == dict.fromkeys(noes, (OrderState.FAILED, 0))
    for id_ in ids.values():
        found = scheduled_deposit(app, id_)
        assert (found.failure_reason, found.credit, found.attention) == (FailureReason.BANK_DECLINED, None, "")
        assert stub.asked(id_) == 1
    assert count(owner, "transactions") == 0


def test_bank_that_collects_and_never_answers_leaves_a_doubt_and_no_credit(
    app: App, stub: CollectingBank, alice: WalletId
) -> None:
    """IN_DOUBT, nothing credited; then the bank is asked, says that it executed, and the wallet is credited once."""

    stub.order("execute_then_silence", times=1)
    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect(hasty(app))

    assert (scheduled_deposit(app, id_).state, money(app)) == (OrderState.IN_DOUBT, UNTOUCHED)

    for round_ in range(1, 4):
        everything_due(app, round_ * SOON)

    (line,) = stub.ledger()
    found = scheduled_deposit(app, id_)
    assert (found.state, found.bank_reference) == (OrderState.SUCCEEDED, line["reference"])
    assert (money(app), stub.asked(id_)) == (CREDITED, 1)


def test_unclear_answer_is_a_doubt_that_the_bank_then_clears(app: App, stub: CollectingBank) -> None:
    """5xx, garbage, a reset: IN_DOUBT; asked, sent again only where the bank does not know it, credited once."""

    ids = one_for_each(app, stub, UNCLEAR)
    collect(hasty(app))
    assert each(app, ids) == dict.fromkeys(UNCLEAR, (OrderState.IN_DOUBT, 0))
    for round_ in range(1, 4):
        everything_due(app, round_ * PAST_GRACE)

    assert each(app, ids) == dict.fromkeys(UNCLEAR, (OrderState.SUCCEEDED, 300))
    assert {account: stub.collected(id_) for account, id_ in ids.items()} == dict.fromkeys(UNCLEAR, 1)
    assert balance_of(app, EXTERNAL) == -300 * len(UNCLEAR)
    executed_first = {"503-executed", "504-executed", "garbage", "half_body", "trickle", "reset-executed"}
    asked = {account: stub.asked(id_) for account, id_ in ids.items()}
    assert asked == {account: 1 if account in executed_first else 2 for account in UNCLEAR}


def test_unknown_collection_is_sent_again_only_after_the_grace_time(
    app: App, stub: CollectingBank, alice: WalletId
) -> None:
    """The bank does not know it: with the same key, once the first call cannot be on its way any more."""

    stub.order("reset", times=1)
    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect(app)
    for round_ in range(1, 3):
        everything_due(app, round_ * SOON)
    assert (scheduled_deposit(app, id_).state, stub.asked(id_)) == (OrderState.IN_DOUBT, 1)
    reconcile(app, PAST_GRACE)

    assert (scheduled_deposit(app, id_).state, stub.asked(id_), stub.collected(id_)) == (OrderState.SUCCEEDED, 2, 1)
    assert money(app) == CREDITED


def test_a_no_after_an_unknown_is_still_a_doubt(app: App, stub: CollectingBank) -> None:
    """Nobody knows whether the first attempt was executed: neither FAILED nor credited."""

    ids = one_for_each(app, stub, {no: {"fault": "reset"} for no in ("declined_retryable", "declined", "too_many")})
    collect(app)
    for account in ids:
        stub.order(account, times=1, match={"account": account})
    reconcile(app, PAST_GRACE)

    assert each(app, ids) == dict.fromkeys(ids, (OrderState.IN_DOUBT, 0))
    assert [stub.asked(id_) for id_ in ids.values()] == [2, 2, 2]


def test_bank_that_refuses_connections_uses_no_attempt_and_is_asked_when_it_is_back(
    app: App, stub: CollectingBank, alice: WalletId, ghost: str
) -> None:
    """Not sent: nothing failed, nothing posted, no attempt counted, however often."""

    nobody = replace(app, bank=HttpBank(url=ghost, deadline_s=0.5, answer_max_bytes=65536))
    id_ = schedule_deposit(app, alice, 300, collect=True)
    for round_ in range(5):
        collect(nobody, round_ * SOON)
    found = scheduled_deposit(app, id_)
    assert (found.state, found.attempts_counted, money(app)) == (OrderState.PROCESSING, 0, UNTOUCHED)
    assert answers(found) == [AnswerKind.NOT_SENT] * 5

    collect(app, 5 * SOON)
    assert (scheduled_deposit(app, id_).state, stub.asked(id_), money(app)) == (OrderState.SUCCEEDED, 1, CREDITED)


def test_bank_that_does_not_let_us_in_uses_no_attempt(app: App, stub: CollectingBank) -> None:
    """It has not heard of the collection: the fault is ours, and no reason to give up on it."""

    shut: dict[str, dict[str, object]] = {
        str(status): {"fault": "http_error", "status": status, "times": 4} for status in (401, 403)
    }
    ids = one_for_each(app, stub, shut)
    for round_ in range(5):
        collect(app, round_ * SOON)

    assert each(app, ids) == dict.fromkeys(shut, (OrderState.SUCCEEDED, 300))
    assert [scheduled_deposit(app, id_).attempts_counted for id_ in ids.values()] == [1, 1]


def test_collection_of_another_amount_is_a_discrepancy_not_a_success(
    app: App, stub: CollectingBank, alice: WalletId
) -> None:
    """The bank says it executed, but not what was asked: nothing is credited, a person must look."""

    stub.order("reset", execute=True, times=1)
    stub.order("wrong_amount")
    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect(app)
    for round_ in range(1, 4):
        everything_due(app, round_ * PAST_GRACE)

    found = scheduled_deposit(app, id_)
    assert (found.state, found.credit, money(app)) == (OrderState.IN_DOUBT, None, UNTOUCHED)
    assert "another amount" in found.attention
    assert stub.asked(id_) == 1


def test_a_key_that_the_bank_has_used_for_something_else_credits_nothing(
    app: App, stub: CollectingBank, alice: WalletId
) -> None:
    """409 on the first call: in doubt; asked, the bank names another amount: attention, and not credited."""

    id_ = schedule_deposit(app, alice, 300, collect=True)
    stub.take_key(id_, 299)
    for round_ in range(4):
        everything_due(app, round_ * PAST_GRACE)

    found = scheduled_deposit(app, id_)
    assert (found.state, money(app)) == (OrderState.IN_DOUBT, UNTOUCHED)
    assert "another amount" in found.attention


@pytest.mark.parametrize("silence", ["status", "pending"])
def test_a_bank_that_does_not_say_is_neither_a_yes_nor_a_no_and_comes_to_attention_when_old(
    app: App, stub: CollectingBank, alice: WalletId, silence: str
) -> None:
    """The status endpoint off, or "pending" for ever: in doubt for ever, not credited, not sent again."""

    if silence == "status":
        stub.mode(idempotent=True, status=False)
        stub.order("reset", execute=True, times=1)
    else:
        stub.order("pending")
    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect(app)
    for round_ in range(1, 4):
        everything_due(app, round_ * PAST_GRACE)

    young = scheduled_deposit(app, id_)
    assert (young.state, young.attention, money(app)) == (OrderState.IN_DOUBT, "", UNTOUCHED)

    impatient = replace(app.payouts.policy, attention_after=timedelta())
    reconcile(replace(app, payouts=replace(app.payouts, policy=impatient)), 5 * PAST_GRACE)

    old = scheduled_deposit(app, id_)
    assert (old.state, money(app), stub.asked(id_)) == (OrderState.IN_DOUBT, UNTOUCHED, 1)
    assert "in doubt for too long" in old.attention


def test_what_pends_follows_the_banks_own_word(app: App, stub: CollectingBank) -> None:
    """202 and "pending", until a person at the bank decides."""

    ids = one_for_each(app, stub, {outcome: {"fault": "pending", "times": None} for outcome in ("executed", "failed")})
    collect(app)
    reconcile(app)
    assert each(app, ids) == dict.fromkeys(ids, (OrderState.IN_DOUBT, 0))
    for outcome, id_ in ids.items():
        stub.settle(id_, outcome)
    reconcile(app, 2 * SOON)

    assert each(app, ids) == {"executed": (OrderState.SUCCEEDED, 300), "failed": (OrderState.FAILED, 0)}
    ended = [scheduled_deposit(app, id_) for id_ in ids.values()]
    assert [(one.failure_reason, one.attention) for one in ended] == [(None, ""), (FailureReason.BANK_DECLINED, "")]


class BankWithoutReferences(KeepsNoLedger):
    """A bank that says yes and no more."""

    def pay(self, payment: Payment) -> Answer:
        """Say yes."""
        del payment
        return Answer(kind=AnswerKind.ACCEPTED)

    def status(self, payment: Payment) -> Status:
        """Say nothing."""
        del payment
        return Status(kind=StatusKind.SILENT)


def test_collection_without_a_reference_gets_the_key_as_its_reference(app: App, alice: WalletId) -> None:
    """Something to find it by at the bank."""

    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect(replace(app, bank=BankWithoutReferences()))

    found = scheduled_deposit(app, id_)
    assert (found.state, found.bank_reference) == (OrderState.SUCCEEDED, f"sd-{id_}")


def test_a_bank_that_ignores_keys_is_asked_to_collect_once(app: App, stub: CollectingBank, alice: WalletId) -> None:
    """One attempt ever: a no for now is final, and what it does not know is not sent again but shown to a person."""

    once = replace(app.payouts, policy=replace(app.payouts.policy, attempts_max=1), resends=False)
    careful = replace(app, payouts=once)
    stub.mode(idempotent=False)
    stub.order("declined_retryable", times=1, match={"account": "refused"})
    stub.order("reset", times=1, match={"account": "lost"})
    refused = schedule_deposit(app, alice, 300, collect=True, bank_account="refused")
    lost = schedule_deposit(app, alice, 300, collect=True, bank_account="lost")
    for round_ in range(4):
        everything_due(careful, round_ * PAST_GRACE)

    assert scheduled_deposit(app, refused).failure_reason is FailureReason.ATTEMPTS_EXHAUSTED
    found = scheduled_deposit(app, lost)
    assert (found.state, "not sent again" in found.attention) == (OrderState.IN_DOUBT, True)
    assert (stub.asked(refused), stub.asked(lost), money(app)) == (1, 1, UNTOUCHED)


def test_a_frozen_wallet_still_gets_what_the_bank_has_collected(
    app: App, stub: CollectingBank, alice: WalletId, owner: psycopg.Connection
) -> None:
    """Frozen before the time came, and frozen while in doubt: money may come."""

    stub.order("reset", execute=True, times=1, match={"account": "late"})
    early = schedule_deposit(app, alice, 100, collect=True, bank_account="early")
    late = schedule_deposit(app, alice, 200, collect=True, bank_account="late")
    rewrite(owner, "UPDATE wallets SET state = 'FROZEN' WHERE id = 'alice'")
    collect(app)
    reconcile(app)

    assert [scheduled_deposit(app, id_).state for id_ in (early, late)] == [OrderState.SUCCEEDED] * 2
    assert money(app) == CREDITED


@pytest.mark.parametrize("in_doubt", [False, True])
def test_collected_money_that_finds_its_wallet_full_waits_in_transit_for_a_person(
    app: App, stub: CollectingBank, owner: psycopg.Connection, *, in_doubt: bool
) -> None:
    """SUCCEEDED with attention: the bank has the money out of its account, so the books must have it somewhere."""

    alice, debtor = open_wallet(app, "alice"), open_wallet(app, "debtor")
    rewrite(owner, "UPDATE wallets SET overdraft_limit = 1000 WHERE id = 'debtor'")
    transfer(app, debtor, alice, 1000)  # so that the world outside owes less than Alice has
    deposit(app, alice, BIGGEST - 1000 - 299)
    if in_doubt:
        stub.order("reset", execute=True, times=1)
    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect(app)
    if in_doubt:
        reconcile(app)

    found = scheduled_deposit(app, id_)
    assert (found.state, found.bank_reference) == (OrderState.SUCCEEDED, stub.ledger()[0]["reference"])
    assert "too full" in found.attention
    assert (balance_of(app, alice), balance_of(app, IN_TRANSIT)) == (BIGGEST - 299, 300)
    assert found.credit is not None
    moved = app.reads.transaction(found.credit).movement
    assert (moved.type, moved.destination, moved.cause) == (
        TransactionType.COLLECTION,
        IN_TRANSIT,
        id_,
    )

    for offset in (PAST_LEASE, PAST_GRACE):
        everything_due(app, offset)
    assert (found, balance_of(app, IN_TRANSIT), stub.asked(id_)) == (scheduled_deposit(app, id_), 300, 1)


def test_a_collection_that_just_fits_is_credited(app: App, stub: CollectingBank) -> None:
    """Up to the largest balance there is, and the next single unit waits in transit."""

    alice = open_wallet(app, "alice", BIGGEST - 300)
    fits, one_more = (schedule_deposit(app, alice, amount, collect=True) for amount in (300, 1))
    collect_due_deposits.run_once(app, limit=1)
    collect(app)

    assert (scheduled_deposit(app, fits).attention, balance_of(app, alice)) == ("", BIGGEST)
    assert "too full" in scheduled_deposit(app, one_more).attention
    assert (balance_of(app, IN_TRANSIT), len(stub.ledger())) == (1, 2)


def test_a_collection_that_the_books_have_no_room_for_outside_comes_to_a_persons_attention(
    app: App, stub: CollectingBank
) -> None:
    """One wallet holds all that the world outside can owe: somebody is told, and it is credited once there is room."""

    alice = open_wallet(app, "alice", BIGGEST)
    id_ = schedule_deposit(app, alice, 300, collect=True)
    rounds = [collect(app), collect(app, PAST_GRACE), reconcile(app, PAST_GRACE)]

    assert stub.collected(id_) == 1
    assert {word for counts in rounds for word in counts.outcomes} <= set(OrderState)
    assert scheduled_deposit(app, id_).attention
    schedule(app, alice, 1000)
    for round_ in range(2, 4):
        everything_due(app, round_ * PAST_GRACE)
    assert (scheduled_deposit(app, id_).state, balance_of(app, alice)) == (OrderState.SUCCEEDED, BIGGEST - 700)


def test_a_worker_that_dies_between_claim_and_attempt_leaves_it_to_the_next(
    app: App, stub: CollectingBank, alice: WalletId
) -> None:
    """A claim alone changes nothing: claimed again once its lease has run out, asked for once."""

    id_ = schedule_deposit(app, alice, 300, collect=True)
    (stale,) = app.claims.to_collect(limit=10, lease=app.payouts.policy.lease, clock_offset=timedelta())
    collect(app)
    assert (scheduled_deposit(app, id_).state, stub.asked(id_)) == (OrderState.SCHEDULED, 0)
    collect(app, PAST_LEASE)

    assert pay_out(app, stale) is None
    assert (scheduled_deposit(app, id_).state, stub.asked(id_), money(app)) == (OrderState.SUCCEEDED, 1, CREDITED)


def test_a_worker_that_wakes_up_after_the_cancel_asks_nobody(app: App, stub: CollectingBank, alice: WalletId) -> None:
    """S6: claimed, then cancelled, then begun: the bank is not asked."""

    id_ = schedule_deposit(app, alice, 300, collect=True)
    (claim,) = app.claims.to_collect(limit=10, lease=app.payouts.policy.lease, clock_offset=timedelta())
    cancel_deposit(app, id_)

    assert pay_out(app, claim) is None
    everything_due(app, PAST_GRACE)
    assert (scheduled_deposit(app, id_).state, stub.asked(id_), money(app)) == (OrderState.CANCELLED, 0, UNTOUCHED)


def test_a_collection_that_has_begun_cannot_be_cancelled(app: App, stub: CollectingBank) -> None:
    """PROCESSING or IN_DOUBT: the bank has been asked, and may yet say yes."""

    ids = one_for_each(app, stub, {fault: {"fault": fault} for fault in ("declined_retryable", "reset")})
    collect(app)
    begun = each(app, ids)
    assert begun == {"declined_retryable": (OrderState.PROCESSING, 0), "reset": (OrderState.IN_DOUBT, 0)}
    for id_ in ids.values():
        with pytest.raises(StateTransitionForbidden):
            cancel_deposit(app, id_)
    assert begun == each(app, ids)
    everything_due(app, PAST_GRACE)

    assert each(app, ids) == dict.fromkeys(ids, (OrderState.SUCCEEDED, 300))


def test_a_slow_worker_and_the_one_that_takes_over_credit_once(app: App, stub: CollectingBank, alice: WalletId) -> None:
    """The first one's answer is held back beyond its lease; the second asks the bank, hears "executed", and credits."""

    assert isinstance(app.bank, HttpBank)
    patient = replace(app, bank=replace(app.bank, deadline_s=20.0))
    stub.order("hold", times=1)
    id_ = schedule_deposit(app, alice, 300, collect=True)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(collect, patient)
        assert wait_until(lambda: stub.held_back() == 1, timeout_s=30)
        reconcile(app, PAST_LEASE)
        first = scheduled_deposit(app, id_)
        stub.release()
        slow.result()

    found = scheduled_deposit(app, id_)
    assert (first.state, found.state, found.credit) == (OrderState.SUCCEEDED, OrderState.SUCCEEDED, first.credit)
    assert (answers(found), money(app), stub.collected(id_)) == ([AnswerKind.ACCEPTED], CREDITED, 1)


def test_an_answer_that_cannot_be_stored_is_asked_for_again(
    app: App, settings: Settings, stub: CollectingBank, alice: WalletId, owner: psycopg.Connection
) -> None:
    """The wallet is locked by somebody else while the bank says yes: taken over after the lease, credited once."""

    impatient = settings.replaced(lock_timeout_s=0.05, payout_send_window_s=0.2)
    stub.order("hold", times=1)
    id_ = schedule_deposit(app, alice, 300, collect=True)
    with open_app(impatient, name="impatient") as other, ThreadPoolExecutor(1) as pool:
        round_ = pool.submit(collect, other)
        assert wait_until(lambda: stub.held_back() == 1, timeout_s=30)
        with owner.transaction():
            owner.execute("SELECT FROM wallets WHERE id = 'alice' FOR UPDATE")
            stub.release()
            assert round_.result().outcomes == {"AnswerNotStored": 1}
    left = scheduled_deposit(app, id_)
    assert (left.state, answers(left), money(app)) == (OrderState.PROCESSING, [None], UNTOUCHED)
    for offset in (SOON, PAST_LEASE, PAST_GRACE):
        everything_due(app, offset)

    assert (scheduled_deposit(app, id_).state, money(app), stub.asked(id_)) == (OrderState.SUCCEEDED, CREDITED, 1)


def test_each_job_takes_its_own_kind_of_order_only(app: App, stub: CollectingBank, alice: WalletId) -> None:
    """A withdrawal's jobs pass collections over, and the credits' job leaves them to the bank."""

    id_ = schedule_deposit(app, alice, 300, collect=True)
    pay_due_withdrawals.run_once(app, clock_offset=PAST_GRACE)
    credit_due_deposits.run_once(app, clock_offset=PAST_GRACE)

    assert (scheduled_deposit(app, id_).state, stub.asked(id_), money(app)) == (OrderState.SCHEDULED, 0, UNTOUCHED)
