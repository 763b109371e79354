"""The life of orders in the model: credits, and payments that the bank executes.

As in docs/concepts/payouts.md: silence never moves money, a decline of one attempt proves nothing of another, and a
stale claim changes nothing. Backoff has no jitter here.
"""

from uuid import UUID

from tests.model.ledger import LedgerState, simple_legs
from tests.model.records import (
    ACTIVE,
    IN_DOUBT,
    MOST,
    OPEN,
    PROCESSING,
    SCHEDULED,
    WITHDRAWAL,
    Attempt,
    Hold,
    PaymentOrder,
    Refused,
    TransactionRecord,
)

# In whole hours: the product is given half an hour less, so that the seconds of a run never matter.
LEASE, GRACE, KEPT, A_WHILE = 2, 4, 13, 1
ATTEMPTS_MOST, RESENDS_MOST = 3, 2


# Whose turn it is.


def to_pay(books: LedgerState, *, kind: str) -> set[UUID]:
    """Return the orders that a worker may begin, or continue after a clear decline."""
    return {id_ for id_, one in _status_call(books, kind) if _due(books, one) and (_fresh(books, one) or _waiting(one))}


def to_reconcile(books: LedgerState, *, kind: str) -> set[UUID]:
    """Return the orders in doubt, and those that a worker has left behind."""
    return {
        id_
        for id_, one in _status_call(books, kind)
        if _due(books, one)
        and (_lapsed(books, one.lease) if one.state == PROCESSING else one.state == IN_DOUBT and _free(books, one))
    }


def to_credit(books: LedgerState) -> set[UUID]:
    """Return the scheduled deposits that are credited without the bank."""
    ready = ((id_, one) for id_, one in books.orders.items() if one.kind != WITHDRAWAL and not one.collect)
    return {id_ for id_, one in ready if _due(books, one) and _fresh(books, one)}


def to_expire(books: LedgerState) -> set[UUID]:
    """Return the holds whose time is over."""

    def over(hold: Hold) -> bool:
        return hold.state == ACTIVE and (hold.overdue or hold.expires <= books.later)

    return {id_ for id_, one in books.holds.items() if over(one) and (one.lease is None or _lapsed(books, one.lease))}


def claimed(books: LedgerState, claimed_record: PaymentOrder | Hold) -> None:
    """Note that a worker has claimed it."""
    claimed_record.fence += 1
    claimed_record.lease = books.later + LEASE


def _status_call(books: LedgerState, kind: str) -> list[tuple[UUID, PaymentOrder]]:
    return [(id_, one) for id_, one in books.orders.items() if one.kind == kind and (kind == WITHDRAWAL or one.collect)]


def _due(books: LedgerState, order: PaymentOrder) -> bool:
    return order.state in OPEN and order.next <= books.later


def _fresh(books: LedgerState, order: PaymentOrder) -> bool:
    return order.state == SCHEDULED and _free(books, order)


def _waiting(order: PaymentOrder) -> bool:
    return order.state == PROCESSING and order.lease is None


def _free(books: LedgerState, order: PaymentOrder) -> bool:
    return order.lease is None or _lapsed(books, order.lease)


def _lapsed(books: LedgerState, lease: int | None) -> bool:
    return lease is not None and lease <= books.later


# What a worker does.


def credit(books: LedgerState, id_: UUID, fence: int, move: UUID) -> None:
    """Credit a deposit without the bank; one that does not fit has failed."""
    order = _mine(books, id_, fence)
    if order.kind == WITHDRAWAL or order.collect:
        raise _stale(books, id_)
    outside = _system(books, order, "external")
    if not books.room(order.wallet, order.amount) or books.wallets[outside].balance - order.amount < -MOST - 1:
        _fail(order, "LIMIT_EXCEEDED")
        return
    _move(books, move, id_, "DEPOSIT", outside, order.wallet)
    _succeed(order, credit=move)


