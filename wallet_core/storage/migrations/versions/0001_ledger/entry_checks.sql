-- Runs once for each INSERT, after the wallets were updated in the same database transaction. A LATERAL that ends in
-- LIMIT 1 can be planned in one way only: for each new entry by itself, by the key that it is given. Plans are kept, and
-- one that was made while the tables were small, or that trusts an old ANALYZE, would read a whole index for each entry.
CREATE FUNCTION check_entries() RETURNS trigger
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
$$;

-- Temporary tables come last, so that none of the same name is read instead; the schema is the one that is migrated.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION check_entries() SET search_path = %I, pg_catalog, pg_temp', current_schema());
END
$$;

CREATE TRIGGER entries_checked
AFTER INSERT ON entries
REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION check_entries();
