"""Rules of bank statements and their lines."""

from wallet_core.storage.verify.rules import Rules

BANK_STATEMENTS: Rules = {
    "bank_statements": (
        "the bank statement that is read is the last one accepted, and its lines come after all others",
        """
        SELECT (SELECT count(*) FROM bank_statement_cursor WHERE statement <> (SELECT max(number) FROM bank_statements))
            + (SELECT count(*) FROM bank_statement_lines AS lines, bank_statement_cursor AS cursor
                WHERE (lines.statement = cursor.statement) IS DISTINCT FROM (lines.number > cursor.line_offset))
        """,
    ),
    "bank_statement_lines": (
        "every bank statement line that matches an order has its amount, and the order its state",
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
}