def begin(books: LedgerState, id_: UUID, fence: int, move: UUID | None = None) -> bool:
    """Take the money and store the attempt; return whether the bank is called."""
    order = _mine(books, id_, fence)
    if order.state == SCHEDULED and order.kind == WITHDRAWAL:
        if books.wallets[order.wallet].state != ACTIVE:
            _fail(order, "WALLET_NOT_ACTIVE")
            return False
        if books.available(order.wallet) + order.held < order.amount:
            _fail(order, "INSUFFICIENT_FUNDS")
            return False
        order.state = PROCESSING  # what was held for it is what is taken
        _move(books, move, id_, "WITHDRAWAL", order.wallet, _system(books, order, "in_transit"))
    elif order.state == PROCESSING:
        if not _may_go_on(order):
            raise _stale(books, id_)
    elif order.state != SCHEDULED:
        raise _stale(books, id_)
    order.state = PROCESSING
    _attempt(books, order)
    return True


def settle(  # noqa: PLR0913, PLR0917  # whose answer to what
    books: LedgerState, id_: UUID, fence: int, attempt: int, answer: str, move: UUID | None = None
) -> None:
    """Write the bank's answer down, once; go by it only while the claim holds."""
    order = books.orders[id_]
    if order.attempts[attempt - 1].answer is not None:
        raise _stale(books, id_)
    order.attempts[attempt - 1].answer = str(answer)
    if order.fence != fence or order.state not in OPEN:
        return
    if answer == "ACCEPTED":
        _paid(books, id_, move)
    elif order.state == IN_DOUBT or not {None, "UNKNOWN"}.isdisjoint(one.answer for one in order.attempts):
        _wait(books, order, IN_DOUBT)
    elif answer == "DECLINED":
        _not_paid(books, id_, "BANK_DECLINED", move)
    elif answer == "DECLINED_RETRYABLE" and _counted(order) >= ATTEMPTS_MOST:
        _not_paid(books, id_, "ATTEMPTS_EXHAUSTED", move)
    else:
        _wait(books, order, PROCESSING)


def take_over(books: LedgerState, id_: UUID, fence: int, move: UUID | None = None) -> bool:
    """Take over an abandoned order; return whether the bank is queried about it."""
    order = _mine(books, id_, fence)
    if order.state != PROCESSING:
        raise _stale(books, id_)
    if any(one.answer == "ACCEPTED" for one in order.attempts):
        _paid(books, id_, move)
    elif _may_go_on(order):
        _wait(books, order, PROCESSING)
    else:
        order.state = IN_DOUBT
        return True
    return False


def apply_status(  # noqa: PLR0913  # whose word on what
    books: LedgerState, id_: UUID, fence: int, word: str, *, amount_fits: bool, move: UUID | None = None
) -> bool:
    """Apply the bank's status; return whether it is resent."""
    order = _mine(books, id_, fence)
    if order.state != IN_DOUBT:
        raise _stale(books, id_)
    accepted = any(one.answer == "ACCEPTED" for one in order.attempts)
    if word == "EXECUTED":
        if amount_fits:
            _paid(books, id_, move)
        else:
            _wait(books, order, IN_DOUBT)
    elif accepted:
        if word in {"PENDING", "SILENT"}:
            _paid(books, id_, move)
        else:
            _wait(books, order, IN_DOUBT)  # it takes its word back: for a person
    elif word == "FAILED":
        _not_paid(books, id_, "BANK_DECLINED", move)
    elif word == "NOT_FOUND":
        return _not_found(books, id_, order, move)
    else:
        _wait(books, order, IN_DOUBT)
    return False


def _not_found(books: LedgerState, id_: UUID, order: PaymentOrder, move: UUID | None) -> bool:
    """Resend, unless a call may still be in flight, it was resent often, or the bank forgets keys."""
    given = [one.answer for one in order.attempts]
    if None not in given and "UNKNOWN" not in given:
        if "DECLINED" in given:
            _not_paid(books, id_, "BANK_DECLINED", move)
            return False
        if _counted(order) >= ATTEMPTS_MOST:
            _not_paid(books, id_, "ATTEMPTS_EXHAUSTED", move)
            return False
    arrived_at = order.attempts[-1].hour + GRACE
    first = next((one for one in order.attempts if one.answer != "NOT_SENT"), order.attempts[0])
    if arrived_at > books.later:
        _wait(books, order, IN_DOUBT, until=arrived_at)
    elif _resends(order) >= RESENDS_MOST or first.hour + KEPT <= books.later:
        _wait(books, order, IN_DOUBT)
    else:
        _attempt(books, order, is_resend=True)
        return True
    return False


