"""Rules of transactions: their entries, amounts, reversals, causes, batches, events and requests."""

from wallet_core.storage.verify.walks import Rule, Walk, facts, filled, hashed, join_wallet, lacks

_FACTS = facts(
    type="slice.type",
    currency="giver.currency",
    amount="slice.amount",
    source="giver.id",
    destination="getter.id",
    entries="('{' || legs.stated || '}')::jsonb",
    commission="CASE WHEN slice.commission_rule IS NOT NULL THEN slice.commission END",
    commission_rule="slice.commission_rule",
    commission_payer="slice.commission_payer",
    description=filled("slice.description"),
    external_reference=filled("slice.external_reference"),
    labels="nullif(slice.labels, '{}')",
    cause="slice.cause",
    batch="slice.batch",
    batch_item="slice.batch_item",
)
# The facts of most transactions as their writer has them, up to the request: read as text they cost a third. Where this
# is not how they begin, e.g. with labels or a commission, they are compared as JSON.
_WRITTEN = """
    concat(
        '{"type":', to_json(slice.type), ',"currency":', to_json(giver.currency), ',"amount":', slice.amount,
        ',"source":', giver.quoted, ',"destination":', getter.quoted, ',"entries":{', legs.stated, '}',
        CASE WHEN slice.description <> '' THEN concat(',"description":', to_json(slice.description)) END,
        CASE WHEN slice.external_reference <> ''
            THEN concat(',"external_reference":', to_json(slice.external_reference)) END,
        CASE WHEN slice.cause IS NOT NULL THEN concat(',"cause":"', slice.cause, '"') END,
        CASE WHEN slice.batch IS NOT NULL
            THEN concat(',"batch":"', slice.batch, '","batch_item":', slice.batch_item) END
    )
"""
_IS_WRITTEN = "slice.commission_rule IS NULL AND slice.labels = '{}'"


def _of_slice(column: str, key: str) -> str:
    """Return the condition that a column is in the range of the slice's keys, which is in their order.

    It is one range of an index.
    """
    return (
        f"{column} >= (SELECT {key} FROM slice LIMIT 1) "
        f"AND {column} <= (SELECT {key} FROM slice ORDER BY {key} DESC LIMIT 1)"
    )


# What the request was answered with that a transaction follows from.
_ASKED = """
    CASE
        WHEN slice.batch IS NOT NULL THEN 'batches/' || slice.batch
        WHEN slice.type IN ('RETURN_APPLICATION', 'WITHDRAWAL_SETTLEMENT', 'WITHDRAWAL_RELEASE')
            THEN 'withdrawals/' || slice.cause
        WHEN slice.type IN ('COLLECTION', 'COLLECTION_APPLICATION')
            THEN 'scheduledDeposits/' || slice.cause
        ELSE slice.subject_name
    END
"""

# The number of an event that is still in the outbox: above all in the journal.
_WAITS = "9223372036854775807"

# Ids and the subjects of events are in the same order, so both are ranges. Many transactions have the same wallets.
_SETS = {
    "moved": f"SELECT * FROM entries WHERE {_of_slice('transaction', 'id')}",
    "parties": f"""
        SELECT wallets.key, wallets.id, to_json(wallets.id)::text AS quoted, wallets.role, wallets.currency
        FROM (SELECT wallet FROM moved UNION SELECT source FROM slice UNION SELECT destination FROM slice) AS named
        {join_wallet("named.wallet")}
    """,
    "events": f"""
        SELECT subject, count(*) AS events, min(facts) AS facts, min(number) AS number
        FROM (
            SELECT subject, facts, number
            FROM journal
            WHERE type = 'transaction.posted' AND number > %(start)s AND {_of_slice("subject", "subject_name")}
            UNION ALL
            SELECT subject, facts, {_WAITS} FROM waiting WHERE type = 'transaction.posted'
        ) AS posted
        GROUP BY subject
    """,
}

