"""Rules of holds: what was captured of each, and its events."""

from wallet_core.storage.verify.walks import JOIN_LAST_EVENT, Rule, Walk, facts, filled, join_wallet, microseconds

_FACTS = facts(
    wallet="wallets.id",
    currency="wallets.currency",
    amount="slice.amount",
    captured="slice.captured",
    state="slice.state",
    expire_time=microseconds("slice.expire_time"),
    description=filled("slice.description"),
    create_time=microseconds("slice.create_time"),
    update_time=microseconds("slice.update_time"),
    caller=filled("slice.caller"),
)

HOLDS = Walk(
    table="holds",
    key=[("id", "uuid")],
    name="subject_name",
    subject="'holds/' || id",
    joined=f"""
        SELECT slice.*, moved.amount AS moved, moved.wallets AS moved_of, moved.wallet AS moved_from,
            published.events, published.facts AS reported, {_FACTS} AS own_facts, moved.times
        FROM slice
        {join_wallet("slice.wallet")}
        LEFT JOIN LATERAL (
            SELECT count(*) AS times, sum(amount) AS amount, count(DISTINCT source) AS wallets, min(source) AS wallet
            FROM transactions
            WHERE cause = slice.id AND type = 'HOLD_CAPTURE'
        ) AS moved ON true
        {JOIN_LAST_EVENT}
    """,
    rules={
        "holds": Rule(
            meaning="every hold was captured as its transactions say, out of its wallet",
            broken="captured <> coalesce(moved, 0) OR moved_of > 1 OR moved_from <> wallet",
        ),
        "hold_events": Rule(
            meaning="every hold has an event of its beginning, of each capture and of another end, and the last one "
            "states what the hold is",
            broken="events IS DISTINCT FROM 1 + times + (state IN ('VOIDED', 'EXPIRED'))::int OR reported <> own_facts",
        ),
    },
)
