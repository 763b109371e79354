"""Rules of payment orders: what has moved for each, what is in transit, what was attempted."""

from wallet_core.storage.verify.rules import Rules

PAYMENTS: Rules = {
    "in_transit": (
        "the in-transit wallets hold exactly the withdrawals in progress or in doubt, and unapplied funds",
        """
        SELECT count(*)
        FROM wallets
        LEFT JOIN (
            SELECT owners.currency, sum(parts.amount) AS total
            FROM (
                SELECT wallet, amount FROM withdrawals WHERE state IN ('PROCESSING', 'IN_DOUBT')
                UNION ALL
                SELECT destination, amount
                FROM transactions
                JOIN wallets AS ways ON ways.key = destination AND ways.role = 'IN_TRANSIT'
                WHERE type IN ('COLLECTION', 'WITHDRAWAL_RETURN')
                UNION ALL
                SELECT source, -amount FROM transactions WHERE type IN ('RETURN_APPLICATION', 'COLLECTION_APPLICATION')
            ) AS parts (wallet, amount)
            JOIN wallets AS owners ON owners.key = parts.wallet
            GROUP BY owners.currency
        ) AS open ON open.currency = wallets.currency
        WHERE wallets.role = 'IN_TRANSIT' AND wallets.balance <> coalesce(open.total, 0)
        """,
    ),
    "withdrawals": (
        "every withdrawal's money has moved as its state says: debited once, settled or released once, returned once",
        """
        SELECT count(*)
        FROM withdrawals
        FULL JOIN (
            SELECT cause,
                count(*) FILTER (WHERE type = 'WITHDRAWAL') AS taken,
                count(*) FILTER (WHERE type = 'WITHDRAWAL_SETTLEMENT') AS settled,
                count(*) FILTER (WHERE type = 'WITHDRAWAL_RELEASE') AS released,
                count(*) FILTER (WHERE type = 'WITHDRAWAL_RETURN') AS returned,
                count(DISTINCT amount) AS amounts,
                min(amount) AS amount,
                count(DISTINCT owners) AS wallets,
                min(owners) AS wallet
            FROM (
                SELECT transactions.*,
                    CASE type
                        WHEN 'WITHDRAWAL' THEN source
                        WHEN 'WITHDRAWAL_RELEASE' THEN destination
                        WHEN 'WITHDRAWAL_RETURN' THEN CASE WHEN ways.key IS NULL THEN destination END
                    END AS owners
                FROM transactions
                LEFT JOIN wallets AS ways ON ways.key = destination AND ways.role = 'IN_TRANSIT'
                WHERE type LIKE 'WITHDRAWAL%'
            ) AS payouts
            GROUP BY cause
        ) AS moved ON moved.cause = withdrawals.id
        WHERE withdrawals.id IS NULL OR CASE
            WHEN withdrawals.state IN ('SCHEDULED', 'CANCELLED')
                OR withdrawals.failure_reason IN ('INSUFFICIENT_FUNDS', 'WALLET_NOT_ACTIVE')
                THEN moved.cause IS NOT NULL
            ELSE (
                moved.taken, moved.settled, moved.released, moved.returned, moved.amounts, moved.amount, moved.wallets,
                moved.wallet
            ) IS DISTINCT FROM (
                1::bigint,
                (withdrawals.state IN ('SUCCEEDED', 'RETURNED'))::int::bigint,
                (withdrawals.state = 'FAILED')::int::bigint,
                (withdrawals.state = 'RETURNED')::int::bigint,
                1::bigint,
                withdrawals.amount,
                1::bigint,
                withdrawals.wallet
            )
        END
        """,
    ),
    "scheduled_deposits": (
        "every scheduled deposit that has succeeded was credited once, and no other was",
        """
        SELECT count(*)
        FROM scheduled_deposits
        LEFT JOIN (
            SELECT cause, count(*) AS times, max(id::text)::uuid AS id, min(amount) AS amount, max(type) AS type,
                max(destination) AS destination
            FROM transactions
            WHERE type IN ('DEPOSIT', 'COLLECTION') AND cause IS NOT NULL
            GROUP BY cause
        ) AS credited ON credited.cause = scheduled_deposits.id
        WHERE CASE scheduled_deposits.state
            WHEN 'SUCCEEDED' THEN (credited.times, credited.id, credited.amount, credited.type) IS DISTINCT FROM (
                1::bigint,
                scheduled_deposits.credit,
                scheduled_deposits.amount,
                CASE WHEN scheduled_deposits.collect THEN 'COLLECTION' ELSE 'DEPOSIT' END
            )
            ELSE credited.cause IS NOT NULL
        END OR credited.destination <> scheduled_deposits.wallet AND NOT scheduled_deposits.unapplied AND NOT EXISTS (
            SELECT FROM transactions WHERE type = 'COLLECTION_APPLICATION' AND cause = scheduled_deposits.id
        )
        """,
    ),
    "placements": (
        "unapplied funds were applied to another wallet once, in their amount",
        """
        SELECT count(*)
        FROM (
            SELECT cause, type, count(*) AS times, min(amount) AS amount
            FROM transactions
            WHERE type IN ('RETURN_APPLICATION', 'COLLECTION_APPLICATION')
            GROUP BY cause, type
        ) AS placed
        LEFT JOIN transactions AS unapplied
            ON unapplied.cause = placed.cause
            AND unapplied.type = CASE placed.type
                WHEN 'COLLECTION_APPLICATION' THEN 'COLLECTION' ELSE 'WITHDRAWAL_RETURN'
            END
        LEFT JOIN wallets AS ways ON ways.key = unapplied.destination AND ways.role = 'IN_TRANSIT'
        WHERE placed.times <> 1 OR ways.key IS NULL OR unapplied.amount <> placed.amount
        """,
    ),
    "attempts": (
        "every attempt at the bank belongs to an order, and an order's attempts are numbered without gaps",
        """
        SELECT count(*)
        FROM (
            SELECT left(key, 3) AS prefix, substr(key, 4)::uuid AS id, count(*) AS times, max(number) AS last
            FROM bank_attempts
            GROUP BY key
        ) AS tried
        WHERE last <> times OR CASE prefix
            WHEN 'wd-' THEN NOT EXISTS (SELECT FROM withdrawals WHERE withdrawals.id = tried.id)
            ELSE NOT EXISTS (SELECT FROM scheduled_deposits WHERE scheduled_deposits.id = tried.id AND collect)
        END
        """,
    ),
}
