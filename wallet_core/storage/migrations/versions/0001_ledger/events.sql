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