# Transactions of the slice with an entry that does not follow, in the journal, the one before it in its wallet. That
# one is of the slice, too, or is looked up.
_MISPLACED = f"""
    SELECT DISTINCT placed.transaction
    FROM (
        SELECT transaction, wallet, sequence, number,
            lag(sequence) OVER (PARTITION BY wallet ORDER BY sequence) AS sequence_before,
            lag(number) OVER (PARTITION BY wallet ORDER BY sequence) AS number_before
        FROM (
            SELECT moved.transaction, moved.wallet, moved.sequence, events.number
            FROM moved
            JOIN slice ON slice.id = moved.transaction
            JOIN events ON events.subject = slice.subject_name
        ) AS legs
    ) AS placed
    LEFT JOIN LATERAL (
        SELECT coalesce(
            (
                SELECT number FROM journal
                WHERE type = 'transaction.posted'
                    AND subject = ('transactions/' || entries.transaction) COLLATE "C"
                LIMIT 1
            ),
            (SELECT {_WAITS} FROM outbox WHERE subject = 'transactions/' || entries.transaction LIMIT 1)
        ) AS number
        FROM entries
        WHERE placed.sequence_before IS DISTINCT FROM placed.sequence - 1 AND placed.number < {_WAITS}
            AND entries.wallet = placed.wallet AND entries.sequence = placed.sequence - 1
        LIMIT 1
    ) AS looked_up ON true
    WHERE placed.number < CASE WHEN sequence_before = sequence - 1 THEN number_before ELSE looked_up.number END
"""

