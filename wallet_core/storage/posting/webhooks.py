"""Webhooks on the posting path: each protected by the lock of its own row."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.access import Right
from wallet_core.domain.model.commission_rule import Label
from wallet_core.domain.model.event import EventType
from wallet_core.domain.model.wallet import WalletId
from wallet_core.domain.model.webhook import Webhook, WebhookChange, WebhookState
from wallet_core.storage.connections.engine import Expected, Tx

# Before any row is locked: webhooks are counted when one is created. The schema is part of the key, because a tenant
# may be a schema.
LOCK_CREATION = "SELECT pg_advisory_xact_lock(7236115, hashtext(current_schema()))"

COUNTS = "SELECT confined_to, count(*) FROM webhooks WHERE state <> 'DELETED' GROUP BY confined_to"

COLUMNS: LiteralString = """w.id, w.creator, w.confined_to, w.rights, w.url, w.description, w.types, wallets.id,
    w.owner, w.label_key, w.label_value, w.state, w.disabled_reason, w.secret, w.secret_number, w.previous_secret,
    w.previous_secret_until, w.revision, w.create_time, w.update_time"""

WEBHOOKS: LiteralString = f"""
SELECT {COLUMNS}
FROM webhooks AS w
LEFT JOIN wallets ON wallets.key = w.wallet
WHERE w.id = ANY(%s)
"""

LOCK_WEBHOOKS: LiteralString = f"{WEBHOOKS} ORDER BY w.id FOR NO KEY UPDATE OF w"

DELIVERIES = """
SELECT webhook, number
FROM unnest(%s::uuid[], %s::bigint[]) AS requested (webhook, number)
JOIN webhook_deliveries USING (webhook, number)
"""

# It begins with what is published from now on. Rows are few, and no hot path writes them: no arrays are needed.
INSERT_WEBHOOK = """
INSERT INTO webhooks (id, creator, confined_to, rights, url, description, types, wallet, owner, label_key, label_value,
    state, disabled_reason, secret, secret_number, previous_secret, previous_secret_until, revision, create_time,
    update_time, begins_after, queued_to)
SELECT %(id)s, %(creator)s, %(confined_to)s, %(rights)s::text[], %(url)s, %(description)s, %(types)s::text[],
    (SELECT key FROM wallets WHERE id = %(wallet)s), %(owner)s, %(label_key)s,
    %(label_value)s, %(state)s, %(disabled_reason)s, %(secret)s,
    %(secret_number)s, %(previous_secret)s, %(previous_secret_until)s::timestamptz, %(revision)s, %(create_time)s,
    %(update_time)s, newest, CASE WHEN %(state)s <> 'ENABLED' THEN newest END
FROM (SELECT coalesce(max(number), 0) AS newest FROM journal) AS journal
"""

INSERT_QUEUE = "INSERT INTO webhook_queues (webhook) VALUES (%(id)s)"

# One that is disabled remembers how far it was queued. The cursor may move meanwhile, while the webhook is still seen
# as enabled: what is then queued twice is ignored the second time.
UPDATE_WEBHOOK = """
UPDATE webhooks
SET url = %(url)s, description = %(description)s, types = %(types)s::text[],
    wallet = (SELECT key FROM wallets WHERE id = %(wallet)s), owner = %(owner)s,
    label_key = %(label_key)s, label_value = %(label_value)s,
    state = %(state)s, disabled_reason = %(disabled_reason)s, secret = %(secret)s, secret_number = %(secret_number)s,
    previous_secret = %(previous_secret)s, previous_secret_until = %(previous_secret_until)s::timestamptz,
    revision = %(revision)s, update_time = %(update_time)s,
    queued_to = CASE WHEN %(state)s = 'ENABLED' THEN queued_to
        ELSE coalesce(queued_to, (SELECT number FROM webhook_cursor)) END
