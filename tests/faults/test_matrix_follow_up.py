"""Fault matrix: what the bank does long after the last word: it gives money back, or pays what it had refused."""

from dataclasses import dataclass
from uuid import UUID

import pytest

from scheduler.jobs import pay_due_withdrawals
from tests.support.books import open_wallet, request
from tests.support.payout_service import PayoutService
from tests.support.payouts import attention, bank_key, schedule
from wallet_core.domain.commands.wallets.change_wallet import CloseWallet
from wallet_core.domain.model.payment_order import OrderState
from wallet_core.domain.model.transaction import TransactionType
from wallet_core.domain.model.wallet import WalletId
from wallet_core.usecases.change_wallet import change_wallet

# No worker is to time out here.
SETTINGS = {"bank_call_deadline_s": 10.0, "payout_lease_s": 30.0, "payout_grace_s": 60.0}

ALICE, BOB = WalletId("alice"), WalletId("bob")


@dataclass(frozen=True)
class Scene:
    """The payouts."""

    given_back: UUID
    given_back_to_a_closed_wallet: UUID
    refused_and_paid: UUID
    paid_and_denied: UUID


@pytest.fixture(scope="module")
def scene(service: PayoutService) -> Scene:
    """Pay; let the bank change its mind; follow it by one round of a scheduler."""
    bank, app = service.bank, service.app
    open_wallet(app, ALICE, 1000)
    open_wallet(app, BOB, 100)
    scene = Scene(
        schedule(app, ALICE, 100),
        schedule(app, BOB, 100),
        schedule(app, ALICE, 200, bank_account="closed for now"),
        schedule(app, ALICE, 300, bank_account="forgotten"),
    )
    bank.order("http_error", times=1, status=504, execute=True, match={"account": "forgotten"})
    bank.order("declined", times=1, match={"account": "closed for now"})
    pay_due_withdrawals.run_once(app)
    change_wallet(app, CloseWallet(request=request(), wallet=BOB, etag=""))
    bank.forget(scene.paid_and_denied)
    bank.order("declined", match={"account": "forgotten"})
    bank.give_back(scene.given_back)
    bank.give_back(scene.given_back_to_a_closed_wallet)
    bank.execute(key=bank_key(scene.refused_and_paid), amount=200)
    round_ = service.start("scheduler", "--once")
    assert round_.process.wait(30) == 0, round_.log.read_text()
    return scene


def listed(service: PayoutService) -> dict[str, tuple[str, str]]:
    """Return what is listed for a person, by the bank's key: kind and reason."""
    items = attention(service.app)
    return {item.bank_key: (item.kind, item.explanation) for item in items}


def test_payout_that_is_returned_comes_back_as_a_transaction_of_its_own(service: PayoutService, scene: Scene) -> None:
    """Row 11: RETURNED, external → wallet, linked to the withdrawal."""

    moved = [
        one.movement for one in service.app.reads.list_transactions(ALICE, size=10, before=None, conditions=()).items
    ]
    returns = [(one.cause, one.amount.minor) for one in moved if one.type is TransactionType.WITHDRAWAL_RETURN]

    assert service.now(scene.given_back).state is OrderState.RETURNED
    assert returns == [(scene.given_back, 100)]
    service.assert_books_agree(but_for=[bank_key(scene.refused_and_paid)])


def test_payout_that_is_returned_to_a_closed_wallet_waits_for_an_operator(service: PayoutService, scene: Scene) -> None:
    """Row 11: RETURNED, external → in transit, and listed."""

    found = service.now(scene.given_back_to_a_closed_wallet)

    assert (found.state, found.unapplied) == (OrderState.RETURNED, True)
    assert listed(service)[found.key] == ("UNAPPLIED_FUNDS", "the bank gave it back, and the wallet is closed")
    service.assert_books_agree(but_for=[bank_key(scene.refused_and_paid)])


def test_payout_that_is_paid_after_it_had_failed_is_a_discrepancy(service: PayoutService, scene: Scene) -> None:
    """Row 20 / R7: listed within one round; it moves nothing."""

    found = service.now(scene.refused_and_paid)

    assert found.state is OrderState.FAILED
    kind, why = listed(service)[found.key]
    assert (kind, why.endswith("here it is FAILED")) == ("DISCREPANCY", True)
    service.assert_books_agree(but_for=[found.key])


def test_payout_that_the_bank_denies_and_its_ledger_shows_is_never_released(
    service: PayoutService, scene: Scene
) -> None:
    """Row 21: it has forgotten the key and declines it now; its statement shows the payment, and nothing is sent."""
    found = service.app.reads.withdrawal(scene.paid_and_denied)

    assert found.state is OrderState.SUCCEEDED
    assert (len(found.attempts), service.bank.posts(found.id), service.bank.executions(found.id)) == (1, 1, 1)
