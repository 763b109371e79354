"""Rules of wallets and their entries: balances, histories, totals, floors."""

from wallet_core.storage.verify.rules import Rules

WALLETS: Rules = {
    "balances": (
        "every wallet's balance is the sum of its entries",
        """
        SELECT count(*)
        FROM wallets
        LEFT JOIN (SELECT wallet, sum(amount) AS total FROM entries GROUP BY wallet) AS summed
            ON summed.wallet = wallets.key
        WHERE wallets.balance <> coalesce(summed.total, 0)
        """,
    ),
    "currencies": (
        "every wallet's currency is stored with its decimals",
        """
        SELECT count(*) FROM wallets LEFT JOIN currencies ON currencies.code = wallets.currency WHERE code IS NULL
        """,
    ),
    "zero_sum": (
        "the entries of every transaction sum to zero in each currency",
        """
        SELECT count(*)
        FROM (
            SELECT entries.transaction
            FROM entries
            JOIN wallets ON wallets.key = entries.wallet
            GROUP BY entries.transaction, wallets.currency
            HAVING sum(entries.amount) <> 0
        ) AS unbalanced
        """,
    ),
    "nothing_invented": (
        "the balances of all wallets of a currency, the external one among them, sum to zero",
        """
        SELECT count(*) FROM (SELECT FROM wallets GROUP BY currency HAVING sum(balance) <> 0) AS unbalanced
        """,
    ),
    "histories": (
        "a wallet's entries have no gaps, each follows from the one before, and the wallet equals the last",
        """
        SELECT count(*)
        FROM (
            SELECT wallet, sequence, balance_after, time, amount,
                lag(sequence, 1, 0::bigint) OVER history AS sequence_before,
                lag(balance_after, 1, 0::bigint) OVER history AS balance_before,
                lag(time) OVER history AS time_before,
                lead(sequence) OVER history IS NULL AS is_last
            FROM entries
            WINDOW history AS (PARTITION BY wallet ORDER BY sequence)
        ) AS chained
        FULL JOIN wallets ON wallets.key = chained.wallet
        WHERE sequence_before + 1 <> chained.sequence
            OR balance_before::numeric + amount <> balance_after
            OR time_before > time
            OR wallets.key IS NULL
            OR (is_last AND (wallets.sequence, wallets.last_time) IS DISTINCT FROM (chained.sequence, chained.time))
            OR (chained.wallet IS NULL AND wallets.sequence <> 0)
        """,
    ),
    "clock": (
        "no wallet's last time is ahead of the database's clock",
        """
        SELECT count(*) FROM wallets WHERE last_time > clock_timestamp() + interval '1 minute'
        """,
    ),
    "totals": (
        "the totals at every thousandth entry are those of the entries up to it",
        """
        SELECT count(*)
        FROM (
            SELECT wallet, sequence, type,
                sum(count) OVER upwards AS count,
                sum(credited) OVER upwards AS credited,
                sum(debited) OVER upwards AS debited
            FROM (
                SELECT wallets.key AS wallet, marks.sequence, types.type
                FROM wallets
                CROSS JOIN LATERAL generate_series(1000, wallets.sequence, 1000) AS marks (sequence)
                CROSS JOIN (SELECT DISTINCT type FROM transactions) AS types
            ) AS wanted
            LEFT JOIN (
                SELECT wallet, (sequence + 999) / 1000 * 1000 AS sequence, type, count(*) AS count,
                    sum(greatest(amount, 0)) AS credited, -sum(least(amount, 0)) AS debited
                FROM entries
                GROUP BY 1, 2, 3
            ) AS blocks USING (wallet, sequence, type)
            WINDOW upwards AS (PARTITION BY wallet, type ORDER BY sequence)
        ) AS summed
        FULL JOIN entry_totals AS kept USING (wallet, sequence, type)
        WHERE (coalesce(summed.count, 0), coalesce(summed.credited, 0), coalesce(summed.debited, 0))
            IS DISTINCT FROM (coalesce(kept.count, 0), coalesce(kept.credited, 0), coalesce(kept.debited, 0))
        """,
    ),
    "floors": (
        "no wallet but the external one is below its overdraft limit",
        "SELECT count(*) FROM wallets WHERE role <> 'EXTERNAL' AND balance::numeric - held < -overdraft_limit::numeric",
    ),
    "holds": (
        "every hold was captured as its transactions say, and each wallet holds what is reserved in it",
        """
        SELECT (
            SELECT count(*)
            FROM holds
            FULL JOIN (
                SELECT cause, sum(amount) AS captured, min(source) AS wallet, max(source) AS last_wallet
                FROM transactions
                WHERE type = 'HOLD_CAPTURE'
                GROUP BY cause
            ) AS moved ON moved.cause = holds.id
            WHERE holds.id IS NULL
                OR holds.captured <> coalesce(moved.captured, 0)
                OR holds.wallet <> moved.wallet
                OR holds.wallet <> moved.last_wallet
        ) + (
            SELECT count(*)
            FROM wallets
            LEFT JOIN (
                SELECT wallet, sum(amount) AS amount
                FROM (
                    SELECT wallet, amount - captured AS amount FROM holds WHERE state = 'ACTIVE'
                    UNION ALL
                    SELECT wallet, amount FROM withdrawals WHERE state = 'SCHEDULED' AND reserve
                ) AS parts
                GROUP BY wallet
            ) AS reserved ON reserved.wallet = wallets.key
            WHERE wallets.held <> coalesce(reserved.amount, 0)
        )
        """,
    ),
    "closed": (
        "no order and no hold is open in a closed wallet",
        """
        SELECT count(*)
        FROM wallets
        WHERE state = 'CLOSED' AND (
            EXISTS (SELECT FROM holds WHERE wallet = wallets.key AND state = 'ACTIVE')
            OR EXISTS (SELECT FROM withdrawals
                       WHERE wallet = wallets.key AND state IN ('SCHEDULED', 'PROCESSING', 'IN_DOUBT'))
            OR EXISTS (SELECT FROM scheduled_deposits
                       WHERE wallet = wallets.key AND state IN ('SCHEDULED', 'PROCESSING', 'IN_DOUBT'))
        )
        """,
    ),
}
