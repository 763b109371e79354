"""A payout to a bank that has changed its token: it waits, and is paid once the file has the new one."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from bank_stub.security import Security
from bank_stub.server import running_bank
from scheduler.jobs import pay_due_withdrawals
from tests.support.books import balance_of, open_wallet
from tests.support.payouts import schedule, withdrawal
from wallet_core.domain.model.bank import AnswerKind
from wallet_core.domain.model.payment_order import OrderState
from wallet_core.gateways.bank import HttpBank
from wallet_core.gateways.bank_access import BankCredentials
from wallet_core.usecases.app import App


def test_a_payout_waits_for_the_token_of_tomorrow_and_is_then_paid_once(app: App, tmp_path: Path) -> None:
    """A 401 is a call that the bank did not take: no attempt is used up, and nothing is in doubt."""

    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.write_text("tomorrow")
    ours.write_text("today")
    with running_bank(fail_rate=0.0, security=Security(token_file=theirs)) as bank:
        gateway = HttpBank(
            url=bank.url, deadline_s=10.0, answer_max_bytes=65536, credentials=BankCredentials(token_file=ours)
        )
        known = replace(app, bank=gateway)
        alice = open_wallet(app, "alice", 1000)
        id_ = schedule(app, alice, 300)
        for seconds in range(5):
            pay_due_withdrawals.run_once(known, clock_offset=timedelta(seconds=seconds))
        waiting = withdrawal(app, id_)
        assert (waiting.state, waiting.attempts_counted) == (OrderState.PROCESSING, 0)
        assert {attempt.answer for attempt in waiting.attempts} == {AnswerKind.NOT_SENT}

        ours.write_text("tomorrow")
        pay_due_withdrawals.run_once(known, clock_offset=timedelta(seconds=6))
        ledger = gateway.ledger(after=0, limit=10)

    assert (withdrawal(app, id_).state, balance_of(app, alice)) == (OrderState.SUCCEEDED, 700)
    assert ledger is not None
    assert [line.amount.minor for line in ledger.lines] == [300]
