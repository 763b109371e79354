"""Mistakes in payments and in what the bank reports: attempts, doubts, claims, statements."""

from tests.mutants.change import Change
from tests.mutants.mistake import Mistake

ONE_PAYOUT = "tests/scheduler/test_one_payout.py"
DECISIONS = "tests/unit/test_payout_decisions.py tests/unit/test_payout_doubts.py"
FOLLOW_UP = "tests/scheduler/test_bank_statement.py"
LEDGER_WINS = "tests/scheduler/test_statement_prevails.py"
PAYMENT = "wallet_core/domain/commands/payments/attempt_payment.py"
ORDER_COMMAND = "wallet_core/domain/commands/payments/order_command.py"
DOUBT = "wallet_core/domain/commands/payments/settle_doubt.py"
PAY_OUT = "wallet_core/usecases/pay_out.py"
BANK_STATEMENT_LINES = "wallet_core/storage/posting/bank_statement.py"
CLAIMS = "wallet_core/storage/scheduling/claims.py"
FOLLOWING = "wallet_core/domain/commands/payments/match_statement.py"

PAYMENTS = (
    Mistake(
        "a worker whose claim was taken over still changes the state",
        (
            Change(
                f"{ORDER_COMMAND}:OrderCommand.claimed_order",
                "found.fence != self.claim.fence or found.final",
                "found.final",
            ),
            Change(
                f"{PAYMENT}:SettlePayment.decide",
                "found.fence != self.claim.fence or found.final",
                "found.final",
            ),
        ),
        DECISIONS,
    ),
    Mistake(
        "a timeout of the bank releases the money",
        (
            Change(
                f"{PAYMENT}:SettlePayment.decide",
                "self._wait(ledger, answered, OrderState.IN_DOUBT, wait, attempt)",
                "self._release(ledger, answered, FailureReason.BANK_DECLINED, attempt)",
            ),
        ),
        f"{DECISIONS} {ONE_PAYOUT}",
    ),
    Mistake(
        "an attempt is stored after the bank was called",
        (
            Change(
                f"{PAY_OUT}:pay_out",
                "started = app.ledger.post(start, started_at + app.payouts.send_window_s).order",
                "early[claim.order] = app.bank.pay(claim.payment)\n"
                "started = app.ledger.post(start, started_at + app.payouts.send_window_s).order",
            ),
            Change(
                f"{PAY_OUT}:send",
                "app.bank.pay(claim.payment)",
                "early.pop(claim.order, None) or app.bank.pay(claim.payment)",
            ),
            Change(PAY_OUT, "NO_TIME = timedelta()", "NO_TIME = timedelta()\nearly: dict[object, Answer] = {}"),
        ),
        f"tests/faults/test_matrix_kills.py {ONE_PAYOUT}",
    ),
    Mistake(
        "a payment that the bank does not know is released",
        (
            Change(
                f"{DOUBT}:SettleDoubt.decide",
                "self._not_found(ledger, inquired)",
                "self._release(ledger, inquired, FailureReason.BANK_DECLINED, None)",
            ),
        ),
        f"{DECISIONS} {ONE_PAYOUT}",
    ),
    Mistake(
        "a payment is resent at once, without a grace time",
        (Change(f"{DOUBT}:SettleDoubt._not_found", "in_flight > timedelta()", "in_flight > self.policy.grace"),),
        f"{DECISIONS} {ONE_PAYOUT}",
    ),
    Mistake(
        "a decline ends a payout of which another attempt may have been paid",
        (
            Change(
                f"{PAYMENT}:SettlePayment.decide",
                "answered.may_have_paid",
                "attempt.may_have_paid",
            ),
        ),
        f"{DECISIONS} {ONE_PAYOUT}",
    ),
    Mistake(
        "a resent payment is released on a decline and not found, though an earlier attempt was unanswered",
        (
            Change(
                f"{DOUBT}:SettleDoubt._not_found",
                "not inquired.may_have_paid",
                "not inquired.attempts[-1].may_have_paid",
            ),
        ),
        f"{DECISIONS} {ONE_PAYOUT}",
    ),
    Mistake(
        "a decline of the bank overrules its own statement",
        (
            Change(f"{ORDER_COMMAND}:PaymentCommand._release", "ledger.bank_executed(unpaid)", "False"),
            Change(f"{PAYMENT}:SettlePayment.decide", "ledger.bank_executed(answered)", "False"),
        ),
        LEDGER_WINS,
    ),
    Mistake(
        "a payment that the bank statement shows as executed is sent again",
        (
            Change(f"{PAYMENT}:StartPayment.decide", "ledger.bank_executed(found)", "False"),
            Change(f"{PAYMENT}:StartPayment._attempt", "ledger.bank_executed(found)", "False"),
        ),
        LEDGER_WINS,
    ),
    Mistake(
        "a request that a restore has lost gets a new bank key",
        (
            Change(
                "wallet_core/domain/model/payment_order.py:order_id",
                "digest = hashlib.blake2b(f'{request_id}\\n{caller}'.encode(), digest_size=16).digest()",
                "digest = __import__('os').urandom(16)",
            ),
        ),
        LEDGER_WINS,
    ),
    Mistake(
        "a late worker sends after its window",
        (
            Change(
                f"{PAY_OUT}:send", "monotonic() - started_at < app.payouts.send_window_s", "monotonic() >= started_at"
            ),
        ),
        f"{ONE_PAYOUT} tests/scheduler/test_collections.py tests/faults/test_matrix_kills.py",
    ),
    Mistake(
        "a frozen wallet pays out",
        (
            Change(
                f"{PAYMENT}:StartPayment._take",
                "wallet.state is not WalletState.ACTIVE",
                "wallet.state is WalletState.CLOSED",
            ),
        ),
        DECISIONS,
    ),
    Mistake(
        "an answer of the bank replaces a stored one",
        (Change(f"{PAYMENT}:SettlePayment.decide", "before.answer is not None", "False"),),
        f"{DECISIONS} {ONE_PAYOUT}",
    ),
    Mistake(
        "a claim waits for a locked row and claims it too",
        (Change(f"{CLAIMS}:_CLAIMED", "FOR NO KEY UPDATE SKIP LOCKED", ""),),
        "tests/scheduler/test_many_payouts.py tests/scheduler/test_credits.py",
    ),
    Mistake(
        "a claim does not raise the fence",
        (Change(f"{CLAIMS}:_CLAIMED", "SET fence = fence + 1, lease_until", "SET lease_until"),),
        f"{ONE_PAYOUT} tests/scheduler/test_many_payouts.py",
    ),
    Mistake(
        "a return of the bank is posted by every scheduler",
        (
            Change(
                f"{FOLLOWING}:ReturnWithdrawal.decide",
                "found.state is not OrderState.SUCCEEDED or not isinstance(found, Withdrawal)",
                "not isinstance(found, Withdrawal)",
            ),
            Change(
                f"{FOLLOWING}:match_line",
                "line.kind is LineKind.RETURN and met.state is OrderState.SUCCEEDED",
                "line.kind is LineKind.RETURN",
            ),
        ),
        FOLLOW_UP,
    ),
    Mistake(
        "lines of a replaced statement are stored after another was accepted",
        (
            Change(
                f"{BANK_STATEMENT_LINES}:INSERT_LINES",
                "FROM bank_statement_cursor WHERE statement = %s",
                "FROM bank_statement_cursor WHERE %s > 0",
            ),
        ),
        "tests/scheduler/test_replaced_statement.py",
    ),
    Mistake(
        "a line of another amount reconciles an order",
        (Change(f"{FOLLOWING}:_contradiction", "line.amount != met.amount", "line.amount.minor < 0"),),
        f"tests/scheduler/test_missing_at_bank.py {FOLLOW_UP}",
    ),
    Mistake(
        "a bank line of a failed payment is skipped",
        (Change(f"{FOLLOWING}:match_line", "met.state in DONE_STATES", "met.state"),),
        FOLLOW_UP,
    ),
    Mistake(
        "an operator resolves an order whose call may be in flight",
        (
            Change(
                "wallet_core/domain/commands/payments/resolve_order.py",
                "ledger.now < attempt.in_flight_until",
                "ledger.now < attempt.start_time",
            ),
        ),
        "tests/scheduler/test_resolutions.py",
    ),
    Mistake(
        "every scheduler has a rate limit of its own",
        (
            Change(
                "wallet_core/storage/scheduling/rate_limit.py:KEPT",
                "WHERE taken.calls > 0 OR bucket.is_ahead",
                "WHERE bucket.is_ahead",
            ),
        ),
        "tests/scheduler/test_bank_rate_limit.py",
    ),
    Mistake(
        "a changed token file is not read again",
        (
            Change(
                "wallet_core/gateways/bank_access.py:_Followed.now",
                "self._made is None or self._made[0] != stamp",
                "self._made is None",
            ),
        ),
        "tests/unit/test_bank_access.py",
    ),
    Mistake(
        "a withdrawal cannot be paid from its reserve",
        (
            Change(
                f"{PAYMENT}:StartPayment._take",
                "wallet.available + found.held >= found.amount.minor",
                "wallet.available >= found.amount.minor",
            ),
        ),
        "tests/grpc/test_reserved_withdrawals.py",
    ),
    Mistake(
        "a reported payment of another amount ends a withdrawal as paid",
        (Change(f"{DOUBT}:SettleDoubt.decide", "self.status.amount == found.amount", "True"),),
        DECISIONS,
    ),
    Mistake(
        "a worker whose withdrawal was claimed meanwhile still writes",
        (Change("wallet_core/storage/posting/payment_orders.py:UPDATE_WITHDRAWAL", "AND fence = %s", "AND %s >= 0"),),
        "tests/storage/test_locking.py",
    ),
)
