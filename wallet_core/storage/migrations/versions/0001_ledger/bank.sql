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
