"""Match the lines of the bank statement with orders, and post what the bank has returned.

A line that matches no order is a discrepancy: it is stored and listed until an operator has resolved it, and moves no
money.
"""

from dataclasses import dataclass, replace
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.commands.payments.settlement import CreditRefused, returned
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Decision, LockSet
from wallet_core.domain.deciding.fingerprint import Form, always
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.bank import BankStatement, BankStatementLine, LineKind, LineState, MatchResult
from wallet_core.domain.model.errors import Because, LimitExceeded, StaleClaim, StateTransitionForbidden
from wallet_core.domain.model.event import EventType
from wallet_core.domain.model.money import INT64_MAX, Money
from wallet_core.domain.model.payment_order import DONE_STATES, OrderKind, OrderState, Withdrawal
from wallet_core.domain.model.wallet import wallet_name

_UNDER_WAY = frozenset({OrderState.PROCESSING, OrderState.IN_DOUBT})

_LINE_OF = {OrderKind.WITHDRAWAL: LineKind.EXECUTION, OrderKind.SCHEDULED_DEPOSIT: LineKind.COLLECTION}


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedOrder:
    """The order that a line names by its key, as far as matching needs it."""

    kind: OrderKind
    id: UUID
    state: OrderState
    amount: Money
    is_due: bool
    """Whether it is due and not started: after a restore, the bank may have executed it already."""
    earlier: int
    """How many earlier lines of the same kind name it."""
    paid_by: tuple[str, ...]
    """The references of all payments that the statement has for it."""


@dataclass(frozen=True, slots=True)
class LineMatch:
    """The result of matching a line. *gives_back*: the withdrawal that it returns, where that is not posted yet."""

    match_result: MatchResult | None
    explanation: str = ""
    gives_back: UUID | None = None


def match_line(line: BankStatementLine, met: MatchedOrder | None) -> LineMatch:
    """Match a line with the order that it names, if it names one.

    There is no result while the order is in progress: it will end as the bank statement states.
    """
    if met is None:
        return LineMatch(MatchResult.NOTHING, "no withdrawal or scheduled deposit of ours has this key")
    if explanation := _contradiction(line, met):
        return LineMatch(MatchResult.NOTHING, explanation)
    if met.state in _UNDER_WAY or met.is_due:
        return LineMatch(None)
    if line.kind is LineKind.RETURN and met.state is OrderState.SUCCEEDED:
        return LineMatch(None, gives_back=met.id)
    return (
        LineMatch(MatchResult.ORDER)
        if met.state in DONE_STATES
        else LineMatch(MatchResult.NOTHING, f"here it is {met.state}")
    )


def _contradiction(line: BankStatementLine, met: MatchedOrder) -> str:
    """Return how a line contradicts its order in any state; empty where it does not."""
    expected = {_LINE_OF[met.kind]} | ({LineKind.RETURN} if met.kind is OrderKind.WITHDRAWAL else set())
    if line.kind not in expected:
        return f"the bank reports {line.kind} of one of our {met.kind}"
    if line.amount != met.amount:
        return f"the amount here is {met.amount.minor} {met.amount.currency} minor units"
    if met.earlier:
        return f"the bank did it {met.earlier + 1} times"
    if line.kind is LineKind.RETURN and met.paid_by != (line.reference,):
        # It may return a payment that was one too many: that money is not the wallet's.
        return "it is not clear which payment the bank gives back"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnWithdrawal(Command):
    """Post what the bank has returned: external → wallet, as a transaction of its own."""

    method: ClassVar[str] = "ReturnWithdrawal"

    id: UUID
    """Of the transaction."""
    order: UUID

    def lock_set(self) -> LockSet:
        """Lock the wallet, the in-transit wallet and the external one."""
        return LockSet(orders=frozenset({self.order}), settlement_wallets_of=frozenset({self.order}))

    def decide(self, ledger: LedgerState) -> Decision:
        """Return it once: of two followers the second finds it returned."""
        found = ledger.order(OrderKind.WITHDRAWAL, self.order)
        if found.state is not OrderState.SUCCEEDED or not isinstance(found, Withdrawal):
            raise StaleClaim(found.name)
        ending = returned(ledger, self.id, found)
        if isinstance(ending, CreditRefused):
            raise LimitExceeded(wallet_name(ending.wallet), INT64_MAX)
        return ending.decision()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveDiscrepancy(Command):
    """Resolve a discrepancy that an operator has looked into; nothing moves."""

    method: ClassVar[str] = "ResolveDiscrepancy"
    form: ClassVar[Form] = always("line", "reason")

    line: int
    reason: str

    def lock_set(self) -> LockSet:
        """Read the bank statement line."""
        return LockSet(lines=frozenset({self.line}))

    def decide(self, ledger: LedgerState) -> Decision:
        """Refuse a line that is no open discrepancy."""
        found = ledger.line(self.line)
        if found.state is not LineState.DISCREPANCY:
            raise StateTransitionForbidden(found.name, found.state, Because.NO_DISCREPANCY)
        operator = self.request.caller if self.request is not None else ""
        resolved = replace(found, resolution=self.reason, resolved_by=operator, person=self.person)
        return Decision(subject=found.name, line=resolved, event=EventType.DISCREPANCY_RESOLVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptBankStatement(Command):
    """Read the statement that the bank shows in place of the one that was read, from its beginning."""

    method: ClassVar[str] = "AcceptBankStatement"
    form: ClassVar[Form] = always("statement", "reason")

    statement: int
    """The number of the statement that is replaced."""
    reason: str

    def lock_set(self) -> LockSet:
        """Lock the cursor, so that no scheduler stores lines meanwhile."""
        return LockSet(bank_statement=True)

    def decide(self, ledger: LedgerState) -> Decision:
        """Refuse where the bank shows no other statement; the second of two operators finds it accepted."""
        found = ledger.followed_statement(self.statement)
        if not found.is_replaced:
            raise StateTransitionForbidden(found.name, "FOLLOWED", Because.STATEMENT_NOT_REPLACED)
        operator = self.request.caller if self.request is not None else ""
        accepted = BankStatement(
            number=found.number + 1, reason=self.reason, accepted_by=operator, person=self.person, time=ledger.now
        )
        return Decision(subject=accepted.name, bank_statement=accepted, event=EventType.BANK_STATEMENT_ACCEPTED)
