"""Events on their way to endpoints: which are sent, how they are signed, and in which order."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
from google.protobuf.json_format import ParseDict
from wallet.v1 import event_service_pb2 as event_pb

from scheduler.jobs import deliver_webhooks, prune_webhook_deliveries, write_journal
from tests.support import commands
from tests.support.books import deposit, open_wallet, transfer
from tests.support.endpoint import Endpoint, Reply
from tests.support.together import together
from tests.support.webhooks import (
    delete,
    deliver,
    deliveries,
    open_webhook,
    publish,
    rotate,
    states,
    update,
)
from wallet_core.domain.commands.wallets.change_wallet import FreezeWallet
from wallet_core.domain.model.access import Access, Right
from wallet_core.domain.model.commission_rule import Label
from wallet_core.domain.model.event import EventType
from wallet_core.domain.model.wallet import WalletId
from wallet_core.domain.model.webhook import Answer, DeliveryState, WebhookState
from wallet_core.usecases.app import App
from wallet_core.usecases.change_wallet import change_wallet
from wallet_core.usecases.deliver_webhook import deliver as attempt

ALICE, BOB = WalletId("alice"), WalletId("bob")
HOUR = timedelta(hours=1)
DELIVERED, PENDING, DEAD = DeliveryState.DELIVERED, DeliveryState.PENDING, DeliveryState.DEAD


def owned(app: App, wallet: str, owner: str, **labels: str) -> WalletId:
    """Open a wallet of an owner's."""
    change_wallet(app, replace(commands.a_new_wallet(wallet, "USD"), owner=owner, labels=labels))
    return WalletId(wallet)


def test_an_event_is_signed_by_the_specification(app: App, endpoint: Endpoint) -> None:
    """The specification's library accepts it; the body is the event of WatchEvents as proto3 JSON."""
    webhook = open_webhook(app, endpoint.url)
    open_wallet(app, ALICE)

    assert deliver(app) == {"DELIVERED": 1}

    (sent,) = endpoint.received
    assert sent.is_signed_by(webhook.secret)
    assert not sent.is_signed_by(rotate(app, webhook).secret)
    assert (sent.path, sent.headers["content-type"]) == ("/events", "application/json")
    event = ParseDict(sent.event, event_pb.Event())
    assert (event.type, event.resource, list(event.wallets)) == (
        event_pb.Event.TYPE_WALLET_CREATED,
        "wallets/alice",
        ["wallets/alice"],
    )
    assert event.number == 1
    assert event.resume_token
    (delivery,) = deliveries(app, webhook)
    (attempt,) = delivery.attempts
    assert (delivery.state, attempt.answer.status, attempt.answer.error) == (DELIVERED, 200, "")


def test_two_secrets_sign_while_both_are_valid(app: App, endpoint: Endpoint) -> None:
    """A receiver may change its secret at any time in between; after it only the new one signs."""
    webhook = open_webhook(app, endpoint.url)
    rotated = rotate(app, webhook)
    open_wallet(app, ALICE)
    deliver(app)
    again = rotate(app, webhook, now=True)
    open_wallet(app, BOB)
    deliver(app)

    both, one = endpoint.received
    assert len(both.headers["webhook-signature"].split()) == 2
    assert (both.is_signed_by(webhook.secret), both.is_signed_by(rotated.secret)) == (True, True)
    assert [one.is_signed_by(of.secret) for of in (webhook, rotated, again)] == [False, False, True]


def test_a_previous_secret_expires(app: App, endpoint: Endpoint) -> None:
    """After the overlap that is set."""
    webhook = open_webhook(app, endpoint.url)
    rotated = rotate(app, webhook, overlap=timedelta(microseconds=1))
    open_wallet(app, ALICE)
    deliver(app)

    (sent,) = endpoint.received
    assert (sent.is_signed_by(webhook.secret), sent.is_signed_by(rotated.secret)) == (False, True)


