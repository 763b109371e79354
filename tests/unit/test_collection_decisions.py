"""Scheduled deposits decided: what an answer of the bank, a credit and a cancellation do to one."""

from dataclasses import replace

import pytest

from tests.support.collection_pages import (
    ACCEPTED,
    CANCELLED,
    CREDITED,
    DECLINED,
    DECLINED_RETRYABLE,
    DEPOSIT,
    FAILED,
    IN_DOUBT,
    NOT_SENT,
    PROCESSING,
    SCHEDULED,
    STALE,
    SUCCEEDED,
    UNKNOWN,
    UNTOUCHED,
    a_deposit_order,
)
from tests.support.ledger_pages import ALICE, EXTERNAL, IN_TRANSIT, NOW
from tests.support.payout_pages import LEASE_UNTIL, Answered
from tests.support.scheduled import collection_key
from wallet_core.domain.deciding.decision import Done, Refused
from wallet_core.domain.model.bank import Answer, AnswerKind, StatusKind
from wallet_core.domain.model.errors import LedgerBroken, StateTransitionForbidden
from wallet_core.domain.model.money import INT64_MAX
from wallet_core.domain.model.payment_order import (
    COLLECTION_TRANSITIONS,
    CREDIT_TRANSITIONS,
    FINAL_STATES,
    FailureReason,
    OrderState,
)
from wallet_core.domain.model.transaction import TransactionType
from wallet_core.domain.model.wallet import WalletState


def test_starting_a_collection_takes_nothing_and_opens_an_attempt() -> None:
    """Under the order's own key; a frozen wallet does not prevent it."""

    deposit = a_deposit_order(SCHEDULED, ())
    deposit.books.wallets[ALICE].state = WalletState.FROZEN
    deposit.start()
    (attempt,) = deposit.now.attempts

    assert (deposit.now.state, deposit.money, deposit.moved) == (PROCESSING, UNTOUCHED, [])
    assert (attempt.number, attempt.key, attempt.start_time, attempt.answer) == (1, f"sd-{DEPOSIT}", NOW, None)
    assert (deposit.now.lease_until, deposit.now.credit) == (LEASE_UNTIL, None)
    assert deposit.claim().payment.collect


@pytest.mark.parametrize(
    ("before", "answer", "state"),
    [
        # What each answer means to a first attempt.
        ((), ACCEPTED, SUCCEEDED),
        ((), DECLINED_RETRYABLE, PROCESSING),
        ((), DECLINED, FAILED),
        ((), NOT_SENT, PROCESSING),
        ((), UNKNOWN, IN_DOUBT),
        # After a clear no, or after nothing was sent, the same.
        ((DECLINED_RETRYABLE,), ACCEPTED, SUCCEEDED),
        ((DECLINED_RETRYABLE,), DECLINED, FAILED),
        ((DECLINED_RETRYABLE,), UNKNOWN, IN_DOUBT),
        ((NOT_SENT,), DECLINED, FAILED),
        # The third no for now uses the attempts up; an attempt that was not sent is none.
        ((DECLINED_RETRYABLE,), DECLINED_RETRYABLE, PROCESSING),
        ((DECLINED_RETRYABLE, DECLINED_RETRYABLE), DECLINED_RETRYABLE, FAILED),
        ((DECLINED_RETRYABLE, NOT_SENT), DECLINED_RETRYABLE, PROCESSING),
        ((DECLINED_RETRYABLE, DECLINED_RETRYABLE), NOT_SENT, PROCESSING),
        ((NOT_SENT,) * 50, NOT_SENT, PROCESSING),
        # After an unknown one no No counts, nor does one while another is still open.
        ((UNKNOWN,), ACCEPTED, SUCCEEDED),
        ((UNKNOWN,), DECLINED_RETRYABLE, IN_DOUBT),
        ((UNKNOWN,), DECLINED, IN_DOUBT),
        ((UNKNOWN,), NOT_SENT, IN_DOUBT),
        ((None,), ACCEPTED, SUCCEEDED),
        ((None,), DECLINED, IN_DOUBT),
    ],
)
@pytest.mark.parametrize("begun_in", [PROCESSING, IN_DOUBT])
def test_an_answer_means_what_the_attempts_before_it_allow(
    before: tuple[Answered, ...], answer: AnswerKind, state: OrderState, begun_in: OrderState
) -> None:
    """One in doubt stays so on any decline; with any outcome, only an acceptance has moved anything."""

    deposit = a_deposit_order(begun_in, (*before, None))
    deposit.answer(answer)
    expected = IN_DOUBT if begun_in is IN_DOUBT and state is not SUCCEEDED else state

    assert (expected, answer, None) == (deposit.now.state, deposit.now.attempts[-1].answer, deposit.now.lease_until)
    assert deposit.now.final == (deposit.now.next_attempt_time is None)
    assert deposit.money == (CREDITED if expected is SUCCEEDED else UNTOUCHED)
    assert [one.id for one in deposit.moved] == ([deposit.now.credit] if expected is SUCCEEDED else [])
    assert (deposit.now.bank_reference != "") == (expected is SUCCEEDED)
    assert (deposit.now.failure_reason is not None) == (expected is FAILED)


