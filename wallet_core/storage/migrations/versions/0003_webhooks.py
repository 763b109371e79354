"""Webhooks: endpoints, how far the journal was queued for them, their deliveries and attempts."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

WEBHOOKS = """
CREATE TABLE webhooks (
    id                    uuid        NOT NULL CONSTRAINT webhooks_pkey PRIMARY KEY,
    creator               text        NOT NULL,
    confined_to           text        COLLATE "C",
    rights                text[]      NOT NULL,
    url                   text        NOT NULL,
    description           text        NOT NULL,
    types                 text[]      NOT NULL,
    wallet                bigint      CONSTRAINT webhooks_wallet_fkey REFERENCES wallets (key),
    owner                 text        NOT NULL COLLATE "C",
    label_key             text,
    label_value           text,
    state                 text        NOT NULL
                                      CONSTRAINT webhooks_state CHECK (state IN ('ENABLED', 'DISABLED', 'DELETED')),
    disabled_reason       text        NOT NULL,
    secret                text        NOT NULL,
    secret_number         integer     NOT NULL CONSTRAINT webhooks_secret_number CHECK (secret_number > 0),
    previous_secret       text        NOT NULL,
    previous_secret_until timestamptz,
    revision              bigint      NOT NULL,
    create_time           timestamptz NOT NULL,
    update_time           timestamptz NOT NULL,
    begins_after          bigint      NOT NULL,
    queued_to             bigint,
    redeliver_since       timestamptz,
    redeliver_until       timestamptz,
    CONSTRAINT webhooks_label CHECK ((label_key IS NULL) = (label_value IS NULL)),
    CONSTRAINT webhooks_secret CHECK ((state = 'DELETED') = (secret = '')),
    CONSTRAINT webhooks_previous_secret CHECK ((previous_secret = '') = (previous_secret_until IS NULL)),
    CONSTRAINT webhooks_queued_to CHECK (state = 'ENABLED' OR queued_to IS NOT NULL),
    CONSTRAINT webhooks_redeliver CHECK ((redeliver_since IS NULL) = (redeliver_until IS NULL))
);
CREATE INDEX webhooks_by_time ON webhooks (create_time DESC, id DESC);
COMMENT ON TABLE webhooks IS
    'Endpoints that receive events. Rows are never deleted, but a deletion erases the secrets.';
COMMENT ON COLUMN webhooks.confined_to IS
    'The owner that its creator was confined to: it receives this owner''s events.';
COMMENT ON COLUMN webhooks.rights IS 'The rights of its creator on which it depends what an event shows.';
COMMENT ON COLUMN webhooks.secret IS
    'Signs the requests, so it is kept as it is: a reader of this column can sign. Not granted to other roles.';
COMMENT ON COLUMN webhooks.begins_after IS 'Events of the journal up to this number are not for it.';
COMMENT ON COLUMN webhooks.queued_to IS
    'The last journal number that was queued for it; NULL while it goes along with webhook_cursor.';
COMMENT ON COLUMN webhooks.redeliver_since IS
    'Dead letters that became so from then until redeliver_until are being queued again.';
"""

DELIVERIES = """
CREATE TABLE webhook_cursor (
    number bigint NOT NULL CONSTRAINT webhook_cursor_number CHECK (number >= 0)
);
INSERT INTO webhook_cursor (number) SELECT coalesce(max(number), 0) FROM journal;
COMMENT ON TABLE webhook_cursor IS 'One row: the last journal number that was queued for the webhooks.';

CREATE TABLE webhook_queues (
    webhook  uuid    NOT NULL CONSTRAINT webhook_queues_pkey PRIMARY KEY
                     CONSTRAINT webhook_queues_webhook_fkey REFERENCES webhooks (id),
    failures integer NOT NULL DEFAULT 0 CONSTRAINT webhook_queues_failures CHECK (failures >= 0)
);
COMMENT ON TABLE webhook_queues IS
    'One row a webhook, locked while its deliveries are claimed: apart from webhooks, so that no call waits for it.';
COMMENT ON COLUMN webhook_queues.failures IS 'Failed attempts in a row: meanwhile it gets one request at a time.';

-- No foreign key: rows of webhooks stay, and each event of each webhook would look one up.
CREATE TABLE webhook_deliveries (
    webhook           uuid        NOT NULL,
    number            bigint      NOT NULL,
    wallets           bigint[]    NOT NULL,
    state             text        NOT NULL
                                  CONSTRAINT webhook_deliveries_state
                                  CHECK (state IN ('PENDING', 'DELIVERED', 'DEAD')),
    attempts          integer     NOT NULL DEFAULT 0,
    tries             integer     NOT NULL DEFAULT 0,
    next_attempt_time timestamptz,
    lease_until       timestamptz,
    fence             bigint      NOT NULL DEFAULT 0,
    create_time       timestamptz NOT NULL,
    end_time          timestamptz,
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (webhook, number),
    CONSTRAINT webhook_deliveries_pending CHECK ((state = 'PENDING') = (next_attempt_time IS NOT NULL)),
    CONSTRAINT webhook_deliveries_ended CHECK ((state = 'PENDING') = (end_time IS NULL)),
    CONSTRAINT webhook_deliveries_lease CHECK (state = 'PENDING' OR lease_until IS NULL)
);
CREATE INDEX webhook_deliveries_by_time ON webhook_deliveries (webhook, create_time DESC, number DESC);
CREATE INDEX webhook_deliveries_open ON webhook_deliveries (webhook, number) WHERE state = 'PENDING';
CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (webhook, end_time) WHERE state = 'DEAD';
CREATE INDEX webhook_deliveries_delivered ON webhook_deliveries (end_time) WHERE state = 'DELIVERED';
COMMENT ON TABLE webhook_deliveries IS 'What is, was or could not be sent to a webhook. Pruned by age.';
COMMENT ON COLUMN webhook_deliveries.number IS 'Of the journal record; below zero for a ping.';
COMMENT ON COLUMN webhook_deliveries.wallets IS
    'Keys of the callers'' wallets whose order it keeps: it waits for earlier ones of the same wallets.';
COMMENT ON COLUMN webhook_deliveries.tries IS 'Attempts of the present schedule; a redelivery begins a new one.';
COMMENT ON COLUMN webhook_deliveries.fence IS 'Raised with every claim: work under an older claim changes nothing.';

CREATE TABLE webhook_attempts (
    webhook    uuid        NOT NULL,
    number     bigint      NOT NULL,
    attempt    integer     NOT NULL,
    time       timestamptz NOT NULL,
    status     integer     NOT NULL,
    latency_ms integer     NOT NULL,
    response   text        NOT NULL,
    error      text        NOT NULL,
    CONSTRAINT webhook_attempts_pkey PRIMARY KEY (webhook, number, attempt)
);
COMMENT ON TABLE webhook_attempts IS 'Requests to endpoints, stored with their outcome. Pruned with their delivery.';
"""


def upgrade() -> None:
    """Make them."""
    op.execute(WEBHOOKS)
    op.execute(DELIVERIES)
