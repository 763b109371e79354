"""Verify: prove that the books are right, from the entries up, in one snapshot."""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from wallet_core.domain.model.errors import DatabaseUnavailable


@dataclass(frozen=True, slots=True)
class Check:
    """One rule of the books and how many rows break it."""

    name: str
    meaning: str
    broken: int

    def as_row(self) -> dict[str, str | int]:
        """Return it as a row for showing."""
        return asdict(self)


# Each query counts what breaks the rule. They read everything: an audit, not a hot path.
_CHECKS = {
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
        "every wallet's currency is written down, with its decimals",
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
        "the balances of all wallets of a currency, the world outside among them, sum to zero",
        """
        SELECT count(*) FROM (SELECT FROM wallets GROUP BY currency HAVING sum(balance) <> 0) AS unbalanced
        """,
    ),
    "histories": (
        "every wallet's entries are numbered without gaps, each following from the one before, up to the wallet's row",
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
    "transactions": (
        "every entry belongs to a transaction of its type, and every transaction moved its amount and its commission",
        """
        SELECT count(*)
        FROM (
            SELECT *,
                -amount - CASE commission_payer WHEN 'SOURCE' THEN commission ELSE 0 END AS to_source,
                amount - CASE commission_payer WHEN 'DESTINATION' THEN commission ELSE 0 END AS to_destination
            FROM transactions
        ) AS told
        FULL JOIN (
            SELECT entries.transaction, count(*) AS legs, min(entries.type) AS type, max(entries.type) AS last_type,
                min(entries.time) AS time, max(entries.time) AS last_time,
                sum(entries.amount) FILTER (WHERE wallets.role = 'COMMISSION') AS earned
            FROM entries
            LEFT JOIN wallets ON wallets.key = entries.wallet
            GROUP BY entries.transaction
        ) AS counted ON counted.transaction = told.id
        LEFT JOIN entries AS given ON given.transaction = told.id AND given.wallet = told.source
        LEFT JOIN entries AS taken ON taken.transaction = told.id AND taken.wallet = told.destination
        LEFT JOIN wallets AS giver ON giver.key = told.source
        LEFT JOIN wallets AS getter ON getter.key = told.destination
        WHERE told.id IS NULL
            OR counted.legs IS DISTINCT FROM
                (told.to_source <> 0)::int + (told.to_destination <> 0)::int + (told.commission <> 0)::int
            OR coalesce(given.amount, 0) <> told.to_source
            OR coalesce(taken.amount, 0) <> told.to_destination
            OR coalesce(counted.earned, 0) <> told.commission
                + CASE giver.role WHEN 'COMMISSION' THEN told.to_source ELSE 0 END
                + CASE getter.role WHEN 'COMMISSION' THEN told.to_destination ELSE 0 END
            OR counted.type <> told.type
            OR counted.last_type <> told.type
            OR counted.time <> told.time
            OR counted.last_time <> told.time
        """,
    ),
    "events": (
        "every transaction was told once, or waits to be",
        """
        SELECT count(*)
        FROM (SELECT 'transactions/' || id AS name FROM transactions) AS posted
        FULL JOIN (
            SELECT subject, count(*) AS times
            FROM (SELECT type, subject FROM journal UNION ALL SELECT type, subject FROM outbox) AS told
            WHERE type = 'transaction.posted'
            GROUP BY subject
        ) AS told ON told.subject = posted.name
        WHERE posted.name IS NULL OR told.times IS DISTINCT FROM 1
        """,
    ),
    "journal": (
        "the journal is numbered without gaps, and each line's hash follows from the line and the hash before it",
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
    "reversals": (
        "no transaction was reversed by more than it moved, and no more commission was given back than was taken",
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
    "holds": (
        "every hold was captured as its transactions say, and what wallets hold is what is reserved in them now",
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
        "nothing is open in a closed wallet",
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
    "totals": (
        "what is kept at every thousandth entry is what the entries up to it amount to",
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
        "no wallet but the world outside is below its overdraft limit",
        "SELECT count(*) FROM wallets WHERE role <> 'EXTERNAL' AND balance::numeric - held < -overdraft_limit::numeric",
    ),
    "in_transit": (
        "what is on its way is exactly the withdrawals under way or in doubt, and money that found no room",
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
        "every withdrawal's money has moved as its state says: taken once, settled or released once, returned once",
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
        "every scheduled deposit was credited once if its state says so, else never",
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
        "what an operator placed is what had found no room, once",
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
    "bank_statement_lines": (
        "every line of the bank's ledger that was found to meet an order says what that order says",
        """
        SELECT count(*)
        FROM bank_statement_lines
        LEFT JOIN (
            SELECT 'wd-' || withdrawals.id AS key, wallet, amount, state FROM withdrawals
            UNION ALL
            SELECT 'sd-' || scheduled_deposits.id, wallet, amount, state FROM scheduled_deposits
        ) AS orders USING (key)
        LEFT JOIN wallets ON wallets.key = orders.wallet
        WHERE match_result = 'ORDER' AND (
            (orders.amount, wallets.currency)
                IS DISTINCT FROM (bank_statement_lines.amount, bank_statement_lines.currency)
            OR orders.state <> 'RETURNED' AND (kind = 'RETURN' OR orders.state <> 'SUCCEEDED')
        )
        """,
    ),
    "causes": (
        "every transaction that says what brought it about names something that is there",
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
    "attempts": (
        "every attempt at the bank is one of an order's, and they are numbered without gaps",
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
    "batches": (
        "every atomic batch is whole: its items are numbered without gaps",
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
    "bank_statements": (
        "the bank's ledger that is followed is the last that was accepted, and its lines come after all others",
        """
        SELECT (SELECT count(*) FROM bank_statement_cursor WHERE statement <> (SELECT max(number) FROM bank_statements))
            + (SELECT count(*) FROM bank_statement_lines AS lines, bank_statement_cursor AS cursor
                WHERE (lines.statement = cursor.statement) IS DISTINCT FROM (lines.number > cursor.line_offset))
        """,
    ),
    "requests": (
        "every request that was answered with something that was made has it",
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
            ELSE NOT EXISTS (SELECT FROM wallets WHERE wallets.id = answered.id)
        END
        """,
    ),
}
_ALL_CHECKS = text("SELECT " + ", ".join(f"({query})" for _, query in _CHECKS.values()))


def verify(engine: Engine) -> list[Check]:
    """Return every check with its count of broken rows; all zero means that the books are right.

    Raises ``DatabaseUnavailable``.
    """
    try:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as tx:
            return checks(tx)
    except DBAPIError as error:
        raise DatabaseUnavailable from error.orig


def checks(tx: Connection) -> list[Check]:
    """Return every check as a transaction sees the books."""
    broken = tx.execute(_ALL_CHECKS).one()
    return [Check(name, meaning, count) for (name, (meaning, _)), count in zip(_CHECKS.items(), broken, strict=True)]
