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