@pytest.mark.parametrize("reference", ["ref", ""])
def test_the_credit_names_its_deposit(reference: str) -> None:
    """External → wallet, COLLECTION, with the words of the order; the bank's reference, or the key."""

    deposit = a_deposit_order()
    deposit.answer(Answer(kind=ACCEPTED, reference=reference))
    (moved,) = deposit.moved

    assert (moved.movement.type, moved.movement.source, moved.movement.destination) == (
        TransactionType.COLLECTION,
        EXTERNAL,
        ALICE,
    )
    assert (moved.movement.cause, moved.movement.details.description, moved.movement.details.external_reference) == (
        DEPOSIT,
        "wages",
        "standing-1",
    )
    assert deposit.now.bank_reference == (reference or collection_key(DEPOSIT))
    assert [(fact.type, fact.subject) for fact in deposit.books.pending.events] == [
        ("transaction.posted", moved.name),
        ("scheduled_deposit.succeeded", deposit.now.name),
    ]


@pytest.mark.parametrize("in_doubt", [False, True])
@pytest.mark.parametrize("room", [0, 9, 10])
def test_collected_money_is_credited_or_listed_for_an_operator(*, in_doubt: bool, room: int) -> None:
    """Never lost, never half: what does not fit as a whole is in transit as a whole, with attention."""

    deposit = a_deposit_order(IN_DOUBT if in_doubt else PROCESSING, (UNKNOWN if in_doubt else None,))
    wallets = deposit.books.wallets
    wallets[ALICE].balance = INT64_MAX - room
    wallets[EXTERNAL].balance = -1000  # others owe the rest
    result = deposit.apply_status(StatusKind.EXECUTED) if in_doubt else deposit.answer(ACCEPTED)
    fits = room >= 10

    assert isinstance(result, Done)
    assert (deposit.now.state, bool(deposit.now.attention)) == (SUCCEEDED, not fits)
    assert deposit.money == (INT64_MAX if fits else INT64_MAX - room, 0 if fits else 10, -1010)
    assert [(one.id, one.movement.destination) for one in deposit.moved] == [
        (deposit.now.credit, ALICE if fits else IN_TRANSIT)
    ]


@pytest.mark.parametrize("in_doubt", [False, True])
def test_money_that_overflows_the_external_wallet_is_listed(*, in_doubt: bool) -> None:
    """Nothing is posted, and it is listed for an operator, in a row that the database accepts.

    Credited once there is room.
    """

    deposit = a_deposit_order(IN_DOUBT if in_doubt else PROCESSING, (UNKNOWN if in_doubt else None,))
    deposit.books.wallets[EXTERNAL].balance = -(2**63) + 9
    result = deposit.apply_status(StatusKind.EXECUTED) if in_doubt else deposit.answer(ACCEPTED)

    assert isinstance(result, Done)
    assert (deposit.now.state, bool(deposit.now.attention), deposit.moved) == (IN_DOUBT, True, [])
    assert (deposit.now.bank_reference, deposit.now.credit) == ("", None)  # what only a success has
    deposit.books.wallets[EXTERNAL].balance += 1
    deposit.apply_status(StatusKind.EXECUTED)
    assert (deposit.now.state, deposit.now.attention, len(deposit.moved)) == (SUCCEEDED, "", 1)


def test_collected_money_for_which_there_is_room_nowhere_is_not_lost_sight_of() -> None:
    """The wallet is full and so is the transit wallet: nothing is posted, and it is listed for an operator."""

    deposit = a_deposit_order()
    wallets = deposit.books.wallets
    wallets[ALICE].balance = wallets[IN_TRANSIT].balance = INT64_MAX - 9
    result = deposit.answer(ACCEPTED)

    assert isinstance(result, Done)
    assert (deposit.now.state, bool(deposit.now.attention), deposit.moved) == (IN_DOUBT, True, [])
    wallets[IN_TRANSIT].balance -= 1
    deposit.apply_status(StatusKind.EXECUTED)
    assert (deposit.now.state, len(deposit.moved)) == (SUCCEEDED, 1)


@pytest.mark.parametrize("room", [9, 10])
def test_a_plain_deposit_that_overflows_the_external_wallet_fails(room: int) -> None:
    """As a Deposit would be refused: LIMIT_EXCEEDED, and over."""

    deposit = a_deposit_order(SCHEDULED, (), collect=False)
    deposit.books.wallets[EXTERNAL].balance = -(2**63) + room
    deposit.credit()

    assert deposit.now.failure_reason is (None if room >= 10 else FailureReason.LIMIT_EXCEEDED)
    assert len(deposit.moved) == int(room >= 10)


