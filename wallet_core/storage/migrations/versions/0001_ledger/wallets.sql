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