def test_events_of_one_wallet_wait_for_each_other(app: App, endpoint: Endpoint) -> None:
    """One that fails holds back those of its wallets, and no others."""
    open_wallet(app, ALICE, 100)
    open_wallet(app, BOB, 100)
    carol = open_wallet(app, WalletId("carol"), 100)
    publish(app)
    webhook = open_webhook(app, endpoint.url, types=(EventType.TRANSACTION_POSTED,))
    publish(app)
    failing = transfer(app, ALICE, BOB, 1).transaction.name
    transfer(app, BOB, carol, 2)  # waits for it
    transfer(app, carol, ALICE, 3)  # waits for both
    dave = open_wallet(app, WalletId("dave"), 4)  # shares no wallet with them
    endpoint.answer = lambda sent: Reply(500) if sent.event["resource"] == failing else None

    assert deliver(app) == {"RETRIED": 1, "DELIVERED": 1}
    endpoint.answer = lambda _: None
    first, *waiting, last = deliveries(app, webhook)
    assert [one.state for one in (first, *waiting, last)] == [PENDING, PENDING, PENDING, DELIVERED]
    assert [len(one.attempts) for one in waiting] == [0, 0]
    assert deliver(app, later=HOUR) == {"DELIVERED": 3}
    order = [sent.event["number"] for sent in endpoint.received]
    assert order[-3:] == [str(one.number) for one in (first, *waiting)]
    assert dave


def test_a_dead_letter_holds_back_nothing(app: App, endpoint: Endpoint, owner: psycopg.Connection) -> None:
    """The next event of its wallet goes."""
    webhook = open_webhook(app, endpoint.url)
    open_wallet(app, ALICE)
    deposit(app, ALICE, 1)
    publish(app)
    owner.execute(
        "UPDATE webhook_deliveries SET state = 'DEAD', next_attempt_time = NULL, end_time = now() WHERE number = 1"
    )

    assert deliver(app) == {"DELIVERED": 1}
    assert states(app, webhook) == {DEAD: 1, DELIVERED: 1}


