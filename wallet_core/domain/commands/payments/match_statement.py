"""Follow the bank's own ledger: each of its lines must meet an order, and what the bank gives back goes back.

What does not meet is a discrepancy: kept and listed until a person has looked into it, never dropped, and no money
moves for it.
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
    """The order that a line names by its key, as far as the line says anything about it."""

    kind: OrderKind
    id: UUID
    state: OrderState
    amount: Money
    is_due: bool
    """Whether it is about to begin: after a restore it may have been executed before."""
    earlier: int
    """Lines of the same kind that named it before."""
    paid_by: tuple[str, ...]
    """The references of all that the bank says it paid for it."""


@dataclass(frozen=True, slots=True)
class LineMatch:
    """What a line is found to be. *gives_back*: the withdrawal that it returns, which has yet to be booked."""

    match_result: MatchResult | None
    explanation: str = ""
    gives_back: UUID | None = None


def match_line(line: BankStatementLine, met: MatchedOrder | None) -> LineMatch:
    """Hold a line to the order that it names, if it names one.

    While the order is under way nothing can be said: what the bank did is what its end will be held to.
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
    """Return what is wrong with a line whatever becomes of its order; empty where nothing is."""
    expected = {_LINE_OF[met.kind]} | ({LineKind.RETURN} if met.kind is OrderKind.WITHDRAWAL else set())
    if line.kind not in expected:
        return f"the bank says {line.kind} of one of our {met.kind}"
    if line.amount != met.amount:
        return f"the amount here is {met.amount.minor} {met.amount.currency} minor units"
    if met.earlier:
        return f"the bank did it {met.earlier + 1} times"
    if line.kind is LineKind.RETURN and met.paid_by != (line.reference,):
        # It may give back what was one payment too many: that is not the wallet's.
        return "it is not clear which payment the bank gives back"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnWithdrawal(Command):
    """Book what the bank gave back: external → wallet, as a transaction of its own. Nothing is edited."""

    method: ClassVar[str] = "ReturnWithdrawal"

    id: UUID
    """Of the transaction."""
    order: UUID

    def lock_set(self) -> LockSet:
        """Lock the wallet, the way to the bank and the world outside."""
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
    """Close a discrepancy that a person has looked into. Moves nothing."""

    method: ClassVar[str] = "ResolveDiscrepancy"
    form: ClassVar[Form] = always("line", "reason")

    line: int
    reason: str

    def lock_set(self) -> LockSet:
        """Read the line."""
        return LockSet(lines=frozenset({self.line}))

    def decide(self, ledger: LedgerState) -> Decision:
        """Refuse what is none, or was looked into before."""
        found = ledger.line(self.line)
        if found.state is not LineState.DISCREPANCY:
            raise StateTransitionForbidden(found.name, found.state, Because.NO_DISCREPANCY)
        operator = self.request.caller if self.request is not None else ""
        resolved = replace(found, resolution=self.reason, resolved_by=operator, person=self.person)
        return Decision(subject=found.name, line=resolved, event=EventType.DISCREPANCY_RESOLVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptBankStatement(Command):
    """Follow the ledger that the bank shows in place of the one that was followed, from its beginning."""

    method: ClassVar[str] = "AcceptBankStatement"
    form: ClassVar[Form] = always("statement", "reason")

    statement: int
    """The number of the one that was followed."""
    reason: str

    def lock_set(self) -> LockSet:
        """Keep everybody from reading on."""
        return LockSet(bank_statement=True)

    def decide(self, ledger: LedgerState) -> Decision:
        """Refuse where the bank shows no other one: of two operators the second finds it accepted."""
        found = ledger.followed_statement(self.statement)
        if not found.is_replaced:
            raise StateTransitionForbidden(found.name, "FOLLOWED", Because.LEDGER_NOT_REPLACED)
        operator = self.request.caller if self.request is not None else ""
        accepted = BankStatement(
            number=found.number + 1, reason=self.reason, accepted_by=operator, person=self.person, time=ledger.now
        )
        return Decision(subject=accepted.name, bank_statement=accepted, event=EventType.BANK_STATEMENT_ACCEPTED)
