"""Verify: prove that the books are right, from the entries up, in one snapshot."""

from dataclasses import asdict, dataclass

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from wallet_core.domain.errors import DatabaseUnavailable


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
    "transactions": (
        "every entry belongs to a transaction, and every transaction moved its amount from source to destination",
        """
        SELECT count(*)
        FROM transactions
        FULL JOIN (SELECT transaction, count(*) AS legs FROM entries GROUP BY transaction) AS counted
            ON counted.transaction = transactions.id
        LEFT JOIN entries AS given
            ON given.transaction = transactions.id AND given.wallet = transactions.source
        LEFT JOIN entries AS taken
            ON taken.transaction = transactions.id AND taken.wallet = transactions.destination
        WHERE transactions.id IS NULL
            OR counted.legs IS DISTINCT FROM 2
            OR given.amount IS DISTINCT FROM -transactions.amount
            OR taken.amount IS DISTINCT FROM transactions.amount
        """,
    ),
    "floors": (
        "no wallet but the world outside is below its overdraft limit",
        "SELECT count(*) FROM wallets WHERE role <> 'EXTERNAL' AND balance::numeric - held < -overdraft_limit::numeric",
    ),
    "in_transit": (
        "what is on its way to the bank is exactly the withdrawals that are processing or in doubt",
        """
        SELECT count(*)
        FROM wallets
        LEFT JOIN (
            SELECT owners.currency, sum(withdrawals.amount) AS total
            FROM withdrawals
            JOIN wallets AS owners ON owners.key = withdrawals.wallet
            WHERE withdrawals.state IN ('PROCESSING', 'IN_DOUBT')
            GROUP BY owners.currency
        ) AS open ON open.currency = wallets.currency
        WHERE wallets.role = 'IN_TRANSIT' AND wallets.balance <> coalesce(open.total, 0)
        """,
    ),
    "withdrawals": (
        "every withdrawal's money has moved as its state says: taken once, then settled once or released once",
        """
        SELECT count(*)
        FROM withdrawals
        FULL JOIN (
            SELECT withdrawal,
                count(*) FILTER (WHERE type = 'WITHDRAWAL') AS taken,
                count(*) FILTER (WHERE type = 'WITHDRAWAL_SETTLEMENT') AS settled,
                count(*) FILTER (WHERE type = 'WITHDRAWAL_RELEASE') AS released,
                count(DISTINCT amount) AS amounts,
                min(amount) AS amount
            FROM transactions
            WHERE withdrawal IS NOT NULL
            GROUP BY withdrawal
        ) AS moved ON moved.withdrawal = withdrawals.id
        WHERE withdrawals.id IS NULL OR CASE
            WHEN withdrawals.state IN ('SCHEDULED', 'CANCELLED')
                OR withdrawals.failure_reason IN ('INSUFFICIENT_FUNDS', 'WALLET_NOT_ACTIVE')
                THEN moved.withdrawal IS NOT NULL
            ELSE (moved.taken, moved.settled, moved.released, moved.amounts, moved.amount) IS DISTINCT FROM (
                1::bigint,
                (withdrawals.state = 'SUCCEEDED')::int::bigint,
                (withdrawals.state = 'FAILED')::int::bigint,
                1::bigint,
                withdrawals.amount
            )
        END
        """,
    ),
    "requests": (
        "every request that was answered with a transaction or a withdrawal has it",
        """
        SELECT count(*)
        FROM requests
        LEFT JOIN transactions ON requests.subject = 'transactions/' || transactions.id
        LEFT JOIN withdrawals ON requests.subject = 'withdrawals/' || withdrawals.id
        WHERE (requests.subject LIKE 'transactions/%' AND transactions.id IS NULL)
            OR (requests.subject LIKE 'withdrawals/%' AND withdrawals.id IS NULL)
        """,
    ),
}


def verify(engine: Engine) -> list[Check]:
    """Return every check with its count of broken rows; all zero means that the books are right.

    Raises ``DatabaseUnavailable``.
    """
    try:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as tx:
            tx.execute(text("SET LOCAL statement_timeout = 0"))
            return [
                Check(name, meaning, tx.execute(text(query)).scalar_one()) for name, (meaning, query) in _CHECKS.items()
            ]
    except DBAPIError as error:
        raise DatabaseUnavailable from error.orig
