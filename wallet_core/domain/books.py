"""The books while they are open: locked wallets, what hangs on them, earlier outcomes, and what has been decided.

``storage.posting`` fills them under the locks and stores what they have gathered. Commands read them; ``book`` alone
changes them, so a refused command leaves no trace.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from wallet_core.domain.command import Decision, Done, Outcome, Refused, Request
from wallet_core.domain.errors import (
    CurrencyMismatch,
    InsufficientFunds,
    LedgerBroken,
    LimitExceeded,
    Refusal,
    RequestIdReused,
    ResourceNotFound,
    WalletNotActive,
)
from wallet_core.domain.money import INT64_MAX, INT64_MIN
from wallet_core.domain.transaction import Entry, Movement, Transaction
from wallet_core.domain.wallet import NewWallet, Role, Wallet, WalletId, WalletState, wallet_name
from wallet_core.domain.withdrawal import TRANSITIONS, Attempt, Withdrawal, withdrawal_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The outcome of a request, as it is kept for ever."""

    request: Request
    method: str
    fingerprint: bytes
    subject: str | None = None
    available: int | None = None
    refusal: Refusal | None = None

    def outcome_for(self, method: str, fingerprint: bytes) -> Outcome:
        """Repeat the outcome to a call of the same kind, or say that the id was used for something else."""
        if (method, fingerprint) != (self.method, self.fingerprint):
            return Refused(RequestIdReused(str(self.request.id), self.method, self.subject or ""))
        if self.refusal is not None:
            return Refused(self.refusal)
        if self.subject is None:
            raise LedgerBroken
        return Done(subject=self.subject, available=self.available, replayed=True)


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that others will be told once it is committed."""

    kind: str
    subject: str
    time: datetime


@dataclass(slots=True, kw_only=True)
class Written:
    """What has been decided and is to be stored."""

    opened: list[NewWallet] = field(default_factory=list)
    moved: dict[WalletId, int] = field(default_factory=dict)
    """Wallets with new entries, and the sequence at which each was found."""
    transactions: list[Transaction] = field(default_factory=list)
    scheduled: set[UUID] = field(default_factory=set)
    """Those of the withdrawals that are new."""
    withdrawals: dict[UUID, Withdrawal] = field(default_factory=dict)
    attempts: dict[tuple[UUID, int], Attempt] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Books:
    """What a batch of commands decides on. *now* is the database's clock once all locks were held."""

    now: datetime
    wallets: dict[WalletId, Wallet]
    withdrawals: dict[UUID, Withdrawal] = field(default_factory=dict)
    records: dict[Request, Record] = field(default_factory=dict)
    fresh_keys: list[int] = field(default_factory=list)
    written: Written = field(default_factory=Written)

    # What commands ask.

    def wallet(self, wallet: WalletId) -> Wallet:
        """Return a wallet that must exist."""
        found = self.wallets.get(wallet)
        if found is None:
            raise ResourceNotFound(wallet_name(wallet))
        return found

    def payer(self, wallet: WalletId, currency: str) -> Wallet:
        """Return a wallet that money of this currency may be taken from."""
        found = self._wallet_in(wallet, currency)
        if found.state is not WalletState.ACTIVE:
            raise WalletNotActive(found.name, found.state)
        return found

    def payee(self, wallet: WalletId, currency: str) -> Wallet:
        """Return a wallet that money of this currency may be given to: a frozen one may receive."""
        found = self._wallet_in(wallet, currency)
        if found.state is WalletState.CLOSED:
            raise WalletNotActive(found.name, found.state)
        return found

    def _wallet_in(self, wallet: WalletId, currency: str) -> Wallet:
        found = self.wallet(wallet)
        if found.currency != currency:
            raise CurrencyMismatch(found.name, found.currency)
        return found

    def withdrawal(self, withdrawal: UUID) -> Withdrawal:
        """Return a withdrawal that must exist, as it is after what was decided before."""
        found = self.withdrawals.get(withdrawal)
        if found is None:
            raise ResourceNotFound(withdrawal_name(withdrawal))
        return found

    def next_key(self) -> int:
        """Return the key of the next wallet to be opened."""
        opened = sum(new.wallet.role is Role.ORDINARY for new in self.written.opened)
        return self.fresh_keys[opened]

    # What ``decide`` does with a decision.

    def check(self, decision: Decision) -> None:
        """Raise if the decision cannot be booked; change nothing."""
        if decision.movement is not None:
            _check_movement(decision.movement)
        if decision.withdrawal is not None:
            self._check_transition(decision.withdrawal)

    def book(self, decision: Decision) -> Done:
        """Take a checked decision into the books."""
        for new in decision.opens:
            self.wallets[new.wallet.id] = new.wallet
            self.written.opened.append(new)
        if decision.withdrawal is not None:
            self._book_withdrawal(decision.withdrawal, decision.attempt)
        transaction = self._move(decision.movement) if decision.movement is not None else None
        if transaction is not None:
            self.written.facts.append(Fact("transaction.posted", transaction.name, transaction.time))
        if decision.fact is not None:
            self.written.facts.append(Fact(decision.fact, decision.subject, self.now))
        return self.answer(decision, transaction)

    def preview(self, decision: Decision) -> Done:
        """Return what ``book`` would, changing nothing; *decision* has been checked."""
        movement = decision.movement
        if movement is None:
            return self.answer(decision, None)
        copies = tuple(replace(leg, wallet=replace(leg.wallet)) for leg in movement.legs)
        scratch = Books(now=self.now, wallets={leg.wallet.id: leg.wallet for leg in copies})
        return scratch.answer(decision, scratch._move(replace(movement, legs=copies)))  # our own kind

    def answer(self, decision: Decision, transaction: Transaction | None) -> Done:
        """Return what the caller is told of a booked decision."""
        wallet = self.wallets[decision.available_of] if decision.available_of is not None else None
        return Done(
            subject=decision.subject,
            transaction=transaction,
            available=wallet.available if wallet is not None else None,
            opened=decision.opens[-1].view() if decision.opens else None,
            withdrawal=decision.withdrawal,
        )

    def record(self, record: Record) -> None:
        """Keep the outcome of a request."""
        self.records[record.request] = record
        self.written.records.append(record)

    def _move(self, movement: Movement) -> Transaction:
        time = max(self.now, *(leg.wallet.last_time for leg in movement.legs))
        entries = []
        for leg in movement.legs:
            wallet = leg.wallet
            self.written.moved.setdefault(wallet.id, wallet.sequence)
            wallet.balance += leg.amount
            wallet.sequence += 1
            wallet.last_time = time
            entries.append(Entry(wallet.id, wallet.key, wallet.sequence, leg.amount, wallet.balance))
        transaction = Transaction(
            id=movement.id,
            type=movement.type,
            amount=movement.amount,
            source=movement.source,
            destination=movement.destination,
            entries=tuple(entries),
            description=movement.description,
            external_reference=movement.external_reference,
            withdrawal=movement.withdrawal,
            time=time,
        )
        self.written.transactions.append(transaction)
        return transaction

    def _book_withdrawal(self, withdrawal: Withdrawal, attempt: Attempt | None) -> None:
        if withdrawal.id not in self.withdrawals:
            self.written.scheduled.add(withdrawal.id)
        self.withdrawals[withdrawal.id] = withdrawal
        self.written.withdrawals[withdrawal.id] = withdrawal
        if attempt is not None:
            self.written.attempts[withdrawal.id, attempt.number] = attempt

    def _check_transition(self, after: Withdrawal) -> None:
        before = self.withdrawals.get(after.id)
        if before is not None and before.state != after.state and after.state not in TRANSITIONS[before.state]:
            raise LedgerBroken


def _check_movement(movement: Movement) -> None:
    """Refuse what a wallet's floor or the size of a number forbids; a decision that does not balance is a defect."""
    if sum(leg.amount for leg in movement.legs) != 0 or len({leg.wallet.id for leg in movement.legs}) < len(
        movement.legs
    ):
        raise LedgerBroken
    for leg in movement.legs:
        wallet = leg.wallet
        if leg.amount < 0 and wallet.role is not Role.EXTERNAL and wallet.available + leg.amount < 0:
            raise InsufficientFunds(wallet.name, wallet.currency, wallet.available, -leg.amount)
    for leg in movement.legs:
        wallet = leg.wallet
        if leg.amount > 0 and not wallet.can_take(leg.amount):
            raise LimitExceeded(wallet.name, INT64_MAX)
        if wallet.balance + leg.amount < INT64_MIN:
            raise LimitExceeded(wallet.name, INT64_MIN)
