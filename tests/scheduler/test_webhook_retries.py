"""Retries of deliveries: their schedule, Retry-After, dead letters, and endpoints that are gone."""

from datetime import timedelta
from email.utils import format_datetime

import psycopg
import pytest

from tests.support.books import deposit, open_wallet
from tests.support.endpoint import Endpoint, Reply
from tests.support.webhooks import (
    PAST_ALL,
    deliver,
    deliveries,
    open_webhook,
    publish,
    redeliver,
    states,
    update,
)
from wallet_core.domain.model.attention import AttentionKind
from wallet_core.domain.model.wallet import WalletId
from wallet_core.domain.model.webhook import DeliveryState, WebhookState
from wallet_core.usecases.app import App

ALICE, BOB = WalletId("alice"), WalletId("bob")
HOUR = timedelta(hours=1)
DELIVERED, PENDING, DEAD = DeliveryState.DELIVERED, DeliveryState.PENDING, DeliveryState.DEAD


def test_every_attempt_of_a_delivery_has_the_same_id_and_body(app: App, endpoint: Endpoint) -> None:
    """And a signature of its own time."""
    webhook = open_webhook(app, endpoint.url)
    open_wallet(app, ALICE)
    endpoint.replies = [Reply(500, body=b"broken"), Reply(302, {"Location": endpoint.url}), Reply(204)]

    outcomes = [deliver(app, later=later) for later in (timedelta(0), HOUR, 2 * HOUR)]

    assert outcomes == [{"RETRIED": 1}, {"RETRIED": 1}, {"DELIVERED": 1}]
    assert len({(sent.id, sent.body) for sent in endpoint.received}) == 1
    assert all(sent.is_signed_by(webhook.secret) for sent in endpoint.received)
    (delivery,) = deliveries(app, webhook)
    assert [(one.number, one.answer.status, one.answer.response) for one in delivery.attempts] == [
        (1, 500, "broken"),
        (2, 302, ""),
        (3, 204, ""),
    ]


def test_nothing_is_sent_before_its_time(app: App, endpoint: Endpoint) -> None:
    """A retry waits for the delay that is set."""
    open_webhook(app, endpoint.url)
    open_wallet(app, ALICE)
    endpoint.usual = Reply(503)
    deliver(app)

    assert deliver(app, later=timedelta(seconds=4)) == {}
    assert deliver(app, later=timedelta(seconds=6)) == {"RETRIED": 1}


@pytest.mark.parametrize("is_date", [False, True], ids=["seconds", "date"])
def test_retry_after_is_respected(app: App, endpoint: Endpoint, is_date: bool) -> None:  # noqa: FBT001  # a parameter
    """Seconds or a date; where it is later than the schedule."""
    date = format_datetime(app.bank_statement_lines.now() + timedelta(seconds=1800), usegmt=True)
    asked = date if is_date else "1800"
    open_webhook(app, endpoint.url)
    open_wallet(app, ALICE)
    endpoint.replies = [Reply(429, {"Retry-After": asked})]
    deliver(app)

    assert deliver(app, later=timedelta(seconds=1700)) == {}
    assert deliver(app, later=timedelta(seconds=1900)) == {"DELIVERED": 1}


def test_a_delivery_that_fails_twice_is_made_at_the_third_attempt(app: App, endpoint: Endpoint) -> None:
    """N1: at the delays that are set, counted from the attempt before, and with nothing in between."""
    webhook = open_webhook(app, endpoint.url)
    open_wallet(app, ALICE)
    endpoint.replies = [Reply(500), Reply(503)]
    first, second, *_ = app.webhooks.policy.retries
    share = 1 + app.webhooks.policy.jitter

    deliver(app)
    assert deliver(app, later=0.9 * first) == {}
    deliver(app, later=1.1 * share * first)
    assert deliver(app, later=share * first + 0.9 * second) == {}
    assert deliver(app, later=1.1 * share * (first + second)) == {"DELIVERED": 1}

    (delivery,) = app.reads.list_deliveries(webhook.id, size=9, before=None, conditions=()).items
    assert [one.answer.status for one in delivery.attempts] == [500, 503, 200]


def test_retry_after_is_bounded(app: App, endpoint: Endpoint) -> None:
    """By the setting: an endpoint cannot put its events off for ever."""
    open_webhook(app, endpoint.url)
    open_wallet(app, ALICE)
    endpoint.replies = [Reply(503, {"Retry-After": "9" * 30})]
    deliver(app)

    longest = app.webhooks.policy.retry_after_max
    assert deliver(app, later=longest - timedelta(minutes=1)) == {}
    assert deliver(app, later=longest + timedelta(minutes=1)) == {"DELIVERED": 1}


