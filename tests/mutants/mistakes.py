"""The mistakes: what is replaced by what in which file, and the tests of which at least one must go red."""

from dataclasses import dataclass

ONE_PAYOUT = "tests/scheduler/test_one_payout.py"
DECISIONS = "tests/unit/test_payout_decisions.py tests/unit/test_payout_doubts.py"
FOLLOW_UP = "tests/scheduler/test_follow_up.py"
JOURNAL = "tests/storage/test_journal.py"
WATCH = "tests/grpc/test_watch.py"


@dataclass(frozen=True, slots=True)
class Change:
    """A text in a file, found exactly once, and what stands there instead."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake that somebody could make."""

    name: str
    changes: tuple[Change, ...]
    tests: str


PAYMENT = "wallet_core/domain/payment.py"

MISTAKES = (
    Mistake(
        "a worker whose claim was taken over still changes the state",
        (
            Change(
                PAYMENT,
                "        if found.fence != self.claim.fence or found.final:\n            raise StaleClaim",
                "        if found.final:\n            raise StaleClaim",
            ),
            Change(
                PAYMENT,
                "        if found.fence != self.claim.fence or found.final:\n            return Decision",
                "        if found.final:\n            return Decision",
            ),
        ),
        DECISIONS,
    ),
    Mistake(
        "a timeout of the bank gives the money back",
        (
            Change(
                PAYMENT,
                "            wait = self.policy.backoff(answered.asks, self.jitter)\n"
                "            return self._wait(books, answered, OrderState.IN_DOUBT, wait, attempt)\n"
                "        return self._settle_no",
                "            return self._release(books, answered, FailureReason.BANK_REFUSED, attempt)\n"
                "        return self._settle_no",
            ),
        ),
        f"{DECISIONS} {ONE_PAYOUT}",
    ),
    Mistake(
        "the attempt is written down after the bank was called",
        (
            Change(
                "wallet_core/usecases/pay_out.py",
                "        started = app.ledger.post(start, ",
                "        early[claim.order] = app.bank.pay(claim.payment)\n        started = app.ledger.post(start, ",
            ),
            Change(
                "wallet_core/usecases/pay_out.py",
                "        answer = app.bank.pay(claim.payment)\n",
                "        answer = early.pop(claim.order, None) or app.bank.pay(claim.payment)\n",
            ),
            Change(
                "wallet_core/usecases/pay_out.py",
                "NO_TIME = timedelta()\n",
                "NO_TIME = timedelta()\nearly: dict[object, Answer] = {}\n",
            ),
        ),
        f"tests/faults/test_matrix_kills.py {ONE_PAYOUT}",
    ),
    Mistake(
        "what the bank does not know is given back",
        (
            Change(
                PAYMENT,
                "            case StatusKind.NOT_FOUND:\n                return self._not_found(books, asked)\n",
                "            case StatusKind.NOT_FOUND:\n"
                "                return self._release(books, asked, FailureReason.BANK_REFUSED, None)\n",
            ),
        ),
        f"{DECISIONS} {ONE_PAYOUT}",
    ),
    Mistake(
        "it is sent again at once, without a grace time",
        (Change(PAYMENT, "        if until_grace > timedelta():\n", "        if until_grace > self.policy.grace:\n"),),
        f"{DECISIONS} {ONE_PAYOUT}",
    ),
    Mistake(
        "a no ends a payout of which another attempt may have been paid",
        (
            Change(
                PAYMENT,
                "        if any(other.may_have_paid for other in answered.attempts):\n",
                "        if attempt.may_have_paid:\n",
            ),
        ),
        f"{DECISIONS} {ONE_PAYOUT}",
    ),
    Mistake(
        "a late worker sends after its window",
        (
            Change(
                "wallet_core/usecases/pay_out.py",
                "    if monotonic() - started_at < app.payouts.send_window_s:\n",
                "    if monotonic() >= started_at:\n",
            ),
        ),
        f"{ONE_PAYOUT} tests/scheduler/test_collections.py tests/faults/test_matrix_kills.py",
    ),
    Mistake(
        "a claim waits for what another one holds, and takes it too",
        (
            Change(
                "wallet_core/storage/claims.py",
                "    FOR NO KEY UPDATE SKIP LOCKED\n), claimed AS (\n    UPDATE {orders}",
                "), claimed AS (\n    UPDATE {orders}",
            ),
        ),
        "tests/scheduler/test_many_payouts.py tests/scheduler/test_credits.py",
    ),
    Mistake(
        "wallets are read without their locks",
        (
            Change(
                "wallet_core/storage/posting.py",
                "ORDER BY key\nFOR NO KEY UPDATE\n",
                "ORDER BY key\n",
            ),
            Change(
                "wallet_core/storage/posting.py",
                'LOCK_WALLETS.rstrip() + " SKIP LOCKED\\n"',
                "LOCK_WALLETS",
            ),
        ),
        "tests/concurrency/test_races.py tests/storage/test_locking.py",
    ),
    Mistake(
        "what the bank gives back is booked by every follower",
        (
            Change(
                "wallet_core/domain/follow_up.py",
                "        if found.state is not OrderState.SUCCEEDED or not isinstance(found, Withdrawal):\n",
                "        if not isinstance(found, Withdrawal):\n",
            ),
            Change(
                "wallet_core/domain/follow_up.py",
                "    if line.kind is LineKind.RETURN and met.state is OrderState.SUCCEEDED:\n",
                "    if line.kind is LineKind.RETURN:\n",
            ),
        ),
        FOLLOW_UP,
    ),
    Mistake(
        "a payment of what had failed is passed over",
        (
            Change(
                "wallet_core/domain/follow_up.py",
                "    return Verdict(Meets.ORDER) if met.state in _DONE else ",
                "    return Verdict(Meets.ORDER) if met.state else ",
            ),
        ),
        FOLLOW_UP,
    ),
    Mistake(
        "an operator resolves what may still be on its way",
        (
            Change(
                "wallet_core/domain/resolve_order.py",
                "        if any(books.now < attempt.start_time + self.grace for attempt in found.attempts):\n",
                "        if any(books.now < attempt.start_time for attempt in found.attempts):\n",
            ),
        ),
        "tests/scheduler/test_resolutions.py",
    ),
    Mistake(
        "every scheduler keeps a pace of its own",
        (
            Change(
                "wallet_core/storage/pace.py",
                "    WHERE taken.calls > 0 OR bucket.is_ahead\n",
                "    WHERE bucket.is_ahead\n",
            ),
        ),
        "tests/scheduler/test_pace.py",
    ),
    Mistake(
        "two write the journal at the same time",
        (Change("wallet_core/storage/journal.py", "            if not ours:\n", "            if ours is None:\n"),),
        JOURNAL,
    ),
    Mistake(
        "facts are told in the order in which the database happens to give them back",
        (Change("wallet_core/storage/journal.py", "ORDER BY position LIMIT %s", "ORDER BY position DESC LIMIT %s"),),
        JOURNAL,
    ),
    Mistake(
        "a line of the journal covers nothing of what came before it",
        (Change("wallet_core/domain/event.py", "hashlib.sha256(before + ", 'hashlib.sha256(b"" + '),),
        JOURNAL,
    ),
    Mistake(
        "a watcher that is behind what is at hand is told what is at hand",
        (
            Change(
                "wallet_core/usecases/follow_journal.py",
                "            if self._lines[0].number <= number + 1:\n"
                "                first = number + 1 - self._lines[0].number\n",
                "            if self._lines:\n                first = max(0, number + 1 - self._lines[0].number)\n",
            ),
        ),
        WATCH,
    ),
    Mistake(
        "a watch goes on in a journal that was restored from before it",
        (
            Change(
                "wallet_grpc/resuming.py",
                "if place.number and Place.after(reads.journal_line(place.number)) != place:",
                "if place.number and reads.journal_line(place.number) is None:",
            ),
        ),
        WATCH,
    ),
    Mistake(
        "a confined watcher is told of others' wallets",
        (
            Change(
                "wallet_grpc/servicers/event.py",
                "            if self._principal.owner is None or not readable.isdisjoint(line.fact.wallets):\n",
                "            if True:\n",
            ),
        ),
        WATCH,
    ),
    Mistake(
        "watches hold the threads that all other calls need",
        (
            Change(
                "wallet_grpc/interceptors/own_threads.py",
                "wrapped.unary_stream.experimental_thread_pool",
                "wrapped.unary_stream.pool",
            ),
        ),
        WATCH,
    ),
)