WHERE id = %(id)s
"""

INSERT_PING = """
INSERT INTO webhook_deliveries (webhook, number, wallets, state, create_time, next_attempt_time)
VALUES (%s, %s, '{}', 'PENDING', %s, %s)
"""

# An attempt that is in flight continues: a second one beside it could arrive after a later event.
REDELIVER = """
UPDATE webhook_deliveries
SET state = 'PENDING', tries = 0, next_attempt_time = %s, end_time = NULL
WHERE webhook = %s AND number = %s
"""

REDELIVER_SINCE = """
UPDATE webhooks
SET redeliver_since = least(redeliver_since, %s::timestamptz), redeliver_until = %s::timestamptz
WHERE id = %s
"""


def store_webhooks(tx: Tx, ledger: LedgerState) -> Expected:
    """Write the webhooks that are new or changed, in the order of their ids, and what they are to send."""
    expected: Expected = []
    new = set(ledger.pending.new)
    for change in sorted(ledger.pending.webhooks, key=lambda one: one.webhook.id):
        webhook = change.webhook
        if webhook.id in new:
            new.discard(webhook.id)
            tx.execute(INSERT_WEBHOOK, _values(webhook))
            tx.execute(INSERT_QUEUE, {"id": webhook.id})
        else:
            expected += _store_change(tx, change, ledger.now)
    return expected


def _store_change(tx: Tx, change: WebhookChange, now: datetime) -> Expected:
    webhook = change.webhook
    if change.ping is not None:
        return [(tx.execute(INSERT_PING, [webhook.id, change.ping, now, now]), 1)]
    if change.redeliver is not None:
        return [(tx.execute(REDELIVER, [now, webhook.id, change.redeliver]), 1)]
    if change.redeliver_since is not None:
        return [(tx.execute(REDELIVER_SINCE, [change.redeliver_since, now, webhook.id]), 1)]
    return [(tx.execute(UPDATE_WEBHOOK, _values(webhook)), 1)]


def _values(webhook: Webhook) -> dict[str, Any]:
    label = webhook.label
    return {
        "id": webhook.id,
        "creator": webhook.creator,
        "confined_to": webhook.confined_to,
        "rights": sorted(webhook.rights),
        "url": webhook.url,
        "description": webhook.description,
        "types": list(webhook.types),
        "wallet": webhook.wallet,
        "owner": webhook.owner,
        "label_key": label.key if label is not None else None,
        "label_value": label.value if label is not None else None,
        "state": webhook.state,
        "disabled_reason": webhook.disabled_reason,
        "secret": webhook.secret,
        "secret_number": webhook.secret_number,
        "previous_secret": webhook.previous_secret,
        "previous_secret_until": webhook.previous_secret_until,
        "revision": webhook.revision,
        "create_time": webhook.create_time,
        "update_time": webhook.update_time,
    }


def webhook_of(row: Sequence[Any]) -> Webhook:
    """Return the webhook in a row of ``WEBHOOKS``."""
    return _webhook(*row)


def _webhook(
    id_: UUID,
    creator: str,
    confined_to: str | None,
    rights: Sequence[str],
    url: str,
    description: str,
    types: Sequence[str],
    wallet: str | None,
    owner: str,
    label_key: str | None,
    label_value: str | None,
    state: str,
    disabled_reason: str,
    secret: str,
    secret_number: int,
    previous_secret: str,
    previous_secret_until: datetime | None,
    revision: int,
    create_time: datetime,
    update_time: datetime,
) -> Webhook:
    return Webhook(
        id=id_,
        creator=creator,
        confined_to=confined_to,
        rights=frozenset(map(Right, rights)),
        url=url,
        description=description,
        types=tuple(map(EventType, types)),
        wallet=WalletId(wallet) if wallet is not None else None,
        owner=owner,
        label=Label(label_key, label_value) if label_key is not None and label_value is not None else None,
        state=WebhookState(state),
        disabled_reason=disabled_reason,
        secret=secret,
        secret_number=secret_number,
        previous_secret=previous_secret,
        previous_secret_until=previous_secret_until,
        revision=revision,
        create_time=create_time,
        update_time=update_time,
    )
