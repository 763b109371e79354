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
