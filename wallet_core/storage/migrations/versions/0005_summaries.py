"""Summaries of the journal, below which its records may be dropped."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SUMMARIES = """
CREATE TABLE journal_summaries (
    number    bigint      NOT NULL CONSTRAINT journal_summaries_pkey PRIMARY KEY
              CONSTRAINT journal_summaries_number CHECK (number > 0),
    statement text        NOT NULL,
    key_id    text        NOT NULL COLLATE "C",
    signature bytea       NOT NULL CONSTRAINT journal_summaries_signature CHECK (length(signature) = 64),
    time      timestamptz NOT NULL
);
COMMENT ON TABLE journal_summaries IS
    'Signed statements of what the journal has said up to a number: earlier records may be dropped. Never changed.';
COMMENT ON COLUMN journal_summaries.number IS 'Of the last journal record that it sums up; this record stays.';

CREATE TABLE journal_last_events (
    subject     text   NOT NULL COLLATE "C",
    number      bigint NOT NULL,
    events      bigint NOT NULL CONSTRAINT journal_last_events_events CHECK (events > 0),
    types       text[] NOT NULL,
    facts       jsonb,
    resolutions jsonb NOT NULL,
    CONSTRAINT journal_last_events_pkey PRIMARY KEY (subject, number)
);
COMMENT ON TABLE journal_last_events IS
    'What summed up events said of all but transactions: the newest row of a subject counts. Never changed.';
COMMENT ON COLUMN journal_last_events.number IS 'The last one of the records that it was made of.';
COMMENT ON COLUMN journal_last_events.events IS 'How many events the subject had up to this number.';
COMMENT ON COLUMN journal_last_events.types IS 'Their types, in their order.';
COMMENT ON COLUMN journal_last_events.facts IS 'What the last one states, but for the request.';
COMMENT ON COLUMN journal_last_events.resolutions IS 'What they state of operators'' decisions.';

CREATE TRIGGER journal_summaries_guarded BEFORE UPDATE OR DELETE OR TRUNCATE ON journal_summaries
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history();
CREATE TRIGGER journal_last_events_guarded BEFORE UPDATE OR DELETE OR TRUNCATE ON journal_last_events
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history();
"""

# The journal's guard lets its owner drop what a summary sums up, and nothing else.
PRUNING = """
DROP TRIGGER journal_guarded ON journal;
CREATE TRIGGER journal_guarded BEFORE UPDATE OR TRUNCATE ON journal
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history();

CREATE FUNCTION refuse_loss_of_journal() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM FROM gone WHERE number >= coalesce((SELECT max(number) FROM journal_summaries), 0);
    IF FOUND THEN
        RAISE EXCEPTION 'history is never changed: DELETE of journal records that no summary sums up is refused'
            USING ERRCODE = 'insufficient_privilege', HINT = 'Drop records by walletctl prune-journal.';
    END IF;
    RETURN NULL;
END
$$;
DO $$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION refuse_loss_of_journal() SET search_path = %I, pg_catalog, pg_temp', current_schema()
    );
END
$$;
CREATE TRIGGER journal_pruned AFTER DELETE ON journal
REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION refuse_loss_of_journal();
"""


def upgrade() -> None:
    """Add the tables, and change the journal's guard."""
    op.execute(SUMMARIES)
    op.execute(PRUNING)
