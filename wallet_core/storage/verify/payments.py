"""Rules of payment orders: what has moved for each, what is in transit, what was attempted, what was resolved."""

from wallet_core.storage.verify.walks import (
    EVENTS,
    JOIN_LAST_EVENT,
    Rule,
    Walk,
    facts,
    filled,
    join_wallet,
    lacks,
    microseconds,
)

_TOKEN_ID = {"token_id": "slice.token_id"}
_OPEN = "('SCHEDULED', 'PROCESSING', 'IN_DOUBT')"
_SHARED_FACTS = {
    "wallet": "wallets.id",
    "currency": "wallets.currency",
    "amount": "slice.amount",
    "state": "slice.state",
    "bank_account": filled("slice.bank_account"),
    "description": filled("slice.description"),
    "execute_time": microseconds("slice.execute_time"),
    "create_time": microseconds("slice.create_time"),
    "bank_reference": filled("slice.bank_reference"),
    "failure_reason": "slice.failure_reason",
    "caller": filled("slice.caller"),
}
# What an order's last event states beyond the row: it may change without an event, or is compared on its own.
_NOT_COMPARED = "- 'update_time' - 'attention' - 'attempts' - 'resolution'"


def _stored_attempts(prefix: str) -> str:
    """Return the query of what the last event states of attempts and the table does not have."""
    return f"""
        SELECT count(*) FILTER (WHERE attempts.number IS NULL
                OR attempts.is_resend <> (stated ->> 1)::boolean
                OR stated ->> 2 <> '' AND (attempts.answer, attempts.reference)
                    IS DISTINCT FROM (stated ->> 2, stated ->> 3)) AS missing,
            count(*) AS stated,
            (SELECT count(*) FROM bank_attempts WHERE key = '{prefix}' || slice.id) AS stored
        FROM jsonb_array_elements(published.facts -> 'attempts') AS elements (stated)
        LEFT JOIN bank_attempts AS attempts
            ON attempts.key = '{prefix}' || slice.id AND attempts.number = (stated ->> 0)::integer
    """


# What an operator decides after an order's end has events of its own: the end itself is not always the last event.
_ORDER_EVENTS = Rule(
    meaning="the last event of every order states what the order is, and its end has one event",
    broken=f"events IS NULL OR reported <> own_facts OR state NOT IN {_OPEN} AND ends <> 1",
)
_ORDER_ATTEMPTS = Rule(
    meaning="the attempts that an order's last event states are stored, and a final order has no others",
    broken="attempts_missing > 0"
    f" OR reported IS NOT NULL AND state NOT IN {_OPEN} AND attempts_stored <> attempts_stated",
)

WITHDRAWALS = Walk(
    table="withdrawals",
    key=[("id", "uuid")],
    name="subject_name",
    subject="'withdrawals/' || id",
    joined=f"""
        SELECT slice.*, moved.*, published.events,
            published.facts {_NOT_COMPARED} AS reported, {facts(**_SHARED_FACTS, reserve="slice.reserve")} AS own_facts,
            attempts.missing AS attempts_missing, attempts.stated AS attempts_stated,
            attempts.stored AS attempts_stored,
            cardinality(array_positions(published.types, 'withdrawal.' || lower(slice.state))) AS ends
        FROM slice
        {join_wallet("slice.wallet")}
        LEFT JOIN LATERAL (
            SELECT count(*) AS moves,
                count(*) FILTER (WHERE type = 'WITHDRAWAL') AS taken,
                count(*) FILTER (WHERE type = 'WITHDRAWAL_SETTLEMENT') AS settled,
                count(*) FILTER (WHERE type = 'WITHDRAWAL_RELEASE') AS released,
                count(*) FILTER (WHERE type = 'WITHDRAWAL_RETURN') AS returned,
                count(*) FILTER (WHERE type = 'WITHDRAWAL_RETURN' AND ways.key IS NOT NULL) AS returned_to_transit,
                count(*) FILTER (WHERE type = 'RETURN_APPLICATION') AS applied,
                count(*) FILTER (WHERE transactions.amount <> slice.amount) AS other_amounts,
                count(*) FILTER (WHERE slice.wallet <> CASE type
                    WHEN 'WITHDRAWAL' THEN source
                    WHEN 'WITHDRAWAL_RELEASE' THEN destination
                    WHEN 'WITHDRAWAL_RETURN' THEN CASE WHEN ways.key IS NULL THEN destination END
                END) AS other_wallets
            FROM transactions
            LEFT JOIN wallets AS ways ON ways.key = destination AND ways.role = 'IN_TRANSIT'
            WHERE cause = slice.id AND (type LIKE 'WITHDRAWAL%%' OR type = 'RETURN_APPLICATION')
        ) AS moved ON true
        {JOIN_LAST_EVENT}
        LEFT JOIN LATERAL ({_stored_attempts("wd-")}) AS attempts ON true
    """,
    rules={
        "withdrawals": Rule(
            meaning="every withdrawal's money has moved as its state says: debited once, settled or released once, "
            "returned once",
            broken="""
                CASE
                    WHEN state IN ('SCHEDULED', 'CANCELLED')
                        OR failure_reason IN ('INSUFFICIENT_FUNDS', 'WALLET_NOT_ACTIVE')
                        THEN moves > 0
                    ELSE (taken, settled, released, returned, other_amounts, other_wallets) IS DISTINCT FROM (
                        1::bigint,
                        (state IN ('SUCCEEDED', 'RETURNED'))::int::bigint,
                        (state = 'FAILED')::int::bigint,
                        (state = 'RETURNED')::int::bigint,
                        0::bigint,
                        0::bigint
                    )
                END
            """,
        ),
        "returns": Rule(
            meaning="returned money is unapplied, or was applied to a wallet once, where it is in transit",
            broken="returned_to_transit <> applied + unapplied::int",
        ),
        "withdrawal_events": _ORDER_EVENTS,
        "withdrawal_attempts": _ORDER_ATTEMPTS,
    },
)

