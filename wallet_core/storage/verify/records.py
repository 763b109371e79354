"""Rules of idempotency records, events and the journal."""

from wallet_core.storage.verify.rules import Rules

RECORDS: Rules = {
    "requests": (
        "every resource that an idempotency record names exists",
        """
        SELECT count(*)
        FROM (
            SELECT split_part(subject, '/', 1) AS collection, split_part(subject, '/', 2) AS id
            FROM requests
            WHERE subject IS NOT NULL
        ) AS answered
        WHERE CASE collection
            WHEN 'transactions' THEN NOT EXISTS (SELECT FROM transactions WHERE transactions.id = answered.id::uuid)
            WHEN 'batches' THEN NOT EXISTS (SELECT FROM transactions WHERE batch = answered.id::uuid)
            WHEN 'withdrawals' THEN NOT EXISTS (SELECT FROM withdrawals WHERE withdrawals.id = answered.id::uuid)
            WHEN 'scheduledDeposits'
                THEN NOT EXISTS (SELECT FROM scheduled_deposits WHERE scheduled_deposits.id = answered.id::uuid)
            WHEN 'bankStatementLines'
                THEN NOT EXISTS (SELECT FROM bank_statement_lines WHERE number = answered.id::bigint)
            WHEN 'bankStatements' THEN NOT EXISTS (SELECT FROM bank_statements WHERE number = answered.id::integer)
            WHEN 'holds' THEN NOT EXISTS (SELECT FROM holds WHERE holds.id = answered.id::uuid)
            WHEN 'commissionRules'
                THEN NOT EXISTS (SELECT FROM commission_rules WHERE commission_rules.id = answered.id::uuid)
            WHEN 'webhooks' THEN NOT EXISTS (SELECT FROM webhooks WHERE webhooks.id = answered.id::uuid)
            ELSE NOT EXISTS (SELECT FROM wallets WHERE wallets.id = answered.id)
        END
        """,
    ),
    "events": (
        "every transaction has one event, in the outbox or in the journal",
        """
        SELECT count(*)
        FROM (SELECT 'transactions/' || id AS name FROM transactions) AS posted
        FULL JOIN (
            SELECT subject, count(*) AS times
            FROM (SELECT type, subject FROM journal UNION ALL SELECT type, subject FROM outbox) AS events
            WHERE type = 'transaction.posted'
            GROUP BY subject
        ) AS events ON events.subject = posted.name
        WHERE posted.name IS NULL OR events.times IS DISTINCT FROM 1
        """,
    ),
    "journal": (
        "the journal is numbered without gaps, and each hash follows from its record and the hash before it",
        r"""
        SELECT count(*)
        FROM (
            SELECT *,
                lag(number, 1, 0::bigint) OVER upwards AS number_before,
                lag(hash, 1, ''::bytea) OVER upwards AS hash_before
            FROM journal
            WINDOW upwards AS (ORDER BY number)
        ) AS chained
        WHERE number <> number_before + 1
            OR hash <> sha256(hash_before || convert_to(concat_ws(
                chr(10), number, type, subject, array_to_string(wallets, ' '),
                (extract(epoch FROM time) * 1000000)::bigint
            ), 'UTF8'))
        """,
    ),
}
