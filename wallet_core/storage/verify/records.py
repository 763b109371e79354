"""Rules of the journal, of commission rules and of idempotency records."""

from wallet_core.storage.verify.walks import (
    JOIN_LAST_EVENT,
    Rule,
    Walk,
    facts,
    hashed,
    join_wallet,
    lacks,
    microseconds,
)

# Whether there is no resource of the name that ``_NAMED`` has taken apart.
_NAMED = "split_part(subject, '/', 1) AS collection, split_part(subject, '/', 2) AS id"
_MISSING = f"""
    CASE collection
        WHEN 'transactions' THEN {lacks("transactions AS t", "t.id = joined.id::uuid")}
        WHEN 'batches' THEN {lacks("transactions AS t", "t.batch = joined.id::uuid")}
        WHEN 'wallets' THEN {lacks("wallets AS w", "w.id = joined.id")}
        WHEN 'holds' THEN {lacks("holds AS h", "h.id = joined.id::uuid")}
        WHEN 'withdrawals' THEN {lacks("withdrawals AS o", "o.id = joined.id::uuid")}
        WHEN 'scheduledDeposits' THEN {lacks("scheduled_deposits AS o", "o.id = joined.id::uuid")}
        WHEN 'commissionRules' THEN {lacks("commission_rules AS r", "r.id = joined.id::uuid")}
        WHEN 'webhooks' THEN {lacks("webhooks AS w", "w.id = joined.id::uuid")}
        WHEN 'bankStatementLines' THEN {lacks("bank_statement_lines AS l", "l.number = joined.id::bigint")}
        WHEN 'bankStatements' THEN {lacks("bank_statements AS s", "s.number = joined.id::integer")}
        ELSE subject IS NOT NULL
    END
"""

JOURNAL = Walk(
    table="journal",
    key=[("number", "bigint")],
    name="'journal record ' || number",
    chained=("number", "hash"),
    until=True,
    joined=f"SELECT slice.*, {_NAMED} FROM slice",
    rules={
        "journal": Rule(
            meaning="the journal has no gaps, and each hash follows from its record and the hash before it",
            broken=rf"""
                number <> coalesce(number_before, 0) + 1
                OR hash <> sha256(coalesce(hash_before, ''::bytea) || convert_to(concat_ws(
                    chr(10), number, type, subject, array_to_string(wallets, ' '), {microseconds("time")}, facts
                ), 'UTF8'))
            """,
        ),
        "subjects": Rule(
            meaning="every resource that an event reports exists",
            broken=_MISSING,
        ),
    },
)

HASHED_LAST_EVENT = hashed("subject", "events", "array_to_string(types, ' ')", "facts", "resolutions")

COMMISSION_RULES = Walk(
    table="commission_rules",
    key=[("id", "uuid")],
    name="subject_name",
    subject="'commissionRules/' || id",
    joined=f"""
        SELECT slice.*, published.events, published.facts AS reported, {
        facts(
            currency="slice.currency",
            threshold="slice.threshold",
            rate_millionths="slice.rate_millionths",
            fixed="slice.fixed",
            minimum="slice.minimum",
            maximum="slice.maximum",
            payer="slice.payer",
            wallet="wallets.id",
            label="CASE WHEN label_key IS NOT NULL THEN jsonb_build_array(label_key, label_value) END",
            start_time=microseconds("slice.start_time"),
            end_time=microseconds("slice.end_time"),
            create_time=microseconds("slice.create_time"),
        )
    } AS own_facts
        FROM slice
        {join_wallet("slice.wallet")}
        {JOIN_LAST_EVENT}
    """,
    rules={
        "commission_rules": Rule(
            meaning="the last event of every commission rule states what the rule is",
            broken="events IS NULL OR reported <> own_facts",
        ),
    },
)

# Whether the transaction of a request was posted by an event that is summed up; of a batch, its first transaction.
_IS_SUMMED_UP = f"""
    posted.subject IS NOT NULL
    AND {lacks("journal AS j", "j.subject = posted.subject AND j.type = 'transaction.posted' AND j.number > %(start)s")}
    AND posted.subject NOT IN (SELECT o.subject FROM outbox AS o WHERE o.type = 'transaction.posted')
"""

REQUESTS = Walk(
    table="requests",
    key=[("caller", "text"), ("request_id", "uuid")],
    name="'request ' || request_id || ' of ' || caller",
    joined=f"""
        SELECT slice.*, {_NAMED.replace("subject", "slice.subject")}, {_IS_SUMMED_UP} AS is_summed_up
        FROM slice
        CROSS JOIN LATERAL (
            SELECT CASE WHEN %(start)s > 0 THEN CASE split_part(slice.subject, '/', 1)
                WHEN 'transactions' THEN slice.subject COLLATE "C"
                WHEN 'batches' THEN (
                    SELECT ('transactions/' || id) COLLATE "C"
                    FROM transactions
                    WHERE batch = split_part(slice.subject, '/', 2)::uuid AND batch_item = 0
                    LIMIT 1
                )
            END END AS subject
            OFFSET 0
        ) AS posted
    """,
    summed=f"""
        CASE WHEN is_summed_up THEN {hashed("caller", "request_id", "encode(fingerprint, 'hex')", "subject")} END
    """,
    rules={
        "requests": Rule(
            meaning="every resource that an idempotency record names exists",
            broken=_MISSING,
        ),
    },
)

LAST_EVENTS = Walk(
    table="journal_last_events",
    key=[("subject", "text"), ("number", "bigint")],
    name="subject",
    joined=f"""
        SELECT slice.*, number <= %(start)s AND {
        lacks(
            "journal_last_events AS later",
            "later.subject = slice.subject AND later.number > slice.number AND later.number <= %(start)s",
        )
    } AS is_newest
        FROM slice
    """,
    summed=f"CASE WHEN is_newest THEN {HASHED_LAST_EVENT} END",
    rules={},
)