TRANSACTIONS = Walk(
    table="transactions",
    key=[("id", "uuid")],
    name="subject_name",
    subject="'transactions/' || id",
    sets=_SETS,
    joined=f"""
        SELECT slice.*, legs.*, giver.role AS giver_role, getter.role AS getter_role,
            -slice.amount - CASE slice.commission_payer WHEN 'SOURCE' THEN slice.commission ELSE 0 END AS to_source,
            slice.amount
                - CASE slice.commission_payer WHEN 'DESTINATION' THEN slice.commission ELSE 0 END AS to_destination,
            CASE WHEN compared.is_written THEN '{{}}' ELSE {_FACTS} END AS own_facts,
            published.events, published.facts AS reported, published.request,
            published.events = 0 AND %(start)s > 0 AS is_summed_up,
            original.id AS original_id, original.type AS original_type, original.source AS original_source,
            original.destination AS original_destination, original.amount AS original_amount,
            original.commission AS original_commission,
            given_back.amount AS amount_back, given_back.commission AS commission_back,
            slice.batch_item > 0 AND {
        lacks("transactions AS item", "item.batch = slice.batch AND item.batch_item = slice.batch_item - 1")
    } AS lacks_item_before,
            tied.found IS NOT NULL AS is_tied, asked.found IS NOT NULL AS is_requested,
            misplaced.transaction IS NOT NULL AS is_misplaced
        FROM slice
        LEFT JOIN parties AS giver ON giver.key = slice.source
        LEFT JOIN parties AS getter ON getter.key = slice.destination
        LEFT JOIN (
            SELECT moved.transaction, count(*) AS legs,
                count(*) FILTER (WHERE moved.type = slice.type AND moved.time = slice.time) AS alike,
                sum(moved.amount) AS sum, min(parties.currency) AS currency, max(parties.currency) AS last_currency,
                sum(moved.amount) FILTER (WHERE parties.role = 'COMMISSION') AS earned,
                sum(moved.amount) FILTER (WHERE moved.wallet = slice.source) AS given,
                sum(moved.amount) FILTER (WHERE moved.wallet = slice.destination) AS taken,
                string_agg(
                    concat(
                        coalesce(parties.quoted, '"?"'),
                        ':[', moved.sequence, ',', moved.amount, ',', moved.balance_after, ']'
                    ), ','
                ) AS stated
            FROM moved
            JOIN slice ON slice.id = moved.transaction
            LEFT JOIN parties ON parties.key = moved.wallet
            GROUP BY moved.transaction
        ) AS legs ON legs.transaction = slice.id
        LEFT JOIN events ON events.subject = slice.subject_name
        LEFT JOIN ({_MISPLACED}) AS misplaced ON misplaced.transaction = slice.id
        CROSS JOIN LATERAL (SELECT CASE WHEN {_IS_WRITTEN} THEN {_WRITTEN} END AS facts OFFSET 0) AS written
        CROSS JOIN LATERAL (
            SELECT CASE WHEN starts_with(events.facts, written.facts)
                THEN substr(convert_to(events.facts, 'UTF8'), octet_length(written.facts) + 1) END AS bytes
            OFFSET 0
        ) AS rest
        CROSS JOIN LATERAL (
            SELECT coalesce(substr(rest.bytes, 1, 1) IN (',', '}}'), false) AS is_written OFFSET 0
        ) AS compared
        CROSS JOIN LATERAL (
            SELECT CASE WHEN is_written THEN convert_from(rest.bytes, 'UTF8') END AS text OFFSET 0
        ) AS ending
        CROSS JOIN LATERAL (SELECT split_part(ending.text, '","', 2) AS request_id OFFSET 0) AS named
        LEFT JOIN LATERAL (
            SELECT true AS found FROM requests
            WHERE caller = slice.caller
                AND request_id = CASE length(named.request_id) WHEN 36 THEN named.request_id::uuid END
                AND ending.text = concat(
                    ',"request":[', to_json(caller), ',"', request_id, '","', encode(fingerprint, 'hex'), '"]}}'
                )
                AND subject = {_ASKED}
            LIMIT 1
        ) AS tied ON true
        CROSS JOIN LATERAL (
            SELECT CASE WHEN tied.found OR ending.text = '}}' THEN '{{}}'
                WHEN is_written THEN ('{{' || substr(ending.text, 2))::jsonb
                ELSE events.facts::jsonb END AS facts
            OFFSET 0
        ) AS stated
        CROSS JOIN LATERAL (
            SELECT stated.facts -> 'request' AS request, stated.facts - 'request' AS facts,
                coalesce(events.events, 0) AS events
            OFFSET 0
        ) AS published
        LEFT JOIN LATERAL (
            SELECT true AS found FROM requests
            WHERE tied.found IS NULL
                AND caller = slice.caller AND request_id = (published.request ->> 1)::uuid
                AND published.request = jsonb_build_array(caller, request_id, encode(fingerprint, 'hex'))
                AND subject = {_ASKED}
            LIMIT 1
        ) AS asked ON true
        LEFT JOIN LATERAL (
            SELECT * FROM transactions WHERE id = slice.cause AND slice.type = 'REVERSAL' LIMIT 1
        ) AS original ON true
        LEFT JOIN LATERAL (
            SELECT sum(amount) AS amount, sum(commission) AS commission
            FROM transactions
            WHERE cause = original.id AND type = 'REVERSAL'
        ) AS given_back ON true
    """,
    summed=f"CASE WHEN is_summed_up THEN {hashed('subject_name', 'caller', 'own_facts')} END",
    rules={
        "zero_sum": Rule(
            meaning="the entries of every transaction sum to zero, in one currency",
            broken="sum <> 0 OR currency <> last_currency",
        ),
        "transactions": Rule(
            meaning="every transaction moved its amount and its commission, in entries of its type and time",
            broken="""
                coalesce(legs, 0) <> (to_source <> 0)::int + (to_destination <> 0)::int + (commission <> 0)::int
                OR coalesce(given, 0) <> to_source
                OR coalesce(taken, 0) <> to_destination
                OR coalesce(earned, 0) <> commission
                    + CASE giver_role WHEN 'COMMISSION' THEN to_source ELSE 0 END
                    + CASE getter_role WHEN 'COMMISSION' THEN to_destination ELSE 0 END
                OR alike <> legs
            """,
        ),
        "events": Rule(
            meaning="every transaction has one event, in the outbox or in the journal, which states what was moved",
            broken="events <> 1 AND NOT is_summed_up OR reported <> own_facts",
        ),
        "order": Rule(
            meaning="the entries of a wallet are in the journal in their order, each once",
            broken="is_misplaced",
        ),
        "requested": Rule(
            meaning="every transaction of a caller is the outcome that its idempotency record names",
            broken="""
                NOT is_tied AND (
                    reported IS NOT NULL AND caller <> coalesce(request ->> 0, '') OR CASE WHEN request IS NULL
                        THEN reported IS NOT NULL
                            AND (type IN ('TRANSFER', 'REVERSAL', 'HOLD_CAPTURE') OR type = 'DEPOSIT' AND cause IS NULL)
                        ELSE NOT is_requested
                    END
                )
            """,
        ),
        "reversals": Rule(
            meaning="no transaction was reversed by more than its amount, and no more commission was given back than "
            "was charged",
            broken="""
                type = 'REVERSAL' AND (
                    original_id IS NULL
                    OR original_type NOT IN ('TRANSFER', 'DEPOSIT')
                    OR (original_source, original_destination) <> (destination, source)
                    OR amount_back > original_amount
                    OR -commission_back > original_commission
                )
            """,
        ),
        "causes": Rule(
            meaning="every order, hold, transaction and rule that a transaction names exists",
            broken=f"""
                cause IS NOT NULL AND CASE
                    WHEN type LIKE 'WITHDRAWAL%%' OR type = 'RETURN_APPLICATION'
                        THEN {lacks("withdrawals", "withdrawals.id = cause")}
                    WHEN type IN ('DEPOSIT', 'COLLECTION', 'COLLECTION_APPLICATION')
                        THEN {lacks("scheduled_deposits", "scheduled_deposits.id = cause")}
                    WHEN type = 'HOLD_CAPTURE' THEN {lacks("holds", "holds.id = cause")}
                    ELSE original_id IS NULL
                END
                OR commission_rule IS NOT NULL
                    AND {lacks("commission_rules", "commission_rules.id = commission_rule")}
            """,
        ),
        "labels": Rule(
            meaning="every label of a transaction has a row by which lists find it",
            broken="""
                labels <> '{}' AND EXISTS (
                    SELECT
                    FROM jsonb_each_text(labels) AS label
                    LEFT JOIN transaction_labels AS listed
                        ON (listed.key, listed.value, listed.time, listed.transaction)
                            = (label.key, label.value, joined.time, joined.id)
                    WHERE listed.key IS NULL
                )
            """,
        ),
        "batches": Rule(
            meaning="every atomic batch is complete: its items are numbered from 0 without gaps",
            broken="lacks_item_before",
        ),
    },
)