@pytest.mark.parametrize("kind", AnswerKind)
def test_a_stale_worker_keeps_its_answer_and_credits_nothing(kind: AnswerKind) -> None:
    """The fence guards the state and the money."""

    deposit = a_deposit_order()
    stale = deposit.claim()
    deposit.claimed_again()
    before = deposit.now
    deposit.answer(kind, claim=stale)

    assert deposit.now.attempts[0].answer is kind
    assert (replace(deposit.now, attempts=before.attempts), deposit.money) == (before, UNTOUCHED)
    assert [deposit.start(stale), deposit.take_over(stale), deposit.apply_status(StatusKind.EXECUTED, stale)] == [
        STALE
    ] * 3


@pytest.mark.parametrize("state", [SUCCEEDED, FAILED, CANCELLED])
@pytest.mark.parametrize("kind", AnswerKind)
def test_a_final_deposit_keeps_a_late_answer_and_is_never_credited(state: OrderState, kind: AnswerKind) -> None:
    """Not even with the right fence, by no command; an acceptance of what had failed is listed for an operator."""

    deposit = a_deposit_order(state, (None,))
    before = deposit.now
    deposit.answer(kind)

    assert deposit.now.attempts[0].answer is kind
    assert (replace(deposit.now, attempts=before.attempts, attention=""), deposit.money) == (before, UNTOUCHED)
    assert (deposit.now.attention != "") == ((state, kind) == (FAILED, ACCEPTED))
    results = [deposit.start(), deposit.take_over(), deposit.apply_status(StatusKind.EXECUTED), deposit.credit()]
    assert results == [STALE] * 4
    assert isinstance(deposit.cancel(), Refused)


def test_a_plain_deposit_is_credited_in_one_step_and_by_its_own_command_only() -> None:
    """No attempt, no reference, DEPOSIT; a stale claim credits nothing, a second time neither."""

    deposit = a_deposit_order(SCHEDULED, (), collect=False)
    stale = deposit.claim()
    deposit.claimed_again()
    assert deposit.credit(stale) == STALE
    deposit.credit()
    (moved,) = deposit.moved

    assert (deposit.now.state, deposit.money, deposit.now.credit) == (SUCCEEDED, CREDITED, moved.id)
    assert (moved.movement.type, moved.movement.cause, deposit.now.bank_reference, deposit.now.attempts) == (
        *(TransactionType.DEPOSIT, DEPOSIT, ""),
        (),
    )
    assert (deposit.now.next_attempt_time, deposit.now.lease_until) == (None, None)
    assert (deposit.credit(), deposit.money) == (STALE, CREDITED)
    collected = a_deposit_order(SCHEDULED, ())
    assert (collected.credit(), collected.money) == (STALE, UNTOUCHED)
    with pytest.raises(LedgerBroken):
        a_deposit_order(SCHEDULED, (), collect=False).start()


@pytest.mark.parametrize("room", [0, 9, 10])
def test_a_plain_deposit_that_does_not_fit_fails(room: int) -> None:
    """LIMIT_EXCEEDED, nothing moved; a later claim finds it over."""

    deposit = a_deposit_order(SCHEDULED, (), collect=False)
    deposit.books.wallets[ALICE].balance = INT64_MAX - room
    deposit.credit()
    fits = room >= 10

    assert deposit.now.state is (SUCCEEDED if fits else FAILED)
    assert deposit.now.failure_reason is (None if fits else FailureReason.LIMIT_EXCEEDED)
    assert deposit.books.wallets[ALICE].balance == (INT64_MAX if fits else INT64_MAX - room)
    assert len(deposit.moved) == int(fits)


@pytest.mark.parametrize("collect", [False, True])
def test_cancelling_ends_what_is_scheduled_and_nothing_else(*, collect: bool) -> None:
    """A claim alone does not prevent it, and its worker finds it ended."""

    deposit = a_deposit_order(SCHEDULED, (), collect=collect)
    assert isinstance(deposit.cancel(), Done)
    assert (deposit.now.state, deposit.now.lease_until, deposit.now.next_attempt_time) == (CANCELLED, None, None)
    assert ([deposit.start(), deposit.credit()], deposit.money) == ([STALE] * 2, UNTOUCHED)
    for state in (PROCESSING, IN_DOUBT, SUCCEEDED, FAILED, CANCELLED):
        refused = a_deposit_order(state, (), collect=collect).cancel()
        assert isinstance(refused, Refused)
        assert isinstance(refused.refusal, StateTransitionForbidden)
        assert refused.refusal.state == state


def test_a_plain_deposits_life_is_a_part_of_a_collected_ones() -> None:
    """But for its one step past the bank; and nothing leads out of an end."""

    assert set(CREDIT_TRANSITIONS) == set(COLLECTION_TRANSITIONS) - {PROCESSING, IN_DOUBT}
    assert CREDIT_TRANSITIONS[SCHEDULED] == (COLLECTION_TRANSITIONS[SCHEDULED] - {PROCESSING, IN_DOUBT}) | {SUCCEEDED}
    for transitions in (CREDIT_TRANSITIONS, COLLECTION_TRANSITIONS):
        assert not any(transitions[state] for state in transitions if state in FINAL_STATES)
