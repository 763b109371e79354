"""Webhooks and their deliveries."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from wallet_core.domain.model.errors import ResourceNotFound
from wallet_core.domain.model.webhook import (
    Answer,
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    Webhook,
    WebhookVitals,
    webhook_name,
)
from wallet_core.domain.queries.filter import Condition
from wallet_core.domain.queries.lists import DELIVERY_FIELDS, WEBHOOK_FIELDS, Page
from wallet_core.storage.connections.reader import Reader
from wallet_core.storage.posting.webhooks import WEBHOOKS, webhook_of
from wallet_core.storage.reads.pages import Listing, where

# Attempts of a delivery that a list shows, and deliveries that are counted for a metric, at most.
ATTEMPTS_SHOWN = 20
COUNTED_MAX = 100_000

_OF_WEBHOOKS = {name: f"w.{name}" for name in WEBHOOK_FIELDS}
_OF_DELIVERIES = {name: f"d.{name}" for name in DELIVERY_FIELDS}

_NOW = text("SELECT clock_timestamp()")

_ATTEMPTS = text("""
SELECT number, attempt, time, status, latency_ms, response, error
FROM unnest(CAST(:numbers AS bigint[])) AS requested (number)
CROSS JOIN LATERAL (
    SELECT attempt, time, status, latency_ms, response, error
    FROM webhook_attempts AS a
    WHERE a.webhook = :webhook AND a.number = requested.number
    ORDER BY attempt DESC
    LIMIT :most
) AS newest
ORDER BY number, attempt
""")

_VITALS = text("""
SELECT
    (SELECT count(*) FROM (SELECT FROM webhook_deliveries WHERE state = 'PENDING' LIMIT :most) AS pending),
    (SELECT min(oldest.create_time)
     FROM webhooks AS w
     CROSS JOIN LATERAL (
         SELECT d.create_time
         FROM webhook_deliveries AS d
         WHERE d.webhook = w.id AND d.state = 'PENDING'
         ORDER BY d.number
         LIMIT 1
     ) AS oldest
     WHERE w.state <> 'DELETED'),
    (SELECT count(*) FROM (SELECT FROM webhook_deliveries WHERE state = 'DEAD' AND number > 0 LIMIT :most) AS dead),
    (SELECT count(*) FROM webhooks WHERE state = 'DISABLED')
""")


class WebhookReads(Reader):
    """Reads of webhooks."""

    def webhook(self, webhook: UUID) -> Webhook:
        """Return one webhook, also a deleted one."""
        return self.webhook_at(webhook)[0]

    def webhook_at(self, webhook: UUID) -> tuple[Webhook, datetime]:
        """Return one webhook, also a deleted one, and the time on the database's clock."""

        def read(tx: Connection) -> tuple[list[Webhook], datetime]:
            return _webhooks(tx, [webhook]), tx.execute(_NOW).scalar_one()

        found, now = self.read(read)
        if not found:
            raise ResourceNotFound(webhook_name(webhook))
        return found[0], now

    def list_webhooks(
        self,
        *,
        confined_to: str | None,
        size: int,
        before: tuple[datetime, UUID] | None,
        conditions: Sequence[Condition],
    ) -> Page[Webhook]:
        """Return webhooks that are not deleted, newest first: all, or those confined to one owner."""

        def read(tx: Connection) -> Page[Webhook]:
            parameters: dict[str, object] = {}
            narrowed = ["state <> 'DELETED'"]
            if confined_to is not None:
                parameters["confined_to"] = confined_to
                narrowed.append("confined_to = :confined_to")
            if before is not None:
                parameters["time"], parameters["id"] = before
                narrowed.append("(create_time, id) < (:time, :id)")
            page = Listing(
                scan_window=f"SELECT create_time, id FROM webhooks WHERE {' AND '.join(narrowed)} "
                "ORDER BY create_time DESC, id DESC",
                columns="scan_window.create_time, scan_window.id",
                joins="JOIN webhooks AS w ON w.id = scan_window.id",
                position=("create_time", "id"),
            ).page(tx, size=size, where=where(conditions, _OF_WEBHOOKS), parameters=parameters)
            return page.showing(_webhooks(tx, [row.id for row in page.items]))

        return self.read(read)

    def list_deliveries(
        self, webhook: UUID, *, size: int, before: tuple[datetime, int] | None, conditions: Sequence[Condition]
    ) -> Page[Delivery]:
        """Return deliveries of a webhook, newest first, from below the create time and number *before*."""

        def read(tx: Connection) -> Page[Delivery]:
            parameters: dict[str, object] = {"webhook": webhook}
            below = ""
            if before is not None:
                parameters["time"], parameters["number"] = before
                below = "AND (create_time, number) < (:time, :number)"
            page = Listing(
                scan_window="SELECT webhook, create_time, number FROM webhook_deliveries "
                f"WHERE webhook = :webhook {below} ORDER BY create_time DESC, number DESC",
                columns="d.state, j.type, j.subject, d.next_attempt_time, d.end_time, scan_window.create_time, "
                "scan_window.number",
                joins="JOIN webhook_deliveries AS d ON d.webhook = scan_window.webhook AND d.number = "
                "scan_window.number LEFT JOIN journal AS j ON j.number = scan_window.number",
                position=("create_time", "number"),
            ).page(tx, size=size, where=where(conditions, _OF_DELIVERIES), parameters=parameters)
            attempts = _attempts(tx, webhook, [row.number for row in page.items])
            return page.showing(
                [
                    Delivery(
                        webhook=webhook,
                        number=row.number,
                        state=DeliveryState(row.state),
                        attempts=tuple(attempts.get(row.number, ())),
                        type=row.type or "",
                        subject=row.subject or "",
                        next_attempt_time=row.next_attempt_time,
                        create_time=row.create_time,
                        end_time=row.end_time,
                    )
                    for row in page.items
                ]
            )

        return self.read(read)

    def webhook_vitals(self) -> WebhookVitals:
        """Return measurements of all deliveries; counts stop at ``COUNTED_MAX``."""
        pending, oldest, dead, disabled = self.read(lambda tx: tx.execute(_VITALS, {"most": COUNTED_MAX}).one())
        return WebhookVitals(pending=pending, oldest_pending=oldest, dead=dead, disabled=disabled)


def _webhooks(tx: Connection, ids: Sequence[UUID]) -> list[Webhook]:
    found = {row[0]: webhook_of(row) for row in tx.exec_driver_sql(WEBHOOKS, (list(ids),))}
    return [found[id_] for id_ in ids if id_ in found]


def _attempts(tx: Connection, webhook: UUID, numbers: Sequence[int]) -> dict[int, list[DeliveryAttempt]]:
    found: dict[int, list[DeliveryAttempt]] = {}
    parameters = {"webhook": webhook, "numbers": list(numbers), "most": ATTEMPTS_SHOWN}
    for number, attempt, time, status, latency_ms, response, error in tx.execute(_ATTEMPTS, parameters):
        answer = Answer(status=status, response=response, error=error, latency=timedelta(milliseconds=latency_ms))
        found.setdefault(number, []).append(DeliveryAttempt(number=attempt, time=time, answer=answer))
    return found
