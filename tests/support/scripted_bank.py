"""A bank with a set behaviour and true status, which records its statement; and workers that pause."""

from dataclasses import dataclass, field
from enum import StrEnum

from tests.support.consistent_bank import ConsistentBank
from wallet_core.domain.model.bank import (
    Answer,
    AnswerKind,
    BankStatementLine,
    BankStatementPage,
    LineKind,
    Payment,
    Status,
    StatusKind,
)
from wallet_core.domain.model.money import Money


class Pause(StrEnum):
    """When the worker that calls falls asleep."""

    NEVER = "never"
    BEFORE = "before the call"
    AFTER = "after the call"


class WorkerPaused(Exception):
    """The worker has paused, or died; what it would have recorded when it resumes."""

    def __init__(self, answer: AnswerKind) -> None:
        super().__init__(answer)
        self.answer = answer


@dataclass(frozen=True, slots=True, kw_only=True)
class BankBehaviour:
    """What the bank is like for a while."""

    answer: AnswerKind = AnswerKind.ACCEPTED
    arrives: bool = True
    """Whether a call whose answer is lost has arrived."""
    pends: bool = False
    """Whether it takes its time with what is new to it."""
    unreachable: bool = False
    """Whether its status cannot be queried."""
    wrong_amount: bool = False
    """Whether its status has another amount."""
    pause: Pause = Pause.NEVER


@dataclass(slots=True)
class ScriptedBank:
    """Pays and collects."""

    behaviour: BankBehaviour = field(default_factory=BankBehaviour)
    accounts: dict[str, ConsistentBank] = field(default_factory=dict)
    """What it did, by key."""
    asked: dict[str, Payment] = field(default_factory=dict)
    """The payments that it received, by key."""
    lines: list[BankStatementLine] = field(default_factory=list)
    """Its ledger."""
    answers: list[AnswerKind] = field(default_factory=list)
    """Its answers to calls to pay."""

    def pay(self, payment: Payment) -> Answer:
        """Pay or not, and answer or not."""
        if self.behaviour.pause is Pause.BEFORE:
            raise WorkerPaused(AnswerKind.NOT_SENT)  # woken up, it finds that the window has passed
        self.asked[payment.key] = payment
        account = self.accounts.setdefault(payment.key, ConsistentBank())
        if self.behaviour.pends:
            answer = account.leave_pending()
        else:
            answer = account.pay(self.behaviour.answer, arrives=self.behaviour.arrives)
        self._write_down()
        if self.behaviour.pause is Pause.AFTER:
            raise WorkerPaused(answer)
        self.answers.append(answer)
        return Answer(kind=answer, reference="r", retry_after_s=0.0)

    def status(self, payment: Payment) -> Status:
        """Return the true status, but for the amount."""
        if self.behaviour.unreachable:
            return Status(kind=StatusKind.SILENT)
        message = self.accounts.get(payment.key, ConsistentBank()).status()
        more = Money(payment.amount.currency, payment.amount.minor + 1)
        return Status(kind=message, amount=more if self.behaviour.wrong_amount else payment.amount)

    def decide(self, *, execute: bool) -> None:
        """Make up its mind on all that it has been thinking about."""
        for account in self.accounts.values():
            account.decide_pending(execute=execute)
        self._write_down()

    def ledger(self, *, after: int, limit: int) -> BankStatementPage | None:
        """Return its statement, unless it is unreachable."""
        return (
            None
            if self.behaviour.unreachable
            else BankStatementPage(tuple(self.lines[after : after + limit]), len(self.lines))
        )

    def give_back(self, key: str, amount: Money) -> None:
        """Write that it has given something back."""
        self._line(LineKind.RETURN, key, amount)

    def _write_down(self) -> None:
        """Write what it has done since."""
        written = {line.key for line in self.lines if line.kind is not LineKind.RETURN}
        for key, payment in self.asked.items():
            if self.executed(key) and key not in written:
                self._line(LineKind.COLLECTION if payment.collect else LineKind.EXECUTION, key, payment.amount)

    def _line(self, kind: LineKind, key: str, amount: Money) -> None:
        self.lines.append(
            BankStatementLine(number=len(self.lines) + 1, kind=kind, key=key, amount=amount, reference="r")
        )

    def executed(self, key: str) -> int:
        """Return the number of executions of a key."""
        return self.accounts.get(key, ConsistentBank()).executions

    def may_execute(self, key: str) -> bool:
        """Return whether it may still execute a key."""
        return self.accounts.get(key, ConsistentBank()).pending