LABELS = Walk(
    table="transaction_labels",
    key=[("key", "text"), ("value", "text"), ("time", "timestamptz"), ("transaction", "uuid")],
    name="'label ' || key || ' of transactions/' || transaction",
    joined="""
        SELECT slice.*, transactions.labels ->> slice.key AS stated, transactions.time AS stated_time
        FROM slice
        LEFT JOIN transactions ON transactions.id = slice.transaction
    """,
    rules={
        "listed_labels": Rule(
            meaning="every row by which lists find a label is of a transaction that has it",
            broken="(stated, stated_time) IS DISTINCT FROM (value, time)",
        ),
    },
)

REFERENCES = Walk(
    table="unique_references",
    key=[("caller", "text"), ("reference", "text")],
    name="'reference ' || reference || ' of ' || caller",
    joined="""
        SELECT slice.*, payments.caller AS payer, payments.external_reference
        FROM slice
        LEFT JOIN LATERAL (
            SELECT caller, external_reference FROM transactions
            WHERE slice.payment LIKE 'transactions/%%' AND id = split_part(slice.payment, '/', 2)::uuid
            UNION ALL
            SELECT caller, external_reference FROM scheduled_deposits
            WHERE slice.payment LIKE 'scheduledDeposits/%%' AND id = split_part(slice.payment, '/', 2)::uuid
        ) AS payments ON true
    """,
    rules={
        "references": Rule(
            meaning="every unique reference is that of the payment which has it",
            broken="(payer, external_reference) IS DISTINCT FROM (caller, reference)",
        ),
    },
)
