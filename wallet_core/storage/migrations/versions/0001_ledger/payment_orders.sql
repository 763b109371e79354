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
