"""The mistakes: what is replaced by what in which function, and the tests of which at least one must go red."""

from dataclasses import dataclass

from tests.mutants.change import Change

ONE_PAYOUT = "tests/scheduler/test_one_payout.py"
DECISIONS = "tests/unit/test_payout_decisions.py tests/unit/test_payout_doubts.py"
FOLLOW_UP = "tests/scheduler/test_follow_up.py"
LEDGER_WINS = "tests/scheduler/test_bank_ledger_wins.py"
JOURNAL = "tests/storage/test_journal.py"
WATCH = "tests/grpc/test_watch.py"
TRANSFERS = "tests/grpc/test_transfers.py"


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake that somebody could make."""

    name: str
    changes: tuple[Change, ...]
    tests: str


LEDGER_STATE = "wallet_core/domain/deciding/ledger_state.py"
APPLY = "wallet_core/domain/deciding/apply.py"
PAYMENT = "wallet_core/domain/commands/payments/attempt_payment.py"
TRANSFERRING = "wallet_core/domain/commands/transfers"
ORDER_COMMAND = "wallet_core/domain/commands/payments/order_command.py"
DOUBT = "wallet_core/domain/commands/payments/settle_doubt.py"
PAY_OUT = "wallet_core/usecases/pay_out.py"
BANK_STATEMENT_LINES = "wallet_core/storage/posting/bank_statement.py"
CLAIMS = "wallet_core/storage/scheduling/claims.py"
WALLETS = "wallet_core/storage/posting/wallets.py"
POSTING = "wallet_core/storage/posting/load_and_store.py"
FOLLOWING = "wallet_core/domain/commands/payments/match_statement.py"
WRITING_JOURNAL = "wallet_core/storage/scheduling/journal.py"

MISTAKES = (
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
        "a timeout of the bank gives the money back",
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
        "the attempt is written down after the bank was called",
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
        "what the bank does not know is given back",
        (
            Change(
                f"{DOUBT}:SettleDoubt.decide",
                "self._not_found(ledger, asked)",
                "self._release(ledger, asked, FailureReason.BANK_DECLINED, None)",
            ),
        ),
        f"{DECISIONS} {ONE_PAYOUT}",
    ),
    Mistake(
        "it is sent again at once, without a grace time",
        (Change(f"{DOUBT}:SettleDoubt._not_found", "in_flight > timedelta()", "in_flight > self.policy.grace"),),
        f"{DECISIONS} {ONE_PAYOUT}",
    ),
    Mistake(
        "a no ends a payout of which another attempt may have been paid",
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
        "what is resent is released on a no and not found, though an attempt before it was silent",
        (
            Change(
                f"{DOUBT}:SettleDoubt._not_found",
                "not asked.may_have_paid",
                "not asked.attempts[-1].may_have_paid",
            ),
        ),
        f"{DECISIONS} {ONE_PAYOUT}",
    ),
    Mistake(
        "a no of the bank's wins against its own ledger",
        (
            Change(f"{ORDER_COMMAND}:PaymentCommand._release", "ledger.bank_executed(unpaid)", "False"),
            Change(f"{PAYMENT}:SettlePayment.decide", "ledger.bank_executed(answered)", "False"),
        ),
        LEDGER_WINS,
    ),
    Mistake(
        "what the bank's ledger says was executed is sent again",
        (
            Change(f"{PAYMENT}:StartPayment.decide", "ledger.bank_executed(found)", "False"),
            Change(f"{PAYMENT}:StartPayment._attempt", "ledger.bank_executed(found)", "False"),
        ),
        LEDGER_WINS,
    ),
    Mistake(
        "the bank's key is made up anew for a request that a restore has forgotten",
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
        "a frozen wallet pays out all the same",
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
        "an answer of the bank is written over one that was kept",
        (Change(f"{PAYMENT}:SettlePayment.decide", "before.answer is not None", "False"),),
        f"{DECISIONS} {ONE_PAYOUT}",
    ),
    Mistake(
        "a claim waits for what another one holds, and takes it too",
        (Change(f"{CLAIMS}:_CLAIMED", "FOR NO KEY UPDATE SKIP LOCKED", ""),),
        "tests/scheduler/test_many_payouts.py tests/scheduler/test_credits.py",
    ),
    Mistake(
        "a claim does not raise the fence",
        (Change(f"{CLAIMS}:_CLAIMED", "SET fence = fence + 1, lease_until", "SET lease_until"),),
        f"{ONE_PAYOUT} tests/scheduler/test_many_payouts.py",
    ),
    Mistake(
        "wallets are read without their locks",
        (
            Change(f"{WALLETS}:LOCK_WALLETS", "ORDER BY key FOR NO KEY UPDATE", "ORDER BY key"),
            Change(f"{WALLETS}:LOCK_WALLETS_SKIP_LOCKED", "LOCK_WALLETS.rstrip() + ' SKIP LOCKED\\n'", "LOCK_WALLETS"),
        ),
        "tests/concurrency/test_races.py tests/storage/test_locking.py",
    ),
    Mistake(
        "what somebody wrote past the lock is written over",
        (Change(f"{WALLETS}:UPDATE_WALLETS", "AND wallets.sequence = moved.seen", ""),),
        "tests/storage/test_guards.py",
    ),
    Mistake(
        "what is held stays available",
        (Change(f"{APPLY}:_reserve", "found.held += amount", ""),),
        "tests/unit/test_decide.py tests/unit/test_decide_limits.py tests/grpc/test_holds.py",
    ),
    Mistake(
        "a refusal is decided anew each time that it is asked for",
        (
            Change(
                "wallet_core/domain/deciding/records.py:record_of",
                "not isinstance(outcome.refusal, Refusal) or not outcome.refusal.recorded",
                "True",
            ),
        ),
        f"{TRANSFERS} tests/grpc/test_final_under_faults.py",
    ),
    Mistake(
        "a caller is told that nothing was done of what is being committed",
        (Change("wallet_core/ledger/group_commit.py:Ticket.wait", "raise OutcomeUnknown", "raise DeadlineTooShort"),),
        "tests/unit/test_group_commit.py",
    ),
    Mistake(
        "an error after the commit says that nothing was done",
        (
            Change(
                "wallet_grpc/interceptors/errors.py:errors_as_status",
                "scope.is_done and CATALOGUE[type(error)].outcome is not Outcome.UNKNOWN",
                "False",
            ),
        ),
        "tests/grpc/test_after_a_commit.py",
    ),
    Mistake(
        "a statement is final while a commit hangs",
        (
            Change(
                "wallet_core/storage/posting/load_and_store.py:_send",
                "tx.execute(ENTER)",
                "tx.execute(\"SELECT current_setting('wallet.session', true), 1\")",
            ),
        ),
        "tests/storage/test_under_way.py",
    ),
    Mistake(
        "a batch is decided in the session of another",
        (Change("wallet_core/storage/posting/load_and_store.py:load", "not is_own(tx, mark)", "False"),),
        "tests/storage/test_sessions.py",
    ),
    Mistake(
        "a commit whose connection was lost is said to have done nothing",
        (
            Change(
                "wallet_core/storage/connections/engine.py:transaction", "may_be_stored = True", "may_be_stored = False"
            ),
        ),
        "tests/storage/test_cannot_serve.py",
    ),
    Mistake(
        "a server that only reads is served from",
        (
            Change(
                "wallet_core/storage/connections/readiness.py:Readiness.check",
                "self._ask(_require_own, _require_writes, require_schema)",
                "self._ask(_require_own, require_schema)",
            ),
        ),
        "tests/storage/test_cannot_serve.py",
    ),
    Mistake(
        "a frozen server holds all others up, where PostgreSQL does not end its transaction",
        (Change("wallet_core/storage/connections/engine.py:pipelined", "bounds_transactions(tx)", "True"),),
        "tests/faults/test_frozen_server.py",
    ),
    Mistake(
        "what is committed between the look at what is under way and the statement is in neither",
        (
            Change(
                "wallet_core/storage/connections/reader.py:Reader.read_after",
                "looked = look(tx.execution_options(isolation_level='AUTOCOMMIT'))\ntx.commit()\n"
                "return _of_one_instant(tx, lambda tx: read(tx, looked))",
                "return _of_one_instant(tx, lambda tx: read(tx, look(tx)))",
            ),
        ),
        "tests/storage/test_under_way.py",
    ),
    Mistake(
        "anybody takes out what the service has earned",
        (
            Change(
                "wallet_core/domain/model/access.py:Access.require_source",
                "self.may(Right.OPERATIONS) and role_of(wallet) is Role.COMMISSION",
                "role_of(wallet) is Role.COMMISSION",
            ),
        ),
        "tests/grpc/test_operations_money.py",
    ),
    Mistake(
        "whoever changes wallets gives credit",
        (
            Change(
                "wallet_core/domain/commands/wallets/change_wallet.py:UpdateWallet.require_rights",
                "self.access.require_right(Right.CREDIT)",
                "pass",
            ),
        ),
        "tests/grpc/test_rights.py",
    ),
    Mistake(
        "a confined caller moves money of others",
        (
            Change(
                "wallet_core/domain/deciding/decide.py:_decide_one",
                "request.access.require(command.wallets_to_authorize(ledger))",
                "command.wallets_to_authorize(ledger)",
            ),
        ),
        "tests/grpc/test_owners.py",
    ),
    Mistake(
        "what the bank gives back is booked by every follower",
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
        "lines of a ledger that was replaced are written after another was accepted",
        (
            Change(
                f"{BANK_STATEMENT_LINES}:INSERT_LINES",
                "FROM bank_statement_cursor WHERE statement = %s",
                "FROM bank_statement_cursor WHERE %s > 0",
            ),
        ),
        "tests/scheduler/test_another_ledger.py",
    ),
    Mistake(
        "a line of another amount reconciles an order",
        (Change(f"{FOLLOWING}:_contradiction", "line.amount != met.amount", "line.amount.minor < 0"),),
        f"tests/scheduler/test_missing_at_bank.py {FOLLOW_UP}",
    ),
    Mistake(
        "a payment of what had failed is passed over",
        (Change(f"{FOLLOWING}:match_line", "met.state in DONE_STATES", "met.state"),),
        FOLLOW_UP,
    ),
    Mistake(
        "an operator resolves what may still be on its way",
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
        "every scheduler keeps a pace of its own",
        (
            Change(
                "wallet_core/storage/scheduling/rate_limit.py:KEPT",
                "WHERE taken.calls > 0 OR bucket.is_ahead",
                "WHERE bucket.is_ahead",
            ),
        ),
        "tests/scheduler/test_pace.py",
    ),
    Mistake(
        "a token that has changed is not read anew",
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
        "one of two database hosts on this machine is taken for both",
        (
            Change(
                "wallet_core/storage/connections/transport.py:is_private",
                'all(_is_here(address or host or "") for host, address in zip_longest(hosts, addresses))',
                'any(_is_here(address or host or "") for host, address in zip_longest(hosts, addresses))',
            ),
        ),
        "tests/unit/test_safe_start.py",
    ),
    Mistake(
        "a server that asks nobody listens everywhere",
        (
            Change(
                "wallet_core/startup_checks.py:allow_unauthenticated",
                "opened and not settings.access.allow_unauthenticated",
                "not opened",
            ),
        ),
        "tests/unit/test_safe_start.py",
    ),
    Mistake(
        "a list ends with its first page",
        (Change("wallet_core/storage/reads/pages.py:Listing.page", "len(found) > size", "len(found) > size + 1"),),
        "tests/grpc/test_lists.py",
    ),
    Mistake(
        "two write the journal at the same time",
        (Change(f"{WRITING_JOURNAL}:Journal.write", "not ours", "ours is None"),),
        JOURNAL,
    ),
    Mistake(
        "facts are told in the order in which the database happens to give them back",
        (
            Change(
                f"{WRITING_JOURNAL}:TAKE_OUTBOX_EVENTS", "ORDER BY position LIMIT %s", "ORDER BY position DESC LIMIT %s"
            ),
        ),
        JOURNAL,
    ),
    Mistake(
        "what happened is stored and not told",
        (Change(f"{POSTING}:store", "store_events(tx, ledger)", "None"),),
        f"{JOURNAL} {TRANSFERS}",
    ),
    Mistake(
        "each line of the journal is chained to the last one of the write before",
        (Change(f"{WRITING_JOURNAL}:Journal.write", "hash_ = record.hash", "hash_ = hash_"),),
        JOURNAL,
    ),
    Mistake(
        "a line of the journal covers nothing of what came before it",
        (
            Change(
                "wallet_core/domain/model/event.py:JournalRecord.chained",
                "before + '\\n'.join(map(str, fields)).encode()",
                "'\\n'.join(map(str, fields)).encode()",
            ),
        ),
        JOURNAL,
    ),
    Mistake(
        "a watcher that is behind what is at hand is told what is at hand",
        (
            Change(
                "wallet_core/usecases/follow_journal.py:JournalFeed.after",
                "self._lines[0].number <= number + 1",
                "self._lines",
            ),
            Change(
                "wallet_core/usecases/follow_journal.py:JournalFeed.after",
                "number + 1 - self._lines[0].number",
                "max(0, number + 1 - self._lines[0].number)",
            ),
        ),
        WATCH,
    ),
    Mistake(
        "a watch goes on in a journal that was restored from before it",
        (
            Change(
                "wallet_grpc/convert/resume_tokens.py:ResumeTokens.read",
                "Place.after(reads.journal_record(place.number)) != place",
                "reads.journal_record(place.number) is None",
            ),
        ),
        WATCH,
    ),
    Mistake(
        "a confined watcher is told of others' wallets",
        (
            Change(
                "wallet_grpc/servicers/event.py:_Filter.of",
                "self._principal.owner is None or not readable.isdisjoint(line.event.wallets)",
                "True",
            ),
        ),
        WATCH,
    ),
    Mistake(
        "watches hold the threads that all other calls need",
        (
            Change(
                "wallet_grpc/interceptors/own_threads.py:OwnThreads.wrap",
                "(wrapped.unary_unary or wrapped.unary_stream).experimental_thread_pool = self._pools[method]",
                "(wrapped.unary_unary or wrapped.unary_stream).pool = self._pools[method]",
            ),
        ),
        WATCH,
    ),
    Mistake(
        "a thread waits for a request that does not come",
        (Change("wallet_grpc/runtime/receiving.py:CallPool.submit", "grpcio is not None", "False"),),
        "tests/grpc/test_half_sent_calls.py",
    ),
    Mistake(
        "a call waits for its request for ever",
        (
            Change(
                "wallet_grpc/runtime/receiving.py:Calls._end_unreceived",
                "call.until > now and place >= too_many",
                "place >= too_many",
            ),
        ),
        "tests/grpc/test_half_sent_calls.py",
    ),
    Mistake(
        "an owner has one share for each of its callers",
        (
            Change(
                "wallet_grpc/servicers/streams.py:_whose",
                '(("owner", principal.owner),) if principal.owner is not None else ()',
                "()",
            ),
        ),
        "tests/grpc/test_shares.py",
    ),
    Mistake(
        "more is given back of a transfer than is left of it",
        (
            Change(
                f"{TRANSFERRING}/reverse_transaction.py:ReverseTransaction._amount", "self.amount.minor > left", "False"
            ),
        ),
        "tests/grpc/test_reversals.py",
    ),
    Mistake(
        "a closed wallet receives money",
        (
            Change(
                "wallet_core/domain/deciding/ledger_state.py:LedgerState.credit_wallet",
                "found.state is WalletState.CLOSED",
                "False",
            ),
        ),
        "tests/unit/test_decide.py tests/grpc/test_wallet_life.py",
    ),
    Mistake(
        "a withdrawal cannot be paid with what was reserved for it",
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
        "a payment of another amount that the bank reports ends a withdrawal as paid",
        (Change(f"{DOUBT}:SettleDoubt.decide", "self.status.amount == found.amount", "True"),),
        DECISIONS,
    ),
    Mistake(
        "a token that was issued for another service is taken",
        (
            Change(
                "wallet_grpc/security/tokens.py:Tokens._claims",
                "{'require': ['exp', 'iss', 'aud']}",
                "{'require': ['exp', 'iss', 'aud'], 'verify_aud': False}",
            ),
        ),
        "tests/grpc/test_who_may_call.py",
    ),
    Mistake(
        "a page token of one list is taken by another",
        (
            Change("wallet_grpc/security/sealing.py:Seal.closed", "[bound_to.encode()]", "[]"),
            Change("wallet_grpc/security/sealing.py:Seal.opened", "[bound_to.encode()]", "[]"),
        ),
        "tests/unit/test_sealing.py tests/grpc/test_lists.py",
    ),
    Mistake(
        "an event names one of the wallets of its transaction only",
        (Change(f"{APPLY}:_publish", "transaction.wallets", "transaction.wallets[:1]"),),
        f"{JOURNAL} {WATCH}",
    ),
    Mistake(
        "the hash of a journal record covers its time to the millisecond only",
        (
            Change(
                "wallet_core/domain/model/event.py:JournalRecord.chained",
                "timedelta(microseconds=1)",
                "timedelta(milliseconds=1)",
            ),
        ),
        JOURNAL,
    ),
    Mistake(
        "totals are not written of the thousand entries that a batch completes",
        (Change("wallet_core/storage/posting/totals.py:store_totals", "seen // EVERY + 1", "seen // EVERY + 2"),),
        "tests/storage/test_totals.py",
    ),
    Mistake(
        "of two payments at once under one unique reference both are made",
        (
            Change(
                "wallet_core/storage/posting/references.py:store_references",
                "_INSERT_REFERENCES.write(tx, rows)",
                "Insert('unique_references', _COLUMNS, clause='ON CONFLICT DO NOTHING').write(tx, rows)",
            ),
        ),
        "tests/concurrency/test_reference_races.py",
    ),
    Mistake(
        "a call that only validates uses the unique reference",
        (Change(f"{APPLY}:_copy_for", "dict(ledger.references)", "ledger.references"),),
        "tests/grpc/test_unique_references.py tests/unit/test_decide.py",
    ),
    Mistake(
        "a worker whose withdrawal was claimed meanwhile writes all the same",
        (Change("wallet_core/storage/posting/payment_orders.py:UPDATE_WITHDRAWAL", "AND fence = %s", "AND %s >= 0"),),
        "tests/storage/test_locking.py",
    ),
)
