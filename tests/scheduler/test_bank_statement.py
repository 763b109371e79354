"""The bank's own records, followed: what it gives back comes back, and what does not meet our ledger is listed."""

from dataclasses import replace
from uuid import UUID, uuid4

import psycopg
import pytest
from wallet.v1.operations_service_pb2 import AttentionItem

from bank_stub.server import BankServer
from scheduler.jobs import pay_due_withdrawals, reconcile_bank_statement, reconcile_withdrawals
from tests.support.books import balance_of, open_wallet, request, transfer
from tests.support.payouts import Bank, attention, bank_key, schedule, withdrawal
from tests.support.together import together
from wallet_core.domain.commands.wallets.change_wallet import CloseWallet
from wallet_core.domain.model.attention import AttentionKind
from wallet_core.domain.model.bank import LineKind, MatchResult
from wallet_core.domain.model.payment_order import OrderState
from wallet_core.domain.model.transaction import TransactionType
from wallet_core.domain.model.wallet import Role, WalletId, system_wallet
from wallet_core.settings import Settings
from wallet_core.storage.posting.bank_statement import UNMATCHED_LINES
from wallet_core.usecases.app import App
from wallet_core.usecases.change_wallet import change_wallet
from walletctl.local.waiting import wait_until

IN_TRANSIT = system_wallet(Role.IN_TRANSIT, "USD")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings with time for a busy machine: here the bank is to accept."""
    return settings.replaced(bank_call_deadline_s=2.0, payout_lease_s=6.0, payout_grace_s=10.0)


def paid(app: App, wallet: WalletId, amount: int = 300) -> UUID:
    """Pay a withdrawal out and return its id."""
    id_ = schedule(app, wallet, amount)
    pay_due_withdrawals.run_once(app)
    assert withdrawal(app, id_).state is OrderState.SUCCEEDED
    return id_


def follow(app: App) -> dict[str, int]:
    """Follow the bank statement for one round."""
    return dict(reconcile_bank_statement.run_once(app).outcomes)


def discrepancies(app: App) -> list[tuple[str, str, str]]:
    """Return what is listed for a person: kind, key, and why."""
    items = attention(app)
    return [(str(item.kind), item.bank_key, item.explanation.partition(": ")[2] or item.explanation) for item in items]


def test_every_execution_of_the_bank_meets_its_withdrawal(app: App, stub: Bank, alice: WalletId) -> None:
    """Once each, however often the ledger is followed; pages are read to the end."""

    small = replace(app, payouts=replace(app.payouts, bank_statement_page=2))
    for _ in range(5):
        paid(app, alice, 10)

    assert follow(small) == {"ORDER": 5}
    assert follow(small) == {}
    last = app.bank_statement_lines.place().last
    assert last is not None
    assert last.number == len(stub.ledger()) == 5
    assert discrepancies(app) == []


def test_returned_payout_comes_back_as_a_transaction_of_its_own(app: App, stub: Bank, alice: WalletId) -> None:
    """Row 11: RETURNED, linked, nothing edited; the return counts once however often it is looked at."""

    id_ = paid(app, alice)
    follow(app)
    stub.give_back(id_)

    assert follow(app) == {"RETURNED": 1}
    assert follow(app) == {"ORDER": 1}
    found = withdrawal(app, id_)
    assert (found.state, found.attention) == (OrderState.RETURNED, "")
    assert found.bank_reference
    assert (balance_of(app, alice), balance_of(app, IN_TRANSIT)) == (1000, 0)
    moved = [one.movement for one in app.reads.list_transactions(alice, size=10, before=None, conditions=()).items]
    returns = [one for one in moved if one.type is TransactionType.WITHDRAWAL_RETURN]
    assert [(one.cause, one.amount.minor, one.destination) for one in returns] == [(id_, 300, alice)]
    assert discrepancies(app) == []


def test_returned_payout_of_a_closed_wallet_waits_for_an_operator(app: App, stub: Bank, alice: WalletId) -> None:
    """Row 11: external → in transit, and listed."""

    id_ = paid(app, alice, 1000)
    change_wallet(app, CloseWallet(request=request(), wallet=alice, etag=""))
    stub.give_back(id_)
    follow(app)

    found = withdrawal(app, id_)
    assert (found.state, found.unapplied) == (OrderState.RETURNED, True)
    assert (balance_of(app, alice), balance_of(app, IN_TRANSIT)) == (0, 1000)
    assert discrepancies(app) == [
        ("UNAPPLIED_FUNDS", bank_key(id_), "the bank gave it back, and the wallet is closed"),
    ]


def test_many_followers_book_a_return_once(app: App, stub: Bank, alice: WalletId) -> None:
    """With concurrent readers of the statement."""

    ids = [paid(app, alice, 10) for _ in range(5)]
    for id_ in ids:
        stub.give_back(id_)

    together([lambda: follow(app)] * 6)
    follow(app)

    assert {withdrawal(app, id_).state for id_ in ids} == {OrderState.RETURNED}
    assert balance_of(app, alice) == 1000
    assert discrepancies(app) == []


def test_bank_that_pays_what_had_failed_is_a_discrepancy_within_one_round(
    app: App, stub: Bank, alice: WalletId
) -> None:
    """Row 20, R7: late success after the release. It is listed, and moves nothing."""

    stub.order("declined", times=1, reason="closed account")
    id_ = schedule(app, alice, 300)
    pay_due_withdrawals.run_once(app)
    assert withdrawal(app, id_).state is OrderState.FAILED
    stub.execute(key=bank_key(id_), amount=300)

    assert follow(app) == {"NOTHING": 1}
    assert discrepancies(app) == [("DISCREPANCY", bank_key(id_), "here it is FAILED")]
    assert (withdrawal(app, id_).state, balance_of(app, alice)) == (OrderState.FAILED, 1000)
    assert follow(app) == {}


def test_anything_unknown_that_the_bank_did_is_a_discrepancy(app: App, stub: Bank, alice: WalletId) -> None:
    """Unknown keys, no key at all, keys that look like ours, and one of ours that is not the bank's to do yet."""

    later = schedule(app, alice, 300, execute_time=app.reads.wallets([alice])[0].create_time.replace(year=2099))
    stranger = f"wd-{uuid4()}"
    for key in ("somebody", stranger, "wd-", "wd-" + "x" * 36, None):
        stub.execute(key=key, amount=5)
    stub.execute(key=bank_key(later), amount=300)

    assert follow(app) == {"NOTHING": 6}
    found = discrepancies(app)
    unknown = "no withdrawal or scheduled deposit of ours has this key"
    assert ("DISCREPANCY", stranger, unknown) in found
    assert ("DISCREPANCY", bank_key(later), "here it is SCHEDULED") in found
    assert len([why for _, _, why in found if why == unknown]) == 5


