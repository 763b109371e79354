"""New entries are checked by look-ups, one for each, whatever the planner believes of the tables.

After an ANALYZE of entries that were mostly deleted, the planner took the whole index for one row and read it once for
each new entry: thousands of entries in one commit ran into the statement timeout. While there are few wallets, it took
the index by owner to be as good as the primary key, and its plans are kept while wallets become many.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# A LATERAL that ends in LIMIT 1 can be planned in one way only: for each new entry by itself, by the key it is given.
CHECK_ENTRIES = """
CREATE OR REPLACE FUNCTION check_entries() RETURNS trigger
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
BEGIN
    PERFORM
    FROM fresh
    CROSS JOIN LATERAL (SELECT currency FROM wallets WHERE key = fresh.wallet LIMIT 1) AS its
    GROUP BY fresh.transaction, its.currency
    HAVING sum(fresh.amount) <> 0;
    IF FOUND THEN
        RAISE EXCEPTION 'entries of a transaction do not sum to zero'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_zero_sum';
    END IF;

    PERFORM
    FROM fresh
    LEFT JOIN LATERAL (
        SELECT balance_after, time FROM entries WHERE wallet = fresh.wallet AND sequence = fresh.sequence - 1 LIMIT 1
    ) AS earlier ON true
    WHERE fresh.balance_after <> coalesce(earlier.balance_after, 0) + fresh.amount
        OR (earlier.time IS NULL) <> (fresh.sequence = 1)
        OR earlier.time > fresh.time;
    IF FOUND THEN
        RAISE EXCEPTION 'an entry does not follow from the one before it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_chain';
    END IF;

    PERFORM
    FROM fresh
    LEFT JOIN LATERAL (
        SELECT wallet FROM entries WHERE wallet = fresh.wallet AND sequence = fresh.sequence + 1 LIMIT 1
    ) AS later ON true
    LEFT JOIN LATERAL (
        SELECT sequence, balance, last_time FROM wallets WHERE key = fresh.wallet LIMIT 1
    ) AS its ON true
    WHERE later.wallet IS NULL
        AND (its.sequence, its.balance, its.last_time)
            IS DISTINCT FROM (fresh.sequence, fresh.balance_after, fresh.time);
    IF FOUND THEN
        RAISE EXCEPTION 'a wallet does not equal its last entry'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_wallet';
    END IF;
    RETURN NULL;
END
$$
"""


# Of use to lists only, which are of callers' wallets.
INDEX_BY_OWNER = """
DROP INDEX wallets_by_owner;
CREATE INDEX wallets_by_owner ON wallets (owner, key) WHERE role = 'ORDINARY';
"""


def upgrade() -> None:
    """Check by look-ups."""
    op.execute(CHECK_ENTRIES)
    op.execute(INDEX_BY_OWNER)