SCHEDULED_DEPOSITS = Walk(
    table="scheduled_deposits",
    key=[("id", "uuid")],
    name="subject_name",
    subject="'scheduledDeposits/' || id",
    joined=f"""
        SELECT slice.*, credited.*, published.events,
            published.facts {_NOT_COMPARED} AS reported,
            {
        facts(
            **_SHARED_FACTS,
            collect="slice.collect",
            external_reference=filled("slice.external_reference"),
            credit="slice.credit",
        )
    } AS own_facts,
            attempts.missing AS attempts_missing, attempts.stated AS attempts_stated,
            attempts.stored AS attempts_stored,
            cardinality(array_positions(published.types, 'scheduled_deposit.' || lower(slice.state))) AS ends
        FROM slice
        {join_wallet("slice.wallet")}
        LEFT JOIN LATERAL (
            SELECT count(*) FILTER (WHERE type <> 'COLLECTION_APPLICATION') AS credits,
                count(*) FILTER (WHERE type = 'COLLECTION_APPLICATION') AS applied,
                count(*) FILTER (WHERE type = 'COLLECTION' AND ways.key IS NOT NULL) AS to_transit,
                count(*) FILTER (WHERE transactions.amount <> slice.amount) AS other_amounts,
                count(*) FILTER (WHERE ways.key IS NULL AND type <> 'COLLECTION_APPLICATION'
                    AND destination <> slice.wallet) AS other_wallets,
                count(*) FILTER (WHERE transactions.id = slice.credit
                    AND type = CASE WHEN slice.collect THEN 'COLLECTION' ELSE 'DEPOSIT' END) AS by_credit
            FROM transactions
            LEFT JOIN wallets AS ways ON ways.key = destination AND ways.role = 'IN_TRANSIT'
            WHERE cause = slice.id AND type IN ('DEPOSIT', 'COLLECTION', 'COLLECTION_APPLICATION')
        ) AS credited ON true
        {JOIN_LAST_EVENT}
        LEFT JOIN LATERAL ({_stored_attempts("sd-")}) AS attempts ON true
    """,
    rules={
        "scheduled_deposits": Rule(
            meaning="every scheduled deposit that has succeeded was credited once, and no other was",
            broken="""
                (credits, by_credit) IS DISTINCT FROM (
                    (state = 'SUCCEEDED')::int::bigint, (state = 'SUCCEEDED')::int::bigint
                ) OR other_amounts > 0 OR other_wallets > 0
            """,
        ),
        "collections": Rule(
            meaning="collected money is unapplied, or was applied to a wallet once, where it is in transit",
            broken="to_transit <> applied + unapplied::int",
        ),
        "scheduled_deposit_events": _ORDER_EVENTS,
        "scheduled_deposit_attempts": _ORDER_ATTEMPTS,
    },
)

ATTEMPTS = Walk(
    table="bank_attempts",
    key=[("key", "text"), ("number", "integer")],
    name="'attempt ' || number || ' under the bank''s key ' || key",
    chained=("number",),
    joined="SELECT * FROM slice",
    rules={
        "attempts": Rule(
            meaning="every attempt at the bank belongs to an order, and an order's attempts are numbered without gaps",
            broken=f"""
                number <> coalesce(number_before, 0) + 1
                OR CASE left(key, 3)
                    WHEN 'wd-' THEN {lacks("withdrawals", "id = substr(key, 4)::uuid")}
                    ELSE {lacks("scheduled_deposits", "id = substr(key, 4)::uuid AND collect")}
                END
            """,
        ),
    },
)

RESOLUTIONS = Walk(
    table="resolutions",
    key=[("position", "bigint")],
    name="subject_name",
    subject="subject",
    joined=f"""
        SELECT slice.*, stated.position IS NOT NULL AS is_stated
        FROM slice
        LEFT JOIN LATERAL (
            SELECT slice.position
            FROM ({EVENTS}) AS events
            WHERE events.facts IS NULL OR events.facts -> 'resolution' = {
        facts(
            kind="slice.kind",
            reason="slice.reason",
            bank_evidence="slice.bank_evidence",
            operator="slice.operator",
            person="slice.person",
            **_TOKEN_ID,
        )
    }
            LIMIT 1
        ) AS stated ON true
    """,
    rules={
        "resolutions": Rule(
            meaning="every resolution is stated by an event of its order",
            broken="NOT is_stated",
        ),
    },
)
