"""Rules of wallets and their entries: balances, histories, totals, floors, events."""

from wallet_core.storage.verify.walks import (
    JOIN_LAST_EVENT,
    Rule,
    Walk,
    facts,
    filled,
    join_wallet,
    lacks,
    microseconds,
)

_WALLET_FACTS = facts(
    currency="slice.currency",
    owner=filled("slice.owner"),
    display_name=filled("slice.display_name"),
    labels="nullif(slice.labels, '{}')",
    state="slice.state",
    overdraft_limit="slice.overdraft_limit",
    create_time=microseconds("slice.create_time"),
    revision="slice.revision",
)

WALLETS = Walk(
    table="wallets",
    key=[("key", "bigint")],
    name="subject_name",
    subject="'wallets/' || id",
    joined=f"""
        SELECT slice.*, last.sequence AS last_sequence, last.balance_after, last.time AS last_entry_time,
            currencies.code, reserved.amount AS reserved, published.events, published.facts AS reported,
            {_WALLET_FACTS} AS own_facts,
            EXISTS (SELECT FROM entry_totals WHERE wallet = slice.key AND entry_totals.sequence > slice.sequence)
                AS has_totals_beyond,
            slice.state = 'CLOSED' AND (
                EXISTS (SELECT FROM holds WHERE wallet = slice.key AND state = 'ACTIVE')
                OR EXISTS (SELECT FROM withdrawals
                           WHERE wallet = slice.key AND state IN ('SCHEDULED', 'PROCESSING', 'IN_DOUBT'))
                OR EXISTS (SELECT FROM scheduled_deposits
                           WHERE wallet = slice.key AND state IN ('SCHEDULED', 'PROCESSING', 'IN_DOUBT'))
            ) AS has_open_items
        FROM slice
        LEFT JOIN LATERAL (
            SELECT sequence, balance_after, time FROM entries WHERE wallet = slice.key ORDER BY sequence DESC LIMIT 1
        ) AS last ON true
        LEFT JOIN LATERAL (SELECT code FROM currencies WHERE code = slice.currency LIMIT 1) AS currencies ON true
        LEFT JOIN LATERAL (
            SELECT sum(amount) AS amount
            FROM (
                SELECT amount - captured AS amount FROM holds WHERE wallet = slice.key AND state = 'ACTIVE'
                UNION ALL
                SELECT amount FROM withdrawals WHERE wallet = slice.key AND state = 'SCHEDULED' AND reserve
            ) AS parts
        ) AS reserved ON true
        {JOIN_LAST_EVENT}
    """,
    rules={
        "balances": Rule(
            meaning="every wallet's balance, sequence and time are those of its last entry",
            broken="(sequence, balance) IS DISTINCT FROM (coalesce(last_sequence, 0), coalesce(balance_after, 0))"
            " OR last_sequence IS NOT NULL AND last_time <> last_entry_time",
        ),
        "currencies": Rule(
            meaning="every wallet's currency is stored with its decimals",
            broken="code IS NULL",
        ),
        "clock": Rule(
            meaning="no wallet's last time is ahead of the database's clock",
            broken="last_time > clock_timestamp() + interval '1 minute'",
        ),
        "floors": Rule(
            meaning="no wallet but the external one is below its overdraft limit",
            broken="role <> 'EXTERNAL' AND balance::numeric - held < -overdraft_limit::numeric",
        ),
        "held": Rule(
            meaning="each wallet holds what its active holds and scheduled withdrawals reserve",
            broken="held <> coalesce(reserved, 0)",
        ),
        "closed": Rule(meaning="no order and no hold is open in a closed wallet", broken="has_open_items"),
        "totals_beyond": Rule(
            meaning="no totals are stored beyond a wallet's last entry",
            broken="has_totals_beyond",
        ),
        "wallet_events": Rule(
            meaning="every wallet has one event for each of its revisions, and the last one states what the wallet is",
            broken="role = 'ORDINARY'"
            " AND (events IS DISTINCT FROM revision OR reported - 'balance' - 'held' <> own_facts)",
        ),
    },
)

ENTRIES = Walk(
    table="entries",
    key=[("wallet", "bigint"), ("sequence", "bigint")],
    name="'entry ' || sequence || ' of ' || coalesce('wallets/' || wallet_id, 'a wallet that does not exist')",
    chained=("sequence", "balance_after", "time"),
    joined=f"""
        SELECT slice.*, wallets.key AS wallet_key, wallets.id AS wallet_id, totals.wallet IS NOT NULL AS totals_differ
        FROM slice
        {join_wallet("slice.wallet")}
        LEFT JOIN (
            SELECT marks.wallet, marks.sequence
            FROM (SELECT wallet, sequence FROM slice WHERE sequence %% 1000 = 0) AS marks
            CROSS JOIN LATERAL (
                SELECT
                FROM (
                    SELECT type, count(*) AS count,
                        sum(greatest(amount, 0)) AS credited, -sum(least(amount, 0)) AS debited
                    FROM entries
                    WHERE wallet = marks.wallet AND sequence > marks.sequence - 1000 AND sequence <= marks.sequence
                    GROUP BY type
                ) AS block
                FULL JOIN (
                    SELECT type, until.count - coalesce(before.count, 0) AS count,
                        until.credited - coalesce(before.credited, 0) AS credited,
                        until.debited - coalesce(before.debited, 0) AS debited
                    FROM (SELECT * FROM entry_totals WHERE wallet = marks.wallet AND sequence = marks.sequence) AS until
                    FULL JOIN (
                        SELECT * FROM entry_totals WHERE wallet = marks.wallet AND sequence = marks.sequence - 1000
                    ) AS before USING (type)
                ) AS kept USING (type)
                WHERE (coalesce(block.count, 0), coalesce(block.credited, 0), coalesce(block.debited, 0))
                    IS DISTINCT FROM (coalesce(kept.count, 0), coalesce(kept.credited, 0), coalesce(kept.debited, 0))
                LIMIT 1
            ) AS differs
        ) AS totals ON totals.wallet = slice.wallet AND totals.sequence = slice.sequence
    """,
    rules={
        "histories": Rule(
            meaning="a wallet's entries have no gaps, and each balance follows from the one before it",
            broken="wallet_key IS NULL OR CASE WHEN sequence_before IS NULL"
            " THEN sequence <> 1 OR balance_after <> amount"
            " ELSE sequence <> sequence_before + 1 OR balance_after_before::numeric + amount <> balance_after"
            " OR time_before > time END",
        ),
        "posted": Rule(
            meaning="every entry belongs to a transaction",
            broken=lacks("transactions", "id = joined.transaction"),
        ),
        "totals": Rule(
            meaning="the totals at every thousandth entry are those of the entries up to it",
            broken="totals_differ",
        ),
    },
)
