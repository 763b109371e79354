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
