"""Rules of the whole ledger: sums that no single row shows."""

from collections.abc import Mapping

from wallet_core.storage.verify.walks import Total

TOTALS: Mapping[str, Total] = {
    "nothing_invented": Total(
        meaning="the balances of all wallets of a currency, the external one among them, sum to zero",
        query="SELECT currency FROM wallets GROUP BY currency HAVING sum(balance) <> 0",
    ),
    "in_transit": Total(
        meaning="the in-transit wallets hold exactly the withdrawals in progress or in doubt, and unapplied funds",
        query="""
            SELECT 'wallets/' || wallets.id
            FROM wallets
            LEFT JOIN (
                SELECT owners.currency, sum(parts.amount) AS total
                FROM (
                    SELECT wallet, amount FROM withdrawals WHERE state IN ('PROCESSING', 'IN_DOUBT')
                    UNION ALL
                    SELECT wallet, amount FROM withdrawals WHERE unapplied AND attention <> ''
                    UNION ALL
                    SELECT wallet, amount FROM scheduled_deposits WHERE unapplied AND attention <> ''
                ) AS parts (wallet, amount)
                JOIN wallets AS owners ON owners.key = parts.wallet
                GROUP BY owners.currency
            ) AS open ON open.currency = wallets.currency
            WHERE wallets.role = 'IN_TRANSIT' AND wallets.balance <> coalesce(open.total, 0)
        """,
    ),
    "bank_statements": Total(
        meaning="the bank statement that is read is the last one accepted, and its lines come after all others",
        query="""
            SELECT 'bankStatements/' || statement
            FROM bank_statement_cursor
            WHERE statement <> (SELECT max(number) FROM bank_statements)
            UNION ALL
            SELECT 'bankStatementLines/' || lines.number
            FROM bank_statement_lines AS lines, bank_statement_cursor AS cursor
            WHERE (lines.statement = cursor.statement) IS DISTINCT FROM (lines.number > cursor.line_offset)
        """,
    ),
}