def test_another_amount_and_a_second_payment_are_discrepancies(app: App, stub: Bank, alice: WalletId) -> None:
    """Also of a payout that succeeded."""

    twice, more = paid(app, alice, 10), schedule(app, alice, 20)
    stub.execute(key=bank_key(twice), amount=10)
    stub.execute(key=bank_key(more), amount=21)
    follow(app)

    assert sorted(discrepancies(app)) == sorted(
        [
            ("DISCREPANCY", bank_key(twice), "the bank did it 2 times"),
            ("DISCREPANCY", bank_key(more), "the amount here is 20 USD minor units"),
        ]
    )
    pay_due_withdrawals.run_once(app)


def test_what_the_bank_did_for_an_order_in_doubt_is_judged_when_that_has_ended(
    app: App, stub: Bank, alice: WalletId, owner: psycopg.Connection
) -> None:
    """While it is in progress no match is decided; its end is then compared with what the bank did."""

    stub.order("http_error", times=1, status=502, execute=True)
    id_ = schedule(app, alice, 300)
    pay_due_withdrawals.run_once(app)
    assert withdrawal(app, id_).state is OrderState.IN_DOUBT

    assert follow(app) == {}
    assert owner.execute("SELECT match_result FROM bank_statement_lines").fetchall() == [(None,)]
    owner.execute("UPDATE withdrawals SET next_attempt_time = now() - interval '1 s'")
    reconcile_withdrawals.run_once(app)
    assert withdrawal(app, id_).state is OrderState.SUCCEEDED
    assert follow(app) == {"ORDER": 1}


