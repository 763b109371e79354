"""A ledger with a resource for every refusal: set up in a few batches, each resource named by its state."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from scheduler.jobs import (
    collect_due_deposits,
    credit_due_deposits,
    expire_holds,
    pay_due_withdrawals,
    reconcile_bank_statement,
)
from tests.support.books import request
from tests.support.commands import (
    OrderResolution,
    a_cancelled_deposit,
    a_cancelled_withdrawal,
    a_capture,
    a_change,
    a_closed_discrepancy,
    a_deposit,
    a_hold,
    a_new_wallet,
    a_resolution,
    a_reversal,
    a_rule,
    a_scheduled_deposit,
    a_transfer,
    a_void,
    a_webhook,
    a_webhook_deletion,
    a_withdrawal,
    an_accepted_ledger,
    an_end,
    an_update,
)
from tests.support.payouts import show_another_ledger
from tests.support.rows import rewrite
from tests.support.scripted_bank import BankBehaviour, ScriptedBank
from wallet_core.domain.commands.payments.attempt_payment import SettlePayment, StartPayment
from wallet_core.domain.commands.payments.resolve_order import ResolveScheduledDeposit, ResolveWithdrawal
from wallet_core.domain.commands.wallets.change_wallet import CloseWallet, FreezeWallet
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Done, Request
from wallet_core.domain.model.bank import Answer, AnswerKind
from wallet_core.domain.model.commission_rule import Payer
from wallet_core.domain.model.money import INT64_MAX, Money
from wallet_core.domain.model.payment_order import OrderKind, ResolutionKind, bank_key
from wallet_core.domain.model.wallet import WalletId
from wallet_core.usecases.app import App, new_id

LATE, LATER = datetime(2100, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC)
PAST = datetime(2001, 1, 1, tzinfo=UTC)


def usd(units: int) -> Money:
    """Return an amount of dollars."""
    return Money("USD", units)


def yen(units: int) -> Money:
    """Return an amount of yen; a wallet in yen is full but for ten."""
    return Money("JPY", units)


# A unique reference that a payment has.
USED: dict[str, Any] = {"external_reference": "spoken-for", "unique_reference": True}


@dataclass(slots=True)
class RefusalLedger:
    """The ledger. ``ids`` has the ids of everything but wallets, by name."""

    app: App
    owner: psycopg.Connection
    ids: dict[str, UUID] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    """Line numbers of the bank statement, by name."""
    used: Request = field(default_factory=request)
    """A request that was done."""
    refused: Request = field(default_factory=request)
    """A request that was refused finally."""

    def __getitem__(self, name: str) -> UUID:
        return self.ids[name]

    @classmethod
    def set_up(cls, app: App, owner: psycopg.Connection) -> "RefusalLedger":
        """Set everything up."""
        bank = ScriptedBank()
        ledger = cls(replace(app, bank=bank), owner)
        ledger._open_wallets()
        ledger._move_money()
        ledger._make_rules()
        ledger._place_holds()
        ledger._place_orders(bank)
        ledger._close_wallets()
        ledger._reconcile(bank)
        return ledger

    def _open_wallets(self) -> None:
        in_dollars = [
            "alice",
            "bob",
            "poor",
            "cold",
            "gone",
            "spent",
            "payer",
            "shop",
            "busy",
            "keen",
            "idle",
            "icy",
            "late",
        ]
        self._do(*[a_new_wallet(name) for name in in_dollars], a_new_wallet("euro", "EUR"))
        self._do(
            a_new_wallet("over", overdraft_limit=50),
            a_new_wallet("limit", "JPY"),
            a_new_wallet("yen", "JPY"),
            a_new_wallet("full", "JPY"),
            a_new_wallet("shut", "JPY"),
            a_deposit("full", yen(100)),
            a_deposit("late", usd(20)),
            *[a_deposit(name, usd(1000)) for name in ("alice", "bob", "cold")],
            a_deposit("payer", usd(12), **USED),
            a_deposit("limit", yen(100)),
            replace(a_deposit("poor", usd(5)), request=self.used),
        )

    def _move_money(self) -> None:
        self._make(
            deposited=a_deposit("alice", usd(60)),
            moved=a_transfer("alice", "bob", usd(40)),
            part_back=a_transfer("alice", "bob", usd(40)),
            all_back=a_transfer("alice", "bob", usd(40)),
            to_cold=a_transfer("alice", "cold", usd(40)),
            to_gone=a_deposit("gone", usd(40)),
            from_gone=a_transfer("gone", "bob", usd(40)),
            lost=a_deposit("spent", usd(40)),
            overdrawn=a_transfer("over", "bob", usd(30)),
            from_limit=a_transfer("limit", "yen", yen(50)),
        )
        self._do(
            a_reversal(self["part_back"], usd(15)),
            a_reversal(self["all_back"]),
            a_transfer("spent", "bob", usd(40)),
            an_update("limit", overdraft_limit=yen(INT64_MAX - 60)),
            a_withdrawal("busy", usd(1), LATE),
            a_scheduled_deposit("keen", usd(1), LATE),
        )
        (outcomes,) = self.app.ledger.post_all([replace(a_transfer("poor", "bob", usd(6)), request=self.refused)])
        assert not isinstance(outcomes, Done)

    def _make_rules(self) -> None:
        self._make(
            on_payer=a_rule(wallet=WalletId("payer"), fixed=5),
            on_shop=a_rule(wallet=WalletId("shop"), fixed=100, payer=Payer.DESTINATION),
            ending=a_rule("EUR", fixed=1, end_time=LATE),
            coming=a_rule("EUR", fixed=1, start_time=LATE),
            over=a_rule("EUR", fixed=1),
            on_icy=a_rule(wallet=WalletId("icy"), rate_millionths=333_333),
        )
        self._do(an_end(self["over"]), a_deposit("icy", usd(100)))
        self._make(webhook=a_webhook(), no_webhook=a_webhook())
        self._do(a_webhook_deletion(self["no_webhook"]))
        self._make(charged=a_transfer("icy", "bob", usd(20)))

    def _place_holds(self) -> None:
        self._make(
            hold=a_hold("alice", usd(30), LATE),
            other_hold=a_hold("alice", usd(30), LATE),
            part_hold=a_hold("alice", usd(30), LATE),
            captured=a_hold("alice", usd(3), LATE),
            voided=a_hold("alice", usd(3), LATE),
            expired=a_hold("alice", usd(3), LATE),
            overdue=a_hold("alice", usd(3), LATE),
            cold_hold=a_hold("cold", usd(30), LATE),
            yen_hold=a_hold("yen", yen(20), LATE),
        )
        self._make(capture=a_capture(self["captured"], "bob"))
        self._do(a_void(self["voided"]), a_capture(self["part_hold"], "bob", usd(10)))
        self._over("expired")
        expire_holds.run_once(self.app)
        self._over("overdue")

    def _over(self, hold: str) -> None:
        rewrite(self.owner, "UPDATE holds SET expire_time = create_time + '1 us' WHERE id = %s", [self[hold]])

    def _place_orders(self, bank: ScriptedBank) -> None:
        self._make(
            scheduled=a_withdrawal("alice", usd(20), LATE),
            reserved=a_withdrawal("alice", usd(20), LATE, reserve=True),
            called_off=a_withdrawal("alice", usd(20), LATE),
            cold_order=a_withdrawal("cold", usd(20), LATE, reserve=True),
            earned=a_withdrawal("system:commission:USD", usd(1), LATE, reserve=True),
            expected=a_scheduled_deposit("alice", usd(20), LATE),
            expected_of_bank=a_scheduled_deposit("alice", usd(20), LATE, collect=True),
            not_expected=a_scheduled_deposit("alice", usd(20), LATE),
            credited=a_scheduled_deposit("alice", usd(20)),
        )
        self._do(a_cancelled_withdrawal(self["called_off"]), a_cancelled_deposit(self["not_expected"]))
        credit_due_deposits.run_once(self.app)
        lost = BankBehaviour(answer=AnswerKind.UNKNOWN, arrives=False)
        ends = {
            "paid": (BankBehaviour(), a_withdrawal("alice", usd(20))),
            "unpaid": (BankBehaviour(answer=AnswerKind.DECLINED), a_withdrawal("alice", usd(20))),
            "doubtful": (BankBehaviour(answer=AnswerKind.UNKNOWN), a_withdrawal("alice", usd(20))),
            "unclear_payout": (lost, a_withdrawal("alice", usd(20))),
            "unclear_payout_too": (lost, a_withdrawal("alice", usd(20))),
            "payout_in_flight": (lost, a_withdrawal("alice", usd(20))),
            "payout_of_the_full": (lost, a_withdrawal("full", yen(20))),
            "returned": (BankBehaviour(), a_withdrawal("late", usd(20))),
            "doubtful_debit": (
                BankBehaviour(answer=AnswerKind.UNKNOWN),
                a_scheduled_deposit("alice", usd(20), collect=True),
            ),
            "unclear_debit": (lost, a_scheduled_deposit("alice", usd(20), collect=True)),
            "debit_in_flight": (lost, a_scheduled_deposit("alice", usd(20), collect=True)),
            "unclear_debit_too": (lost, a_scheduled_deposit("alice", usd(20), collect=True)),
        }
        for name, (behaviour, order) in ends.items():
            self._make(**{name: order})
            bank.behaviour = behaviour
            pay_due_withdrawals.run_once(self.app)
            collect_due_deposits.run_once(self.app)
        self._do(an_update("full", overdraft_limit=yen(INT64_MAX - 90)))
        bank.behaviour = BankBehaviour()
        self._make(collected=a_scheduled_deposit("full", yen(20), collect=True))
        collect_due_deposits.run_once(self.app)
        self.owner.execute("UPDATE bank_attempts SET in_flight_until = start_time")
        flying = [str(self[name]) for name in ("payout_in_flight", "debit_in_flight")]
        long = "UPDATE bank_attempts SET in_flight_until = start_time + '1 day' WHERE right(key, 36) = ANY(%s)"
        self.owner.execute(long, [flying])
        self._accept_late("payout_accepted_late", a_withdrawal("alice", usd(20)), ResolveWithdrawal)
        collection = a_scheduled_deposit("alice", usd(20), collect=True)
        self._accept_late("debit_accepted_late", collection, ResolveScheduledDeposit)
        query = "SELECT id FROM transactions WHERE cause = %s AND type = 'WITHDRAWAL'"
        ((self.ids["payout"],),) = self.owner.execute(query, [self["paid"]]).fetchall()

    def _accept_late(self, name: str, order: Command, verb: type[OrderResolution]) -> None:
        """Let the bank accept a payment after an operator has resolved it as not executed."""
        self._make(**{name: order})
        claims, policy = self.app.claims, replace(self.app.payouts.policy, grace=timedelta())
        claim_due = claims.to_pay if verb is ResolveWithdrawal else claims.to_collect
        (claim,) = claim_due(limit=1, lease=policy.lease, clock_offset=timedelta())
        step: dict[str, Any] = {"claim": claim, "policy": policy, "jitter": 0.0}
        self._do(
            StartPayment(id=new_id(), **step),
            a_resolution(verb, self[name], ResolutionKind.NOT_EXECUTED),
            SettlePayment(id=new_id(), **step, attempt=1, answer=Answer(kind=AnswerKind.ACCEPTED)),
        )

    def _close_wallets(self) -> None:
        self._do(a_change(FreezeWallet, "cold"), *[a_change(CloseWallet, name) for name in ("gone", "late", "shut")])

    def _reconcile(self, bank: ScriptedBank) -> None:
        """Read a bank statement with lines that match and lines that do not, and resolve one of these."""
        bank.give_back(bank_key(OrderKind.WITHDRAWAL, self["returned"]), usd(20))
        for name in ("odd", "odd_too", "closed"):
            bank.give_back(name, usd(1))
            self.lines[name] = len(bank.lines)
        self.lines |= {"met": 1, "waiting": 2}
        for _ in range(2):
            reconcile_bank_statement.run_once(self.app)
        self._do(a_closed_discrepancy(self.lines["closed"]))
        show_another_ledger(self.app)
        self._do(an_accepted_ledger(1))
        show_another_ledger(self.app)

    def _make(self, **commands: Command) -> None:
        """Post commands that create something; keep each id by its name."""
        for name, subject in zip(commands, self._do(*commands.values()), strict=True):
            self.ids[name] = UUID(subject.partition("/")[2])

    def _do(self, *commands: Command) -> Sequence[str]:
        """Post commands that must be done, in one batch; return their subjects."""
        outcomes = self.app.ledger.post_all(commands)
        refused = [one for one in outcomes if not isinstance(one, Done)]
        assert refused == []
        return [one.subject for one in outcomes if isinstance(one, Done)]
