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