def test_ledger_of_a_bank_without_status_ends_a_doubt(app: App, stub: Bank, alice: WalletId) -> None:
    """Its ledger is its own word too."""

    stub.mode(status=False)
    stub.order("execute_then_silence", times=1)
    id_ = schedule(app, alice, 300)
    pay_due_withdrawals.run_once(app)
    reconcile_withdrawals.run_once(app, clock_offset=app.payouts.policy.backoff_max)
    assert withdrawal(app, id_).state is OrderState.IN_DOUBT

    follow(app)
    reconcile_withdrawals.run_once(app, clock_offset=3 * app.payouts.policy.backoff_max)

    found = withdrawal(app, id_)
    assert (found.state, found.bank_reference) == (OrderState.SUCCEEDED, stub.ledger()[0]["reference"])


def test_bank_that_cannot_be_read_loses_nothing(app: App, stub: Bank, alice: WalletId) -> None:
    """The next round continues from the same line."""

    paid(app, alice)
    stub.refuse(0.2)
    assert follow(app) == {}
    assert app.bank_statement_lines.place().last is None
    assert wait_until(stub.is_listening, timeout_s=30)
    assert follow(app) == {"ORDER": 1}


def test_line_that_was_written_and_not_judged_is_judged_later(
    app: App, stub: Bank, alice: WalletId, owner: psycopg.Connection
) -> None:
    """A follower that died between the two, and one that died between the return and the stored match."""

    id_ = paid(app, alice)
    stub.give_back(id_)
    follow(app)
    owner.execute("UPDATE bank_statement_lines SET match_result = NULL")

    assert follow(app) == {"ORDER": 2}
    assert balance_of(app, alice) == 1000
    kinds = owner.execute("SELECT kind, match_result FROM bank_statement_lines ORDER BY number").fetchall()
    assert kinds == [(LineKind.EXECUTION, MatchResult.ORDER), (LineKind.RETURN, MatchResult.ORDER)]


def test_key_that_the_bank_has_forgotten_but_has_written_down_is_not_sent_again(
    app: App, stub: Bank, alice: WalletId
) -> None:
    """A "not found" is not believed against the bank's own records."""

    stub.order("execute_then_silence", times=1)
    id_ = schedule(app, alice, 300)
    pay_due_withdrawals.run_once(app)
    follow(app)
    stub.forget(id_)
    reconcile_withdrawals.run_once(app, clock_offset=2 * app.payouts.policy.grace)

    assert (withdrawal(app, id_).state, stub.posts(id_), stub.executions(id_)) == (OrderState.SUCCEEDED, 1, 1)


def test_one_payment_too_many_that_comes_back_is_not_the_wallets(app: App, stub: Bank, alice: WalletId) -> None:
    """Of two payments the bank gives one back: what it has paid is what the wallet has given."""

    id_ = paid(app, alice)
    stub.execute(key=bank_key(id_), amount=300)
    stub.give_back(id_)
    follow(app)

    assert (withdrawal(app, id_).state, balance_of(app, alice)) == (OrderState.SUCCEEDED, 700)
    assert sorted(why for _, _, why in discrepancies(app)) == [
        "it is not clear which payment the bank gives back",
        "the bank did it 2 times",
    ]


