"""The ledger: wallets, transactions, entries, requests, outbox; and withdrawals with their attempts.

Names are never schema-qualified, so that a tenant can be a schema. There is no way down: money is not unmade.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE SEQUENCE wallet_keys;

CREATE TABLE wallets (
    key             bigint      NOT NULL CONSTRAINT wallets_pkey PRIMARY KEY,
    id              text        NOT NULL COLLATE "C" CONSTRAINT wallets_id_key UNIQUE,
    role            text        NOT NULL CONSTRAINT wallets_role
                                CHECK (role IN ('ORDINARY', 'EXTERNAL', 'IN_TRANSIT', 'COMMISSION')),
    currency        text        NOT NULL CONSTRAINT wallets_currency CHECK (currency ~ '^[A-Z]{3}$'),
    owner           text        NOT NULL,
    display_name    text        NOT NULL,
    state           text        NOT NULL CONSTRAINT wallets_state CHECK (state IN ('ACTIVE', 'FROZEN', 'CLOSED')),
    balance         bigint      NOT NULL,
    held            bigint      NOT NULL CONSTRAINT wallets_held CHECK (held >= 0),
    overdraft_limit bigint      NOT NULL CONSTRAINT wallets_overdraft_limit CHECK (overdraft_limit >= 0),
    sequence        bigint      NOT NULL CONSTRAINT wallets_sequence CHECK (sequence >= 0),
    last_time       timestamptz NOT NULL,
    create_time     timestamptz NOT NULL,
    CONSTRAINT wallets_floor CHECK (role = 'EXTERNAL' OR balance - held >= -overdraft_limit),
    -- System wallets have the highest keys, so that whoever locks in key order locks them last.
    CONSTRAINT wallets_system_key CHECK ((role = 'ORDINARY') = (key < 4611686018427387904)),
    CONSTRAINT wallets_system_id CHECK ((role = 'ORDINARY') = (id ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'))
);

CREATE TABLE transactions (
    id                 uuid        NOT NULL CONSTRAINT transactions_pkey PRIMARY KEY,
    type               text        NOT NULL CONSTRAINT transactions_type
                                   CHECK (type IN ('DEPOSIT', 'TRANSFER', 'WITHDRAWAL', 'WITHDRAWAL_SETTLEMENT',
                                                   'WITHDRAWAL_RELEASE')),
    source             bigint      NOT NULL,
    destination        bigint      NOT NULL,
    amount             bigint      NOT NULL CONSTRAINT transactions_amount CHECK (amount > 0),
    description        text        NOT NULL,
    external_reference text        NOT NULL,
    withdrawal         uuid,
    time               timestamptz NOT NULL,
    CONSTRAINT transactions_withdrawal CHECK ((type LIKE 'WITHDRAWAL%') = (withdrawal IS NOT NULL))
);

-- What a wallet's balance is made of. No foreign keys: the trigger below and `verify` check the same and more.
CREATE TABLE entries (
    wallet        bigint      NOT NULL,
    sequence      bigint      NOT NULL CONSTRAINT entries_sequence CHECK (sequence > 0),
    transaction   uuid        NOT NULL,
    amount        bigint      NOT NULL CONSTRAINT entries_amount CHECK (amount <> 0),
    balance_after bigint      NOT NULL,
    time          timestamptz NOT NULL,
    -- A lost update collides here.
    CONSTRAINT entries_pkey PRIMARY KEY (wallet, sequence)
);
CREATE INDEX entries_by_transaction ON entries (transaction);

CREATE TABLE requests (
    caller      text        NOT NULL,
    request_id  uuid        NOT NULL,
    method      text        NOT NULL,
    fingerprint bytea       NOT NULL CONSTRAINT requests_fingerprint CHECK (length(fingerprint) = 16),
    subject     text,
    available   bigint,
    refusal     text,
    told        jsonb,
    time        timestamptz NOT NULL,
    CONSTRAINT requests_pkey PRIMARY KEY (caller, request_id),
    CONSTRAINT requests_outcome CHECK ((subject IS NULL) = (refusal IS NOT NULL) AND (refusal IS NULL) = (told IS NULL))
);

CREATE TABLE outbox (
    position bigint      NOT NULL GENERATED ALWAYS AS IDENTITY CONSTRAINT outbox_pkey PRIMARY KEY,
    kind     text        NOT NULL,
    subject  text        NOT NULL,
    time     timestamptz NOT NULL
);

CREATE TABLE withdrawals (
    id                uuid        NOT NULL CONSTRAINT withdrawals_pkey PRIMARY KEY,
    wallet            bigint      NOT NULL CONSTRAINT withdrawals_wallet_fkey REFERENCES wallets (key),
    amount            bigint      NOT NULL CONSTRAINT withdrawals_amount CHECK (amount > 0),
    bank_account      text        NOT NULL,
    description       text        NOT NULL,
    execute_time      timestamptz NOT NULL,
    create_time       timestamptz NOT NULL,
    update_time       timestamptz NOT NULL,
    state             text        NOT NULL CONSTRAINT withdrawals_state
                                  CHECK (state IN ('SCHEDULED', 'PROCESSING', 'IN_DOUBT', 'SUCCEEDED', 'FAILED',
                                                   'CANCELLED')),
    next_attempt_time timestamptz,
    lease_until       timestamptz,
    fence             bigint      NOT NULL,
    asks              integer     NOT NULL,
    bank_reference    text        NOT NULL,
    failure_reason    text        CONSTRAINT withdrawals_failure_reason
                                  CHECK (failure_reason IN ('INSUFFICIENT_FUNDS', 'WALLET_NOT_ACTIVE', 'BANK_REFUSED',
                                                            'ATTEMPTS_USED_UP')),
    attention         text        NOT NULL,
    CONSTRAINT withdrawals_final CHECK ((state IN ('SUCCEEDED', 'FAILED', 'CANCELLED')) = (next_attempt_time IS NULL)),
    CONSTRAINT withdrawals_lease CHECK (lease_until IS NULL OR next_attempt_time IS NOT NULL),
    CONSTRAINT withdrawals_succeeded CHECK ((state = 'SUCCEEDED') = (bank_reference <> '')),
    CONSTRAINT withdrawals_failed CHECK ((state = 'FAILED') = (failure_reason IS NOT NULL))
);
CREATE INDEX withdrawals_to_pay ON withdrawals (next_attempt_time, id) WHERE state IN ('SCHEDULED', 'PROCESSING');
CREATE INDEX withdrawals_to_reconcile ON withdrawals (next_attempt_time, id) WHERE state IN ('IN_DOUBT', 'PROCESSING');
CREATE INDEX withdrawals_by_wallet ON withdrawals (wallet, create_time DESC, id DESC);
CREATE INDEX withdrawals_by_time ON withdrawals (create_time DESC, id DESC);

CREATE TABLE bank_attempts (
    withdrawal  uuid        NOT NULL CONSTRAINT bank_attempts_withdrawal_fkey REFERENCES withdrawals (id),
    number      integer     NOT NULL CONSTRAINT bank_attempts_number CHECK (number > 0),
    key         text        NOT NULL,
    start_time  timestamptz NOT NULL,
    answer      text        CONSTRAINT bank_attempts_answer
                            CHECK (answer IN ('ACCEPTED', 'DECLINED_RETRYABLE', 'DECLINED', 'NOT_SENT', 'UNKNOWN')),
    reference   text        NOT NULL,
    detail      text        NOT NULL,
    answer_time timestamptz,
    CONSTRAINT bank_attempts_pkey PRIMARY KEY (withdrawal, number),
    CONSTRAINT bank_attempts_answered CHECK ((answer IS NULL) = (answer_time IS NULL))
);

-- Signs page tokens; one for all processes, made here so that nobody has to configure it.
CREATE TABLE page_token_keys (
    secret text NOT NULL
);
INSERT INTO page_token_keys VALUES (gen_random_uuid()::text || gen_random_uuid()::text);
"""

