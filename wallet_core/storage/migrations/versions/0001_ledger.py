"""The first schema: ledger, commission, holds, payments and bank, idempotency records, events.

Names are never schema-qualified, so that a tenant can be a schema. There is no downgrade: posted money is not undone.
``connections/grants.py`` has what the service's role may do with each table. Texts that an index looks up have the
collation "C": the order of their bytes, which no upgrade of a C library changes. In another order an index would
silently stop finding its rows, and a repeat of a request would move money a second time.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

WALLETS = """
CREATE TABLE currencies (
    code     text     NOT NULL COLLATE "C"
                      CONSTRAINT currencies_pkey PRIMARY KEY CONSTRAINT currencies_code CHECK (code ~ '^[A-Z]{3}$'),
    exponent smallint NOT NULL CONSTRAINT currencies_exponent CHECK (exponent BETWEEN 0 AND 9)
);
COMMENT ON TABLE currencies IS
    'Currencies that a wallet is or was in. Stored with the first wallet, never changed, even where ISO 4217 '
    'changes or withdraws the currency.';
COMMENT ON COLUMN currencies.exponent IS 'Decimals of an amount: with 2, 1005 minor units are 10.05.';

CREATE SEQUENCE wallet_keys;

CREATE TABLE wallets (
    key             bigint      NOT NULL CONSTRAINT wallets_pkey PRIMARY KEY,
    id              text        NOT NULL COLLATE "C" CONSTRAINT wallets_id_key UNIQUE,
    role            text        NOT NULL CONSTRAINT wallets_role
                                CHECK (role IN ('ORDINARY', 'EXTERNAL', 'IN_TRANSIT', 'COMMISSION')),
    currency        text        NOT NULL CONSTRAINT wallets_currency CHECK (currency ~ '^[A-Z]{3}$')
                                CONSTRAINT wallets_currency_fkey REFERENCES currencies (code),
    owner           text        NOT NULL COLLATE "C",
    display_name    text        NOT NULL,
    labels          jsonb       NOT NULL DEFAULT '{}'
                                CONSTRAINT wallets_labels CHECK (jsonb_typeof(labels) = 'object'),
    state           text        NOT NULL CONSTRAINT wallets_state CHECK (state IN ('ACTIVE', 'FROZEN', 'CLOSED')),
    balance         bigint      NOT NULL,
    held            bigint      NOT NULL CONSTRAINT wallets_held CHECK (held >= 0),
    overdraft_limit bigint      NOT NULL CONSTRAINT wallets_overdraft_limit CHECK (overdraft_limit >= 0),
    sequence        bigint      NOT NULL CONSTRAINT wallets_sequence CHECK (sequence >= 0),
    last_time       timestamptz NOT NULL,
    create_time     timestamptz NOT NULL,
    revision        bigint      NOT NULL DEFAULT 1,
    CONSTRAINT wallets_floor CHECK (role = 'EXTERNAL' OR balance - held >= -overdraft_limit),
    CONSTRAINT wallets_closed CHECK (state <> 'CLOSED' OR (balance = 0 AND held = 0)),
    CONSTRAINT wallets_system_key CHECK ((role = 'ORDINARY') = (key < 4611686018427387904)),
    CONSTRAINT wallets_system_id CHECK ((role = 'ORDINARY') = (id ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'))
);
-- Rows without labels are not in it, so most changes of a balance do not touch it.
CREATE INDEX wallets_by_label ON wallets USING gin (labels jsonb_path_ops) WHERE labels <> '{}';
-- For lists only, which have callers' wallets.
CREATE INDEX wallets_by_owner ON wallets (owner, key) WHERE role = 'ORDINARY';
COMMENT ON TABLE wallets IS
    'Callers'' wallets, and three of the service in each currency: EXTERNAL, IN_TRANSIT and COMMISSION. Amounts '
    'are in minor units.';
COMMENT ON COLUMN wallets.key IS
    'Locks are taken in its order. Service wallets have the highest keys, so their locks are taken last and held '
    'for the shortest time.';
COMMENT ON COLUMN wallets.held IS 'Reserved by active holds and by scheduled withdrawals with a reserve.';
COMMENT ON COLUMN wallets.sequence IS 'Sequence of the last entry; 0 without one.';
COMMENT ON COLUMN wallets.last_time IS 'Time of the last entry: no later one is dated before it.';
COMMENT ON COLUMN wallets.revision IS 'Counts the changes of everything but the balance; the etag.';
"""

TRANSACTIONS = """
CREATE TABLE transactions (
    id                 uuid        NOT NULL CONSTRAINT transactions_pkey PRIMARY KEY,
    type               text        NOT NULL COLLATE "C" CONSTRAINT transactions_type
                                   CHECK (type IN ('DEPOSIT', 'TRANSFER', 'WITHDRAWAL', 'WITHDRAWAL_SETTLEMENT',
                                                   'WITHDRAWAL_RELEASE', 'WITHDRAWAL_RETURN', 'COLLECTION',
                                                   'HOLD_CAPTURE', 'REVERSAL', 'RETURN_APPLICATION',
                                                   'COLLECTION_APPLICATION')),
    source             bigint      NOT NULL,
    destination        bigint      NOT NULL,
    amount             bigint      NOT NULL CONSTRAINT transactions_amount CHECK (amount > 0),
    commission         bigint      NOT NULL DEFAULT 0,
    commission_rule    uuid,
    commission_payer   text        CONSTRAINT transactions_commission_payer
                                   CHECK (commission_payer IN ('SOURCE', 'DESTINATION')),
    description        text        NOT NULL,
    external_reference text        NOT NULL,
    labels             jsonb       NOT NULL DEFAULT '{}',
    cause              uuid,
    batch              uuid,
    batch_item         integer,
    time               timestamptz NOT NULL,
    CONSTRAINT transactions_cause CHECK (type = 'DEPOSIT' OR (type = 'TRANSFER') = (cause IS NULL)),
    CONSTRAINT transactions_commission CHECK (CASE type WHEN 'TRANSFER' THEN commission >= 0
                                                        WHEN 'REVERSAL' THEN commission <= 0
                                                        ELSE commission = 0 END),
    CONSTRAINT transactions_commission_rule CHECK ((commission_rule IS NULL) = (commission_payer IS NULL)
                                                   AND (commission = 0 OR commission_rule IS NOT NULL)),
    CONSTRAINT transactions_batch CHECK ((batch IS NULL) = (batch_item IS NULL))
);
CREATE INDEX transactions_by_cause ON transactions (cause) WHERE cause IS NOT NULL;
CREATE UNIQUE INDEX transactions_by_batch ON transactions (batch, batch_item) WHERE batch IS NOT NULL;
-- A withdrawal is debited, ended (settled or released), returned, and applied to another wallet once each.
CREATE UNIQUE INDEX transactions_once_per_order ON transactions (
    cause,
    (CASE WHEN type = 'WITHDRAWAL_RELEASE' THEN 'WITHDRAWAL_SETTLEMENT' ELSE type END)
) WHERE cause IS NOT NULL AND type NOT IN ('REVERSAL', 'HOLD_CAPTURE');
COMMENT ON TABLE transactions IS 'Movements of money. Each has entries that sum to zero. Never changed.';
COMMENT ON COLUMN transactions.commission IS 'Charged on transfers; negative where a reversal gives it back.';
COMMENT ON COLUMN transactions.cause IS
    'The order, the hold, or the reversed transaction that it came from. A deposit has one if it was scheduled.';

-- No foreign keys: the trigger below and `verify` check the same and more.
CREATE TABLE entries (
    wallet        bigint      NOT NULL,
    sequence      bigint      NOT NULL CONSTRAINT entries_sequence CHECK (sequence > 0),
    transaction   uuid        NOT NULL,
    type          text        NOT NULL COLLATE "C",
    amount        bigint      NOT NULL CONSTRAINT entries_amount CHECK (amount <> 0),
    balance_after bigint      NOT NULL,
    time          timestamptz NOT NULL,
    -- A lost update violates this key.
    CONSTRAINT entries_pkey PRIMARY KEY (wallet, sequence)
);
CREATE INDEX entries_by_transaction ON entries (transaction);
CREATE INDEX entries_by_type ON entries (wallet, type, sequence);
COMMENT ON TABLE entries IS
    'What each transaction added to each of its wallets. A wallet''s entries are numbered without gaps and sum to'
    ' its balance. Never changed.';

CREATE TABLE entry_totals (
    wallet   bigint  NOT NULL,
    sequence bigint  NOT NULL CONSTRAINT entry_totals_sequence CHECK (sequence > 0 AND sequence % 1000 = 0),
    type     text    NOT NULL COLLATE "C",
    count    bigint  NOT NULL,
    credited numeric NOT NULL,
    debited  numeric NOT NULL,
    CONSTRAINT entry_totals_pkey PRIMARY KEY (wallet, sequence, type)
);
COMMENT ON TABLE entry_totals IS
    'Totals by type of a wallet''s entries up to every thousandth one: a statement of any length reads two of '
    'them and the few entries around its ends. Written with the thousandth entry, never changed.';
"""

# Runs once for each INSERT, after the wallets were updated in the same database transaction. A LATERAL that ends in
# LIMIT 1 can be planned in one way only: for each new entry by itself, by the key that it is given. Plans are kept, and
# one that was made while the tables were small, or that trusts an old ANALYZE, would read a whole index for each entry.
CHECK_ENTRIES = """
CREATE FUNCTION check_entries() RETURNS trigger
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
BEGIN
    PERFORM
    FROM fresh
    CROSS JOIN LATERAL (SELECT currency FROM wallets WHERE key = fresh.wallet LIMIT 1) AS its
    GROUP BY fresh.transaction, its.currency
    HAVING sum(fresh.amount) <> 0;
    IF FOUND THEN
        RAISE EXCEPTION 'entries of a transaction do not sum to zero'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_zero_sum';
    END IF;

    PERFORM
    FROM fresh
    LEFT JOIN LATERAL (
        SELECT balance_after, time FROM entries WHERE wallet = fresh.wallet AND sequence = fresh.sequence - 1 LIMIT 1
    ) AS earlier ON true
    WHERE fresh.balance_after <> coalesce(earlier.balance_after, 0) + fresh.amount
        OR (earlier.time IS NULL) <> (fresh.sequence = 1)
        OR earlier.time > fresh.time;
    IF FOUND THEN
        RAISE EXCEPTION 'an entry does not follow from the one before it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_chain';
    END IF;

    PERFORM
    FROM fresh
    LEFT JOIN LATERAL (
        SELECT wallet FROM entries WHERE wallet = fresh.wallet AND sequence = fresh.sequence + 1 LIMIT 1
    ) AS later ON true
    LEFT JOIN LATERAL (
        SELECT sequence, balance, last_time FROM wallets WHERE key = fresh.wallet LIMIT 1
    ) AS its ON true
    WHERE later.wallet IS NULL
        AND (its.sequence, its.balance, its.last_time)
            IS DISTINCT FROM (fresh.sequence, fresh.balance_after, fresh.time);
    IF FOUND THEN
        RAISE EXCEPTION 'a wallet does not equal its last entry'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_wallet';
    END IF;
    RETURN NULL;
END
$$;

-- Temporary tables come last, so that none of the same name is read instead; the schema is the one that is migrated.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION check_entries() SET search_path = %I, pg_catalog, pg_temp', current_schema());
END
$$;

CREATE TRIGGER entries_checked
AFTER INSERT ON entries
REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION check_entries();
"""

COMMISSION = """
CREATE TABLE commission_rules (
    id              uuid        NOT NULL CONSTRAINT commission_rules_pkey PRIMARY KEY,
    currency        text        NOT NULL COLLATE "C"
                                CONSTRAINT commission_rules_currency CHECK (currency ~ '^[A-Z]{3}$'),
    threshold       bigint      NOT NULL CONSTRAINT commission_rules_threshold CHECK (threshold >= 0),
    rate_millionths integer     NOT NULL CONSTRAINT commission_rules_rate
                                CHECK (rate_millionths BETWEEN 0 AND 1000000),
    fixed           bigint      NOT NULL CONSTRAINT commission_rules_fixed CHECK (fixed >= 0),
    minimum         bigint      NOT NULL CONSTRAINT commission_rules_minimum CHECK (minimum >= 0),
    maximum         bigint      CONSTRAINT commission_rules_maximum CHECK (maximum >= minimum),
    payer           text        NOT NULL CONSTRAINT commission_rules_payer CHECK (payer IN ('SOURCE', 'DESTINATION')),
    wallet          bigint      CONSTRAINT commission_rules_wallet_fkey REFERENCES wallets (key),
    label_key       text,
    label_value     text,
    start_time      timestamptz NOT NULL,
    end_time        timestamptz,
    create_time     timestamptz NOT NULL,
    CONSTRAINT commission_rules_scope
        CHECK ((label_key IS NULL) = (label_value IS NULL) AND (wallet IS NULL OR label_key IS NULL))
);
CREATE INDEX commission_rules_by_end ON commission_rules (currency, coalesce(end_time, 'infinity'));
CREATE INDEX commission_rules_by_wallet ON commission_rules (currency, wallet);
CREATE INDEX commission_rules_by_time ON commission_rules (create_time DESC, id DESC);
COMMENT ON TABLE commission_rules IS
    'What transfers are charged: of one wallet, of wallets with a label, or of all in a currency. Of a rule only '
    'its end ever changes.';
"""

HOLDS = """
CREATE TABLE holds (
    id          uuid        NOT NULL CONSTRAINT holds_pkey PRIMARY KEY,
    wallet      bigint      NOT NULL CONSTRAINT holds_wallet_fkey REFERENCES wallets (key),
    amount      bigint      NOT NULL CONSTRAINT holds_amount CHECK (amount > 0),
    captured    bigint      NOT NULL CONSTRAINT holds_captured CHECK (captured BETWEEN 0 AND amount),
    description text        NOT NULL,
    state       text        NOT NULL CONSTRAINT holds_state
                            CHECK (state IN ('ACTIVE', 'CAPTURED', 'VOIDED', 'EXPIRED')),
    expire_time timestamptz NOT NULL,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    lease_until timestamptz,
    fence       bigint      NOT NULL,
    CONSTRAINT holds_in_time CHECK (expire_time > create_time),
    CONSTRAINT holds_ended_by_capture CHECK (state <> 'CAPTURED' OR captured > 0),
    CONSTRAINT holds_not_used_up CHECK (state <> 'ACTIVE' OR captured < amount)
);
CREATE INDEX holds_to_expire ON holds (expire_time, id) WHERE state = 'ACTIVE';
CREATE INDEX holds_open ON holds (wallet) WHERE state = 'ACTIVE';
CREATE INDEX holds_by_wallet ON holds (wallet, create_time DESC, id DESC);
CREATE INDEX holds_by_time ON holds (create_time DESC, id DESC);
COMMENT ON TABLE holds IS 'Money that is reserved in a wallet until it is captured, voided or expires.';
COMMENT ON COLUMN holds.fence IS 'Raised with every claim by a scheduler: work under an older claim changes nothing.';
"""

ORDERS = """
CREATE TABLE withdrawals (
    id                uuid        NOT NULL CONSTRAINT withdrawals_pkey PRIMARY KEY,
    wallet            bigint      NOT NULL CONSTRAINT withdrawals_wallet_fkey REFERENCES wallets (key),
    amount            bigint      NOT NULL CONSTRAINT withdrawals_amount CHECK (amount > 0),
    bank_account      text        NOT NULL,
    description       text        NOT NULL,
    reserve           boolean     NOT NULL DEFAULT false,
    state             text        NOT NULL CONSTRAINT withdrawals_state
                                  CHECK (state IN ('SCHEDULED', 'PROCESSING', 'IN_DOUBT', 'SUCCEEDED', 'FAILED',
                                                   'CANCELLED', 'RETURNED')),
    execute_time      timestamptz NOT NULL,
    create_time       timestamptz NOT NULL,
    update_time       timestamptz NOT NULL,
    next_attempt_time timestamptz,
    lease_until       timestamptz,
    fence             bigint      NOT NULL,
    inquiries         integer     NOT NULL,
    bank_reference    text        NOT NULL,
    failure_reason    text        CONSTRAINT withdrawals_failure_reason
                                  CHECK (failure_reason IN ('INSUFFICIENT_FUNDS', 'WALLET_NOT_ACTIVE', 'BANK_DECLINED',
                                                            'ATTEMPTS_EXHAUSTED', 'RESOLVED')),
    attention         text        NOT NULL,
    unapplied         boolean     NOT NULL DEFAULT false,
    reconciled        boolean     NOT NULL DEFAULT false,
    CONSTRAINT withdrawals_final
        CHECK ((state IN ('SCHEDULED', 'PROCESSING', 'IN_DOUBT')) = (next_attempt_time IS NOT NULL)),
    CONSTRAINT withdrawals_lease CHECK (lease_until IS NULL OR next_attempt_time IS NOT NULL),
    CONSTRAINT withdrawals_succeeded CHECK ((state IN ('SUCCEEDED', 'RETURNED')) = (bank_reference <> '')),
    CONSTRAINT withdrawals_failed CHECK ((state = 'FAILED') = (failure_reason IS NOT NULL)),
    CONSTRAINT withdrawals_unapplied CHECK (NOT unapplied OR state IN ('SUCCEEDED', 'RETURNED') AND attention <> '')
);
CREATE INDEX withdrawals_to_pay ON withdrawals (next_attempt_time, id) WHERE state IN ('SCHEDULED', 'PROCESSING');
CREATE INDEX withdrawals_to_reconcile ON withdrawals (next_attempt_time, id) WHERE state IN ('IN_DOUBT', 'PROCESSING');
CREATE INDEX withdrawals_open ON withdrawals (wallet) WHERE state IN ('SCHEDULED', 'PROCESSING', 'IN_DOUBT');
CREATE INDEX withdrawals_attention ON withdrawals (update_time, id) WHERE attention <> '';
CREATE INDEX withdrawals_unreconciled ON withdrawals (update_time, id)
    WHERE state IN ('SUCCEEDED', 'RETURNED') AND NOT reconciled;
CREATE INDEX withdrawals_by_wallet ON withdrawals (wallet, create_time DESC, id DESC);
CREATE INDEX withdrawals_by_time ON withdrawals (create_time DESC, id DESC);
COMMENT ON TABLE withdrawals IS 'Payment orders that the bank is to pay out of a wallet.';
COMMENT ON COLUMN withdrawals.reserve IS 'Whether the amount is held from the time of scheduling.';
COMMENT ON COLUMN withdrawals.fence IS
    'Raised with every claim by a scheduler: work under an older claim changes nothing.';
COMMENT ON COLUMN withdrawals.inquiries IS 'How often the bank was asked for the status of a payment in doubt.';
COMMENT ON COLUMN withdrawals.attention IS 'Why an operator must look at it; empty where none must.';
COMMENT ON COLUMN withdrawals.unapplied IS 'Whether money of it could not be credited and is in transit.';
COMMENT ON COLUMN withdrawals.reconciled IS
    'Whether the bank statement confirms it, or an operator has acknowledged that it does not.';

CREATE TABLE scheduled_deposits (
    id                 uuid        NOT NULL CONSTRAINT scheduled_deposits_pkey PRIMARY KEY,
    wallet             bigint      NOT NULL CONSTRAINT scheduled_deposits_wallet_fkey REFERENCES wallets (key),
    amount             bigint      NOT NULL CONSTRAINT scheduled_deposits_amount CHECK (amount > 0),
    collect            boolean     NOT NULL,
    bank_account       text        NOT NULL,
    description        text        NOT NULL,
    external_reference text        NOT NULL,
    state              text        NOT NULL CONSTRAINT scheduled_deposits_state
                                   CHECK (state IN ('SCHEDULED', 'PROCESSING', 'IN_DOUBT', 'SUCCEEDED', 'FAILED',
                                                    'CANCELLED')),
    execute_time       timestamptz NOT NULL,
    create_time        timestamptz NOT NULL,
    update_time        timestamptz NOT NULL,
    next_attempt_time  timestamptz,
    lease_until        timestamptz,
    fence              bigint      NOT NULL,
    inquiries          integer     NOT NULL,
    bank_reference     text        NOT NULL,
    failure_reason     text        CONSTRAINT scheduled_deposits_failure_reason
                                   CHECK (failure_reason IN ('BANK_DECLINED', 'ATTEMPTS_EXHAUSTED', 'LIMIT_EXCEEDED',
                                                             'RESOLVED')),
    credit             uuid,
    attention          text        NOT NULL,
    unapplied          boolean     NOT NULL DEFAULT false,
    reconciled         boolean     NOT NULL DEFAULT false,
    -- A credit without collection has no state between before and after.
    CONSTRAINT scheduled_deposits_collected CHECK (collect OR state NOT IN ('PROCESSING', 'IN_DOUBT')),
    CONSTRAINT scheduled_deposits_final
        CHECK ((state IN ('SUCCEEDED', 'FAILED', 'CANCELLED')) = (next_attempt_time IS NULL)),
    CONSTRAINT scheduled_deposits_lease CHECK (lease_until IS NULL OR next_attempt_time IS NOT NULL),
    CONSTRAINT scheduled_deposits_succeeded CHECK ((state = 'SUCCEEDED') = (credit IS NOT NULL)),
    CONSTRAINT scheduled_deposits_reference CHECK ((collect AND state = 'SUCCEEDED') = (bank_reference <> '')),
    CONSTRAINT scheduled_deposits_failed CHECK ((state = 'FAILED') = (failure_reason IS NOT NULL)),
    CONSTRAINT scheduled_deposits_unapplied
        CHECK (NOT unapplied OR state IN ('SUCCEEDED', 'RETURNED') AND attention <> '')
);
CREATE INDEX scheduled_deposits_to_credit ON scheduled_deposits (next_attempt_time, id)
    WHERE NOT collect AND state = 'SCHEDULED';
CREATE INDEX scheduled_deposits_to_collect ON scheduled_deposits (next_attempt_time, id)
    WHERE collect AND state IN ('SCHEDULED', 'PROCESSING');
CREATE INDEX scheduled_deposits_to_reconcile ON scheduled_deposits (next_attempt_time, id)
    WHERE collect AND state IN ('IN_DOUBT', 'PROCESSING');
CREATE INDEX scheduled_deposits_open ON scheduled_deposits (wallet)
    WHERE state IN ('SCHEDULED', 'PROCESSING', 'IN_DOUBT');
CREATE INDEX scheduled_deposits_attention ON scheduled_deposits (update_time, id) WHERE attention <> '';
CREATE INDEX scheduled_deposits_unreconciled ON scheduled_deposits (update_time, id)
    WHERE collect AND state IN ('SUCCEEDED', 'RETURNED') AND NOT reconciled;
CREATE INDEX scheduled_deposits_by_wallet ON scheduled_deposits (wallet, create_time DESC, id DESC);
CREATE INDEX scheduled_deposits_by_time ON scheduled_deposits (create_time DESC, id DESC);
COMMENT ON TABLE scheduled_deposits IS
    'Payment orders that credit a wallet, collected from the bank first where collect is true. Columns that '
    'withdrawals have too are explained there.';
COMMENT ON COLUMN scheduled_deposits.credit IS 'The transaction that credited it.';
"""

BANK = """
CREATE TABLE bank_attempts (
    key             text        NOT NULL COLLATE "C"
                                CONSTRAINT bank_attempts_key CHECK (key ~ '^(wd|sd)-[0-9a-f-]{36}$'),
    number          integer     NOT NULL CONSTRAINT bank_attempts_number CHECK (number > 0),
    is_resend       boolean     NOT NULL,
    request         text        NOT NULL DEFAULT '',
    start_time      timestamptz NOT NULL,
    in_flight_until timestamptz NOT NULL,
    answer          text        CONSTRAINT bank_attempts_answer
                                CHECK (answer IN ('ACCEPTED', 'DECLINED_RETRYABLE', 'DECLINED', 'NOT_SENT', 'UNKNOWN')),
    reference       text        NOT NULL,
    detail          text        NOT NULL,
    answer_time     timestamptz,
    CONSTRAINT bank_attempts_pkey PRIMARY KEY (key, number),
    CONSTRAINT bank_attempts_answered CHECK ((answer IS NULL) = (answer_time IS NULL)),
    CONSTRAINT bank_attempts_in_flight_until CHECK (in_flight_until >= start_time)
);
COMMENT ON TABLE bank_attempts IS
    'Calls to the bank, stored before each is made. Without an answer the bank may have done what was requested.';
COMMENT ON COLUMN bank_attempts.key IS
    'The idempotency key that the bank gets: wd- or sd- and the id of the withdrawal or scheduled deposit.';
COMMENT ON COLUMN bank_attempts.is_resend IS
    'Whether the bank did not know the key after every earlier call had ended.';
COMMENT ON COLUMN bank_attempts.in_flight_until IS
    'Until when the call may reach the bank, by the settings of the process that makes it.';

CREATE TABLE bank_statements (
    number      integer     NOT NULL CONSTRAINT bank_statements_pkey PRIMARY KEY,
    reason      text        NOT NULL CONSTRAINT bank_statements_reason CHECK ((number = 1) = (reason = '')),
    accepted_by text        NOT NULL,
    person      text        NOT NULL,
    token_id    text        NOT NULL,
    time        timestamptz NOT NULL
);
INSERT INTO bank_statements VALUES (1, '', '', '', '', clock_timestamp());
COMMENT ON TABLE bank_statements IS
    'Statements of the bank that were or are read, one after the other. An operator has accepted each but the '
    'first in place of the one before it.';
COMMENT ON COLUMN bank_statements.person IS
    'The operator, from the verified credentials of the call (a token''s sub, or a certificate''s name); empty '
    'where they have none. token_id is the token''s jti.';

CREATE TABLE bank_statement_cursor (
    statement      integer     NOT NULL DEFAULT 1,
    line_offset    bigint      NOT NULL DEFAULT 0,
    read_to_end_at timestamptz,
    error          text        NOT NULL,
    error_since    timestamptz NOT NULL
);
INSERT INTO bank_statement_cursor (error, error_since) VALUES ('', clock_timestamp());
COMMENT ON TABLE bank_statement_cursor IS
    'One row: which bank statement is read, and when it was last read to its end.';
COMMENT ON COLUMN bank_statement_cursor.line_offset IS
    'Lines are numbered on from statement to statement: added to the bank''s number of a line, this is its number'
    ' here.';
COMMENT ON COLUMN bank_statement_cursor.error IS 'Why the statement cannot be read; empty where it can.';

CREATE TABLE bank_statement_lines (
    number       bigint      NOT NULL CONSTRAINT bank_statement_lines_pkey PRIMARY KEY,
    statement    integer     NOT NULL,
    kind         text        NOT NULL CONSTRAINT bank_statement_lines_kind
                             CHECK (kind IN ('EXECUTION', 'COLLECTION', 'RETURN', 'OTHER')),
    key          text        NOT NULL COLLATE "C",
    order_id     uuid,
    amount       bigint      NOT NULL,
    currency     text        NOT NULL,
    reference    text        NOT NULL,
    time         timestamptz NOT NULL,
    match_result text        CONSTRAINT bank_statement_lines_match_result CHECK (match_result IN ('ORDER', 'NOTHING')),
    explanation  text        NOT NULL DEFAULT '',
    resolution   text        NOT NULL DEFAULT '',
    resolved_by  text        NOT NULL DEFAULT '',
    person       text        NOT NULL DEFAULT '',
    token_id     text        NOT NULL DEFAULT '',
    CONSTRAINT bank_statement_lines_explanation
        CHECK ((match_result IS NOT DISTINCT FROM 'NOTHING') = (explanation <> '')),
    CONSTRAINT bank_statement_lines_resolution CHECK (resolution = '' OR explanation <> '')
);
CREATE INDEX bank_statement_lines_by_key ON bank_statement_lines (key, number);
CREATE INDEX bank_statement_lines_unmatched ON bank_statement_lines (number) WHERE match_result IS NULL;
CREATE INDEX bank_statement_lines_open ON bank_statement_lines (time, number)
    WHERE match_result = 'NOTHING' AND resolution = '';
COMMENT ON TABLE bank_statement_lines IS
    'Lines of the bank statements as they were read, and what each was matched with.';
COMMENT ON COLUMN bank_statement_lines.order_id IS 'The order that the key names, if it has the form of one of ours.';
COMMENT ON COLUMN bank_statement_lines.match_result IS
    'NULL while the order is in progress; NOTHING is a discrepancy.';
COMMENT ON COLUMN bank_statement_lines.explanation IS 'Why it is a discrepancy.';
COMMENT ON COLUMN bank_statement_lines.resolution IS 'An operator''s finding; empty while the discrepancy is open.';

CREATE TABLE resolutions (
    position      bigint      NOT NULL GENERATED ALWAYS AS IDENTITY CONSTRAINT resolutions_pkey PRIMARY KEY,
    subject       text        NOT NULL COLLATE "C",
    kind          text        NOT NULL CONSTRAINT resolutions_kind
                              CHECK (kind IN ('EXECUTED', 'NOT_EXECUTED', 'APPLIED_TO_WALLET', 'ACKNOWLEDGED')),
    reason        text        NOT NULL CONSTRAINT resolutions_reason CHECK (reason <> ''),
    bank_evidence text        NOT NULL,
    operator      text        NOT NULL,
    person        text        NOT NULL,
    token_id      text        NOT NULL,
    time          timestamptz NOT NULL
);
CREATE INDEX resolutions_by_subject ON resolutions (subject, position);
COMMENT ON TABLE resolutions IS 'Operators'' resolutions of payment orders. Never changed.';
COMMENT ON COLUMN resolutions.operator IS 'The system that made the call; person and token_id as in bank_statements.';

CREATE TABLE bank_rate_limit (
    calls     double precision NOT NULL,
    filled_at timestamptz      NOT NULL
);
INSERT INTO bank_rate_limit VALUES (0, clock_timestamp());
COMMENT ON TABLE bank_rate_limit IS 'One row: the token bucket of calls to the bank that all schedulers share.';
"""

REQUESTS = """
CREATE TABLE requests (
    caller          text        NOT NULL COLLATE "C",
    request_id      uuid        NOT NULL,
    method          text        NOT NULL,
    fingerprint     bytea       NOT NULL CONSTRAINT requests_fingerprint CHECK (length(fingerprint) = 16),
    subject         text,
    available       bigint,
    refusal         text,
    refusal_details jsonb,
    time            timestamptz NOT NULL,
    CONSTRAINT requests_pkey PRIMARY KEY (caller, request_id),
    CONSTRAINT requests_outcome
        CHECK ((subject IS NULL) = (refusal IS NOT NULL) AND (refusal IS NULL) = (refusal_details IS NULL))
);
COMMENT ON TABLE requests IS
    'Idempotency records: the outcome of every request, stored with it and never changed. A repeat gets the same '
    'outcome.';
COMMENT ON COLUMN requests.fingerprint IS 'Hash of what was requested: another request under the same id is refused.';
COMMENT ON COLUMN requests.subject IS 'Name of the resource that was made or changed.';

CREATE TABLE page_token_keys (
    secret text NOT NULL
);
INSERT INTO page_token_keys VALUES (gen_random_uuid()::text || gen_random_uuid()::text);
COMMENT ON TABLE page_token_keys IS 'One row: the key that signs page tokens, for all processes.';
"""

EVENTS = """
CREATE TABLE outbox (
    position bigint      NOT NULL GENERATED ALWAYS AS IDENTITY CONSTRAINT outbox_pkey PRIMARY KEY,
    type     text        NOT NULL,
    subject  text        NOT NULL,
    wallets  text[]      NOT NULL,
    time     timestamptz NOT NULL
);
COMMENT ON TABLE outbox IS 'Events that are committed and not yet in the journal.';

CREATE TABLE journal (
    number  bigint      NOT NULL CONSTRAINT journal_pkey PRIMARY KEY CONSTRAINT journal_number CHECK (number > 0),
    type    text        NOT NULL,
    subject text        NOT NULL,
    wallets text[]      NOT NULL,
    time    timestamptz NOT NULL,
    hash    bytea       NOT NULL CONSTRAINT journal_hash CHECK (length(hash) = 32)
);
COMMENT ON TABLE journal IS 'Events in one order without gaps. Never changed.';
COMMENT ON COLUMN journal.hash IS
    'SHA-256 of the hash before it and of this record: one hash proves all records up to its own.';
"""

# Stops a slip even of the owner, e.g. a forgotten WHERE. A superuser can still disable triggers on purpose.
HISTORY = """
CREATE FUNCTION refuse_change_of_history() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'history is never changed: % of % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege', HINT = 'Correct it by a transaction of its own.';
END
$$;
"""
NEVER_CHANGED = (
    *("currencies", "transactions", "entries", "entry_totals", "requests", "journal", "resolutions", "bank_statements"),
)


def upgrade() -> None:
    """Make everything."""
    for statements in (
        WALLETS,
        TRANSACTIONS,
        CHECK_ENTRIES,
        COMMISSION,
        HOLDS,
        ORDERS,
        BANK,
        REQUESTS,
        EVENTS,
        HISTORY,
    ):
        op.execute(statements)
    for table in NEVER_CHANGED:
        op.execute(
            f"CREATE TRIGGER {table}_guarded BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history()"
        )