def test_another_ledger_than_the_one_that_was_read_is_not_followed(
    app: App, stub: Bank, alice: WalletId, owner: psycopg.Connection
) -> None:
    """A statement that is numbered from the start again is listed for an operator, and nothing is read past it."""

    id_ = paid(app, alice)
    follow(app)
    owner.execute("UPDATE bank_statement_lines SET key = 'wd-another'")
    stub.give_back(id_)
    follow(app)

    assert withdrawal(app, id_).state is OrderState.SUCCEEDED
    ((kind, _, why),) = discrepancies(app)
    assert (kind, "has the bank begun another ledger" in why) == ("RECONCILIATION_STALLED", True)

    owner.execute("UPDATE bank_statement_lines SET key = %s", [bank_key(id_)])
    follow(app)
    assert discrepancies(app) == []
    assert withdrawal(app, id_).state is OrderState.RETURNED


def test_a_statement_unreadable_for_long_is_listed_for_an_operator(
    app: App, stub: Bank, bank: BankServer, owner: psycopg.Connection
) -> None:
    """A moment is nothing; once it can be read again it leaves the list."""

    bank.refuse(1.0)
    follow(app)
    assert discrepancies(app) == []
    owner.execute("UPDATE bank_statement_cursor SET error_since = error_since - interval '1 hour'")
    follow(app)
    assert [kind for kind, _, _ in discrepancies(app)] == ["RECONCILIATION_STALLED"]

    assert wait_until(stub.is_listening, timeout_s=30)
    follow(app)
    assert discrepancies(app) == []


def test_keys_that_name_nothing_do_not_slow_the_judging(owner: psycopg.Connection) -> None:
    """However many there are: none is compared with the others."""

    owner.execute(
        "INSERT INTO bank_statement_lines (number, kind, key, amount, currency, reference, time, statement)"
        " SELECT n, 'EXECUTION', '', 1, 'USD', 'r', now(), 1 FROM generate_series(1, 5000) AS n"
    )
    plan = owner.execute("EXPLAIN (ANALYZE) " + UNMATCHED_LINES, [0, 5000]).fetchall()
    assert "(never executed)" in "\n".join(row for (row,) in plan if "by_key" in row or "never" in row)
    owner.execute("DELETE FROM bank_statement_lines")


def test_returned_money_can_be_spent_at_once(app: App, stub: Bank, alice: WalletId) -> None:
    """It is money like any other."""

    id_ = paid(app, alice, 1000)
    stub.give_back(id_)
    follow(app)

    transfer(app, alice, open_wallet(app, "bob"), 1000)
    assert balance_of(app, alice) == 0


def test_attention_kinds_are_those_of_the_protos() -> None:
    """In the same words."""

    shown = {name.removeprefix("KIND_") for name in AttentionItem.Kind.DESCRIPTOR.values_by_name}
    assert shown == {"UNSPECIFIED", *(str(kind) for kind in AttentionKind)}


def test_a_return_that_cannot_be_booked_holds_up_no_other(
    app: App, stub: Bank, alice: WalletId, owner: psycopg.Connection
) -> None:
    """Alice's wallet is locked by another session: Bob's return, and unknown lines, are processed at once."""

    bob = open_wallet(app, "bob", 1000)
    hers, his = paid(app, alice), paid(app, bob)
    stub.give_back(hers)
    stub.give_back(his)
    stub.execute(key="stranger", amount=5)
    with owner.transaction():
        owner.execute("SELECT FROM wallets WHERE id = 'alice' FOR UPDATE")
        follow(app)
        assert [withdrawal(app, id_).state for id_ in (hers, his)] == [OrderState.SUCCEEDED, OrderState.RETURNED]
        assert [key for _, key, _ in discrepancies(app)] == ["stranger"]
    follow(app)
    assert withdrawal(app, hers).state is OrderState.RETURNED