# Runs once per INSERT, after the wallets have been updated in the same database transaction. The planner is held to
# index look-ups, because a plan made while a table was small would be kept and scan it when it has grown.
ENTRIES_TRIGGER = """
CREATE FUNCTION check_entries() RETURNS trigger
LANGUAGE plpgsql
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
BEGIN
    PERFORM
    FROM fresh
    JOIN wallets ON wallets.key = fresh.wallet
    GROUP BY fresh.transaction, wallets.currency
    HAVING sum(fresh.amount) <> 0;
    IF FOUND THEN
        RAISE EXCEPTION 'entries of a transaction do not sum to zero'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_zero_sum';
    END IF;

    PERFORM
    FROM fresh
    LEFT JOIN entries AS earlier
        ON earlier.wallet = fresh.wallet AND earlier.sequence = fresh.sequence - 1
    WHERE fresh.balance_after <> coalesce(earlier.balance_after, 0) + fresh.amount
        OR (earlier.wallet IS NULL) <> (fresh.sequence = 1)
        OR earlier.time > fresh.time;
    IF FOUND THEN
        RAISE EXCEPTION 'an entry does not follow from the one before it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_chain';
    END IF;

    PERFORM
    FROM fresh
    LEFT JOIN wallets ON wallets.key = fresh.wallet
    LEFT JOIN entries AS later
        ON later.wallet = fresh.wallet AND later.sequence = fresh.sequence + 1
    WHERE later.wallet IS NULL
        AND (wallets.sequence, wallets.balance, wallets.last_time)
            IS DISTINCT FROM (fresh.sequence, fresh.balance_after, fresh.time);
    IF FOUND THEN
        RAISE EXCEPTION 'a wallet does not equal its last entry'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_wallet';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER entries_checked
AFTER INSERT ON entries
REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION check_entries();
"""

# Server and scheduler act as this role whatever login they use: history can be added to, never rewritten.
ROLE = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'wallet_service') THEN
        CREATE ROLE wallet_service NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another database of this cluster was migrated at the same moment
END
$$;

DO $$
BEGIN
    -- From version 16 on whoever creates a role is its member but may not take it on.
    IF current_setting('is_superuser') = 'on' OR NOT pg_has_role(
        current_user,
        'wallet_service',
        CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END
    ) THEN
        EXECUTE format('GRANT wallet_service TO %I', current_user);
    END IF;
END
$$;

GRANT SELECT ON
    wallets, transactions, entries, requests, outbox, withdrawals, bank_attempts, page_token_keys, alembic_version
    TO wallet_service;
GRANT USAGE ON SEQUENCE wallet_keys TO wallet_service;
GRANT INSERT ON wallets, transactions, entries, requests, outbox, withdrawals, bank_attempts TO wallet_service;
GRANT UPDATE (display_name, state, balance, held, overdraft_limit, sequence, last_time) ON wallets TO wallet_service;
GRANT UPDATE (update_time, state, next_attempt_time, lease_until, fence, asks, bank_reference, failure_reason,
              attention) ON withdrawals TO wallet_service;
GRANT UPDATE (answer, reference, detail, answer_time) ON bank_attempts TO wallet_service;
GRANT DELETE ON outbox TO wallet_service;
"""


def upgrade() -> None:
    """Make everything."""
    op.execute(TABLES)
    op.execute(ENTRIES_TRIGGER)
    op.execute(ROLE)