def test_an_endpoint_that_is_gone_disables_its_webhook(app: App, endpoint: Endpoint) -> None:
    """Nothing more is sent, it is listed for attention, and once enabled it gets everything since, in order."""
    webhook = open_webhook(app, endpoint.url)
    open_wallet(app, ALICE)
    endpoint.replies = [Reply(410)]

    assert deliver(app) == {"DISABLED": 1}
    found = app.reads.webhook(webhook.id)
    assert (found.state, found.disabled_reason) == (
        WebhookState.DISABLED,
        "the endpoint answered with status 410: it wants no more events",
    )
    deposit(app, ALICE, 5)
    assert deliver(app, later=HOUR) == {}
    items = app.reads.list_attention(app.attention, size=10, after=None).items
    assert [(one.kind, one.name) for one in items] == [(AttentionKind.WEBHOOK_DISABLED, webhook.name)]

    enabled = update(app, webhook, enabled=True)
    assert (enabled.state, enabled.disabled_reason) == (WebhookState.ENABLED, "")
    deliver(app, later=HOUR)
    deposit(app, ALICE, 6)
    deliver(app, later=HOUR)
    assert [one["type"] for one in endpoint.events] == [
        "TYPE_WALLET_CREATED",
        "TYPE_WALLET_CREATED",
        "TYPE_TRANSACTION_POSTED",
        "TYPE_TRANSACTION_POSTED",
    ]
    assert states(app, webhook) == {DELIVERED: 3}


def test_an_answer_to_an_earlier_url_disables_nothing(app: App, endpoint: Endpoint) -> None:
    """The URL was changed while the request was on its way."""
    webhook = open_webhook(app, endpoint.url)
    open_wallet(app, ALICE)
    publish(app)
    (claim,) = app.webhook_queue.claim(limit=1, at_once=1, lease=HOUR)
    update(app, webhook, url=f"{endpoint.url}/new")
    endpoint_gone = app.webhook_endpoints.send(
        claim.webhook.url, message="msg_1", body=b"{}", secrets=claim.secrets, now=claim.time
    )
    app.webhook_queue.mark_gone(claim, endpoint_gone, timedelta(0))

    assert app.reads.webhook(webhook.id).state is WebhookState.ENABLED
    assert deliver(app) == {"DELIVERED": 1}
    assert endpoint.received[-1].path == "/events/new"


def test_a_schedule_that_is_exhausted_leaves_a_dead_letter(app: App, endpoint: Endpoint) -> None:
    """N2: it is listed for attention; later events go on."""
    webhook = open_webhook(app, endpoint.url)
    open_wallet(app, ALICE)
    endpoint.usual = Reply(500)
    rounds = [deliver(app, later=day * timedelta(days=2)) for day in range(12)]

    assert rounds[8:] == [{"RETRIED": 1}, {"DEAD": 1}, {}, {}]
    assert len(endpoint.received) == 1 + len(app.webhooks.policy.retries)
    items = app.reads.list_attention(app.attention, size=10, after=None).items
    assert [(one.kind, one.name) for one in items] == [(AttentionKind.WEBHOOK_DEAD_LETTERS, webhook.name)]
    vitals = app.reads.webhook_vitals()
    assert (vitals.pending, vitals.dead, vitals.disabled) == (0, 1, 0)

    endpoint.usual = Reply()
    deposit(app, ALICE, 5)
    assert deliver(app, later=PAST_ALL) == {"DELIVERED": 1}
    redeliver(app, webhook, number=1)
    assert deliver(app) == {"DELIVERED": 1}
    assert len({sent.id for sent in endpoint.received}) == 2


def test_dead_letters_are_sent_again_from_a_time(app: App, endpoint: Endpoint) -> None:
    """All of them, in order; each has the id that it had."""
    webhook = open_webhook(app, endpoint.url)
    open_wallet(app, ALICE)
    for units in range(1, 4):
        deposit(app, ALICE, units)
    endpoint.usual = Reply(500)
    for day in range(60):
        deliver(app, later=day * timedelta(days=2))
    assert states(app, webhook) == {DEAD: 4}
    before = [sent.id for sent in endpoint.received]
    endpoint.received.clear()
    endpoint.usual = Reply()
    first = deliveries(app, webhook)[1]
    assert first.end_time is not None

    # The time of this test's clock is ahead of the database's, by which dead letters are asked for.
    for number in range(1, 5):
        redeliver(app, webhook, number=number)
    assert deliver(app) == {"DELIVERED": 4}
    assert [sent.id for sent in endpoint.received] == list(dict.fromkeys(before))


def test_dead_letters_before_the_time_stay_dead(app: App, endpoint: Endpoint, owner: psycopg.Connection) -> None:
    """And those that die after the call are not sent again for ever."""
    webhook = open_webhook(app, endpoint.url)
    open_wallet(app, ALICE)
    deposit(app, ALICE, 1)
    publish(app)
    owner.execute(
        "UPDATE webhook_deliveries SET state = 'DEAD', next_attempt_time = NULL,"
        " end_time = now() - CASE number WHEN 1 THEN interval '2 hours' ELSE interval '1 hour' END"
    )
    ((now,),) = owner.execute("SELECT now()").fetchall()
    redeliver(app, webhook, since=now - timedelta(minutes=90))

    assert deliver(app) == {"DELIVERED": 1}
    assert [one.state for one in deliveries(app, webhook)] == [DEAD, DELIVERED]
    redeliver(app, webhook, since=now - 3 * HOUR)
    assert deliver(app) == {"DELIVERED": 1}
    assert [event["type"] for event in endpoint.events] == ["TYPE_TRANSACTION_POSTED", "TYPE_WALLET_CREATED"]