def test_an_endpoint_that_was_down_for_an_hour_gets_everything(app: App, endpoint: Endpoint) -> None:
    """T14: in the order of each wallet."""
    webhook = open_webhook(app, endpoint.url)
    wallets = [open_wallet(app, WalletId(f"w-{number}"), 100) for number in range(5)]
    endpoint.usual = Reply(503)
    for minute in range(0, 60, 6):
        transfer(app, wallets[minute // 6 % 5], wallets[(minute // 6 + 1) % 5], 1)
        deliver(app, later=timedelta(minutes=minute))
    endpoint.usual = Reply()
    endpoint.received.clear()
    for later in (HOUR, 4 * HOUR, 8 * HOUR, 16 * HOUR):
        deliver(app, later=later)

    assert states(app, webhook) == {DELIVERED: 20}
    for wallet in wallets:
        numbers = [int(one["number"]) for one in endpoint.events if f"wallets/{wallet}" in one["wallets"]]
        assert numbers == sorted(numbers)
        assert len(numbers) > 4


def test_first_attempts_start_in_the_order_of_the_journal(app: App, endpoint: Endpoint) -> None:
    """Of one endpoint."""
    open_webhook(app, endpoint.url)
    for number in range(30):
        open_wallet(app, WalletId(f"w-{number}"))
    publish(app)
    claimed = []
    while found := app.webhook_queue.claim(limit=7, at_once=100, lease=HOUR):
        claimed += [claim.number for claim in found]

    assert claimed == list(range(1, 31))


def test_one_webhook_takes_no_more_than_its_share_and_the_first_of_each_comes_first(app: App) -> None:
    """One that fails is asked one thing at a time."""
    first, second = (open_webhook(app, f"https://shop.example/{number}") for number in range(2))
    for number in range(10):
        open_wallet(app, WalletId(f"w-{number}"))
    publish(app)

    claimed = app.webhook_queue.claim(limit=5, at_once=3, lease=HOUR)
    assert [claim.webhook.id for claim in claimed].count(first.id) == 3
    assert [claim.number for claim in claimed] == [1, 1, 2, 2, 3]
    assert [claim.number for claim in app.webhook_queue.claim(limit=5, at_once=3, lease=HOUR)] == [3]
    failed = next(claim for claim in claimed if claim.webhook.id == first.id)
    app.webhook_queue.mark_failed(failed, Answer(error="no response"), HOUR, timedelta(0))
    assert app.webhook_queue.claim(limit=5, at_once=3, lease=HOUR) == []
    later = app.webhook_queue.claim(limit=5, at_once=3, lease=HOUR, clock_offset=2 * HOUR)
    assert [claim.webhook.id for claim in later].count(first.id) == 1
    assert [claim.webhook.id for claim in later].count(second.id) == 3


def test_a_claim_that_was_lost_changes_nothing(app: App, endpoint: Endpoint) -> None:
    """Its lease ran out, and another worker has the delivery now."""
    webhook = open_webhook(app, endpoint.url)
    open_wallet(app, ALICE)
    publish(app)
    (lost,) = app.webhook_queue.claim(limit=1, at_once=1, lease=timedelta(microseconds=1))
    (taken,) = app.webhook_queue.claim(limit=1, at_once=1, lease=HOUR)
    app.webhook_queue.mark_delivered(lost, Answer(status=200), timedelta(0))

    assert (lost.attempt, taken.attempt, taken.fence) == (1, 2, lost.fence + 1)
    assert states(app, webhook) == {PENDING: 1}
    app.webhook_queue.mark_delivered(taken, Answer(status=200), timedelta(0))
    assert states(app, webhook) == {DELIVERED: 1}


def test_a_process_that_was_frozen_sends_nothing_too_late(app: App, endpoint: Endpoint) -> None:
    """Its lease could end while the request is on its way."""
    open_webhook(app, endpoint.url)
    open_wallet(app, ALICE)
    publish(app)
    (claim,) = app.webhook_queue.claim(limit=1, at_once=1, lease=app.webhooks.policy.lease)
    old = replace(claim, claimed_at=claim.claimed_at - app.webhooks.policy.lease.total_seconds() / 2)

    assert attempt(app, old) == "TOO_LATE"
    assert endpoint.received == []


def test_filters(app: App, endpoint: Endpoint) -> None:
    """By type, wallet, owner and label, of one and the same wallet."""
    owned(app, "a1", "ada", tier="gold")
    owned(app, "a2", "ada", tier="tin")
    owned(app, "b1", "bea", tier="gold")
    publish(app)
    by: dict[str, dict[str, Any]] = {
        "all": {},
        "type": {"types": (EventType.WALLET_FROZEN,)},
        "wallet": {"wallet": WalletId("a1")},
        "owner": {"owner": "ada"},
        "label": {"label": Label("tier", "gold")},
        "owner and label": {"owner": "ada", "label": Label("tier", "gold")},
        "type and owner": {"types": (EventType.TRANSACTION_POSTED,), "owner": "bea"},
    }
    webhooks = {name: open_webhook(app, endpoint.url, **fields) for name, fields in by.items()}
    for wallet in ("a1", "a2", "b1"):
        deposit(app, WalletId(wallet), 100)
    transfer(app, WalletId("a2"), WalletId("b1"), 1)
    change_wallet(app, commands.a_change(FreezeWallet, "b1"))
    publish(app)

    got = {name: [one.number - 3 for one in deliveries(app, webhook)] for name, webhook in webhooks.items()}
    assert got == {
        "all": [1, 2, 3, 4, 5],
        "type": [5],
        "wallet": [1],
        "owner": [1, 2, 4],
        "label": [1, 3, 4, 5],
        "owner and label": [1],
        "type and owner": [3, 4],
    }


def test_a_webhook_of_an_owner_gets_the_events_of_its_wallets_and_sees_no_others(app: App, endpoint: Endpoint) -> None:
    """No number of the journal either: it would reveal the activity of others."""
    owned(app, "a1", "ada")
    owned(app, "b1", "bea")
    publish(app)
    access = Access("ada", frozenset({Right.EVENTS, Right.READ}))
    webhook = open_webhook(app, endpoint.url, access=access)
    deposit(app, WalletId("a1"), 100)
    deposit(app, WalletId("b1"), 100)
    transfer(app, WalletId("a1"), WalletId("b1"), 1)
    deliver(app)

    assert [event["wallets"] for event in endpoint.events] == [["wallets/a1"], ["wallets/a1"]]
    assert [event.get("number") for event in endpoint.events] == [None, None]
    assert webhook.confined_to == "ada"


def test_system_wallets_are_shown_to_operations_alone(app: App, endpoint: Endpoint) -> None:
    """As in WatchEvents, by the rights of the webhook's creator."""
    open_wallet(app, ALICE)
    publish(app)
    open_webhook(app, f"{endpoint.url}/all")
    open_webhook(app, f"{endpoint.url}/some", access=Access(None, frozenset({Right.EVENTS})))
    deposit(app, ALICE, 1)
    deliver(app)

    by_path = {sent.path: sent.event["wallets"] for sent in endpoint.received}
    assert by_path == {
        "/events/all": ["wallets/system:external:USD", "wallets/alice"],
        "/events/some": ["wallets/alice"],
    }


def test_a_new_webhook_begins_with_new_events(app: App, endpoint: Endpoint) -> None:
    """Also where the queue is behind the journal."""
    open_wallet(app, ALICE)
    write_journal.run_once(app)
    webhook = open_webhook(app, endpoint.url)
    deposit(app, ALICE, 1)

    assert deliver(app) == {"DELIVERED": 1}
    assert [one.number for one in deliveries(app, webhook)] == [2]


def test_a_disabled_webhook_is_brought_up_to_date_in_steps(app: App, endpoint: Endpoint) -> None:
    """Beside one that goes along; each event is queued once."""
    behind, along = (open_webhook(app, f"{endpoint.url}/{name}") for name in ("behind", "along"))
    open_wallet(app, ALICE)
    publish(app)
    update(app, behind, enabled=False)
    for number in range(7):
        open_wallet(app, WalletId(f"w-{number}"))
    publish(app)
    assert [one.number for one in deliveries(app, behind)] == [1]
    update(app, behind, enabled=True)
    open_wallet(app, BOB)
    while app.webhook_queue.queue(3)[1]:
        pass
    publish(app)

    for webhook in (behind, along):
        assert [one.number for one in deliveries(app, webhook)] == list(range(1, 10))


def test_a_deleted_webhook_gets_nothing_and_its_deliveries_are_removed(app: App, endpoint: Endpoint) -> None:
    """Pending ones too."""
    webhook = open_webhook(app, endpoint.url)
    open_wallet(app, ALICE)
    publish(app)
    deleted = delete(app, webhook)
    open_wallet(app, BOB)

    assert deliver(app) == {}
    assert (deleted.state, deleted.secret, len(deliveries(app, webhook))) == (WebhookState.DELETED, "", 1)
    prune_webhook_deliveries.run_once(app)
    assert deliveries(app, webhook) == []
    assert endpoint.received == []


def test_old_deliveries_are_removed(app: App, endpoint: Endpoint, owner: psycopg.Connection) -> None:
    """Accepted ones and dead letters after their own times, pending ones never."""
    webhook = open_webhook(app, endpoint.url)
    for number in range(5):
        open_wallet(app, WalletId(f"w-{number}"))
    publish(app)
    old = {1: ("DELIVERED", 8), 2: ("DELIVERED", 6), 3: ("DEAD", 91), 4: ("DEAD", 89)}
    for number, (state, days) in old.items():
        owner.execute(
            "UPDATE webhook_deliveries SET state = %s, next_attempt_time = NULL, end_time = now() - %s"
            " WHERE number = %s",
            [state, timedelta(days=days), number],
        )
    owner.execute("UPDATE webhook_deliveries SET create_time = now() - interval '1 year'")
    owner.execute(
        "INSERT INTO webhook_attempts SELECT webhook, number, 1, now(), 200, 1, '', '' FROM webhook_deliveries"
    )
    prune_webhook_deliveries.run_once(app)

    assert [one.number for one in deliveries(app, webhook)] == [2, 4, 5]
    ((left,),) = owner.execute("SELECT count(*) FROM webhook_attempts").fetchall()
    assert left == 3


def test_a_response_is_bounded(app: App, endpoint: Endpoint) -> None:
    """In what is stored of it, and without characters that could manipulate a terminal."""
    webhook = open_webhook(app, endpoint.url)
    open_wallet(app, ALICE)
    endpoint.usual = Reply(200, body=b"\x1b[31mred\x00" + b"x" * 10_000_000)
    deliver(app)

    (delivery,) = deliveries(app, webhook)
    response = delivery.attempts[0].answer.response
    assert response.startswith(" [31mred xxx")
    assert len(response) == 1024


def test_several_schedulers_send_each_event_once(app: App, endpoint: Endpoint) -> None:
    """Their claims are disjoint, and together they keep the limit of the endpoint."""
    open_webhook(app, endpoint.url)
    for number in range(40):
        open_wallet(app, WalletId(f"w-{number}"))
    publish(app)
    endpoint.usual = Reply(delay_s=0.02)
    together([lambda: deliver_webhooks.run_once(app)] * 3)
    deliver(app)

    assert len(endpoint.received) == len({sent.id for sent in endpoint.received}) == 40
    assert endpoint.most_at_once <= app.webhooks.endpoint_parallelism