# What comes of it.


def _paid(books: LedgerState, id_: UUID, move: UUID | None) -> None:
    order = books.orders[id_]
    outside, between = _system(books, order, "external"), _system(books, order, "in_transit")
    if order.kind == WITHDRAWAL:
        _move(books, move, id_, "WITHDRAWAL_SETTLEMENT", between, outside)
        _succeed(order)
    elif books.wallets[outside].balance - order.amount < -MOST - 1:
        _wait(books, order, IN_DOUBT, until=books.later + A_WHILE)
    else:
        into = order.wallet if books.room(order.wallet, order.amount) else between
        made = _move(books, move, id_, "COLLECTION", outside, into)
        _succeed(order, credit=made)
        order.unapplied = into != order.wallet


def _not_paid(books: LedgerState, id_: UUID, reason: str, move: UUID | None) -> None:
    order = books.orders[id_]
    if order.kind == WITHDRAWAL:
        if not books.room(order.wallet, order.amount):
            _wait(books, order, IN_DOUBT, until=books.later + A_WHILE)
            return
        _move(books, move, id_, "WITHDRAWAL_RELEASE", _system(books, order, "in_transit"), order.wallet)
    _fail(order, reason)


def _move(  # noqa: PLR0913, PLR0917  # what a movement is made of
    books: LedgerState, move: UUID | None, id_: UUID, kind: str, source: str, destination: str
) -> UUID:
    """Move an order's money. The model makes a name up where the product's is not known yet."""
    made = move or UUID(int=len(books.transactions))
    amount = books.orders[id_].amount
    legs = simple_legs(source, destination, amount)
    books.post(
        TransactionRecord(
            id=made, kind=kind, source=source, destination=destination, amount=amount, legs=legs, cause=id_
        )
    )
    return made


def _system(books: LedgerState, order: PaymentOrder, role: str) -> str:
    return f"system:{role}:{books.wallets[order.wallet].currency}"


def _attempt(books: LedgerState, order: PaymentOrder, *, is_resend: bool = False) -> None:
    order.attempts.append(Attempt(books.later, is_resend=is_resend))
    order.lease = books.later + LEASE


def _wait(books: LedgerState, order: PaymentOrder, state: str, until: int | None = None) -> None:
    order.state, order.lease = state, None
    order.next = books.later if until is None else until


def _succeed(order: PaymentOrder, credit: UUID | None = None) -> None:
    order.state, order.lease, order.credit = "SUCCEEDED", None, credit


def _fail(order: PaymentOrder, reason: str) -> None:
    order.state, order.lease, order.reason = "FAILED", None, reason


def _counted(order: PaymentOrder) -> int:
    """Return how many calls the bank may have received."""
    return sum(one.answer != "NOT_SENT" for one in order.attempts)


def _resends(order: PaymentOrder) -> int:
    return sum(one.is_resend and one.answer != "NOT_SENT" for one in order.attempts)


def _may_go_on(order: PaymentOrder) -> bool:
    """Return whether the bank surely has not paid, and may be called once more."""
    return (
        all(one.answer in {"DECLINED_RETRYABLE", "NOT_SENT"} for one in order.attempts)
        and _counted(order) < ATTEMPTS_MOST
    )


def _mine(books: LedgerState, id_: UUID, fence: int) -> PaymentOrder:
    order = books.orders[id_]
    if order.fence != fence or order.state not in OPEN:
        raise _stale(books, id_)
    return order


def _stale(books: LedgerState, id_: UUID) -> Refused:
    return Refused("StaleClaim", resource=f"{books.orders[id_].kind}/{id_}")
