"""Rules of bank statements and their lines."""

from wallet_core.storage.verify.walks import JOIN_LAST_EVENT, Rule, Walk, facts, filled, join_wallet

_PERSON = {"person": filled("slice.person"), "token_id": filled("slice.token_id")}

BANK_STATEMENTS = Walk(
    table="bank_statements",
    key=[("number", "integer")],
    name="subject_name",
    subject="'bankStatements/' || number",
    joined=f"""
        SELECT slice.*, published.events, published.facts AS reported, {
        facts(reason="slice.reason", accepted_by="slice.accepted_by", **_PERSON)
    } AS own_facts
        FROM slice
        {JOIN_LAST_EVENT}
    """,
    rules={
        "statement_events": Rule(
            meaning="the event of every accepted bank statement states what an operator has accepted",
            broken="number > 1 AND (events IS DISTINCT FROM 1 OR reported <> own_facts)",
        ),
    },
)

BANK_STATEMENT_LINES = Walk(
    table="bank_statement_lines",
    key=[("number", "bigint")],
    name="subject_name",
    subject="'bankStatementLines/' || number",
    joined=f"""
        SELECT slice.*, orders.amount AS order_amount, orders.state AS order_state, wallets.currency AS order_currency,
            published.events, published.facts AS reported, {
        facts(
            kind="slice.kind",
            key=filled("slice.key"),
            currency="slice.currency",
            amount="slice.amount",
            reference=filled("slice.reference"),
            explanation="slice.explanation",
            resolution="slice.resolution",
            resolved_by=filled("slice.resolved_by"),
            **_PERSON,
        )
    } AS own_facts
        FROM slice
        LEFT JOIN LATERAL (
            SELECT wallet, amount, state FROM withdrawals WHERE id = slice.order_id AND slice.key = 'wd-' || id
            UNION ALL
            SELECT wallet, amount, state FROM scheduled_deposits WHERE id = slice.order_id AND slice.key = 'sd-' || id
        ) AS orders ON true
        {join_wallet("orders.wallet")}
        {JOIN_LAST_EVENT}
    """,
    rules={
        "bank_statement_lines": Rule(
            meaning="every bank statement line that matches an order has its amount, and the order its state",
            broken="""
                match_result = 'ORDER' AND (
                    (order_amount, order_currency) IS DISTINCT FROM (amount, currency)
                    OR order_state <> 'RETURNED' AND (kind = 'RETURN' OR order_state <> 'SUCCEEDED')
                )
            """,
        ),
        "line_events": Rule(
            meaning="the event of every resolved discrepancy states what an operator has found",
            broken="resolution <> '' AND (events IS DISTINCT FROM 1 OR reported <> own_facts)",
        ),
    },
)
