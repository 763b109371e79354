"""Rules of transactions: their amounts, reversals, causes and batches."""

from wallet_core.storage.verify.rules import Rules

TRANSACTIONS: Rules = {
    "transactions": (
        "every entry belongs to a transaction of its type, and every transaction moved its amount and its commission",
        """
        SELECT count(*)
        FROM (
            SELECT *,
                -amount - CASE commission_payer WHEN 'SOURCE' THEN commission ELSE 0 END AS to_source,
                amount - CASE commission_payer WHEN 'DESTINATION' THEN commission ELSE 0 END AS to_destination
            FROM transactions
        ) AS stated
        FULL JOIN (
            SELECT entries.transaction, count(*) AS legs, min(entries.type) AS type, max(entries.type) AS last_type,
                min(entries.time) AS time, max(entries.time) AS last_time,
                sum(entries.amount) FILTER (WHERE wallets.role = 'COMMISSION') AS earned
            FROM entries
            LEFT JOIN wallets ON wallets.key = entries.wallet
            GROUP BY entries.transaction
        ) AS counted ON counted.transaction = stated.id
        LEFT JOIN entries AS given ON given.transaction = stated.id AND given.wallet = stated.source
        LEFT JOIN entries AS taken ON taken.transaction = stated.id AND taken.wallet = stated.destination
        LEFT JOIN wallets AS giver ON giver.key = stated.source
        LEFT JOIN wallets AS getter ON getter.key = stated.destination
        WHERE stated.id IS NULL
            OR counted.legs IS DISTINCT FROM
                (stated.to_source <> 0)::int + (stated.to_destination <> 0)::int + (stated.commission <> 0)::int
            OR coalesce(given.amount, 0) <> stated.to_source
            OR coalesce(taken.amount, 0) <> stated.to_destination
            OR coalesce(counted.earned, 0) <> stated.commission
                + CASE giver.role WHEN 'COMMISSION' THEN stated.to_source ELSE 0 END
                + CASE getter.role WHEN 'COMMISSION' THEN stated.to_destination ELSE 0 END
            OR counted.type <> stated.type
            OR counted.last_type <> stated.type
            OR counted.time <> stated.time
            OR counted.last_time <> stated.time
        """,
    ),
    "reversals": (
        "no transaction was reversed by more than its amount, and no more commission was given back than was charged",
        """
        SELECT count(*)
        FROM transactions AS reversal
        LEFT JOIN transactions AS original ON original.id = reversal.cause
        CROSS JOIN LATERAL (
            SELECT sum(amount) AS amount, sum(commission) AS commission
            FROM transactions
            WHERE cause = original.id AND type = 'REVERSAL'
        ) AS given_back
        WHERE reversal.type = 'REVERSAL' AND (
            original.id IS NULL
            OR original.type NOT IN ('TRANSFER', 'DEPOSIT')
            OR (original.source, original.destination) <> (reversal.destination, reversal.source)
            OR given_back.amount > original.amount
            OR -given_back.commission > original.commission
        )
        """,
    ),
    "causes": (
        "every order, hold, transaction and rule that a transaction names exists",
        """
        SELECT count(*)
        FROM transactions
        WHERE cause IS NOT NULL AND CASE
            WHEN type LIKE 'WITHDRAWAL%' OR type = 'RETURN_APPLICATION'
                THEN NOT EXISTS (SELECT FROM withdrawals WHERE id = cause)
            WHEN type IN ('DEPOSIT', 'COLLECTION', 'COLLECTION_APPLICATION')
                THEN NOT EXISTS (SELECT FROM scheduled_deposits WHERE id = cause)
            WHEN type = 'HOLD_CAPTURE' THEN NOT EXISTS (SELECT FROM holds WHERE id = cause)
            ELSE NOT EXISTS (SELECT FROM transactions AS original WHERE original.id = transactions.cause)
        END OR NOT (commission_rule IS NULL OR EXISTS (SELECT FROM commission_rules WHERE id = commission_rule))
        """,
    ),
    "batches": (
        "every atomic batch is complete: its items are numbered without gaps",
        """
        SELECT count(*)
        FROM (
            SELECT count(*) AS items, min(batch_item) AS first, max(batch_item) AS last
            FROM transactions
            WHERE batch IS NOT NULL
            GROUP BY batch
        ) AS made
        WHERE first <> 0 OR last <> items - 1
        """,
    ),
}
