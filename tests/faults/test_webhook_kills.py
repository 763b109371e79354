"""Schedulers that are killed at every point between a commit and the mark of its delivery: no event is lost."""

from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.support.books import deposit, open_wallet, transfer
from tests.support.endpoint import Endpoint, running_endpoint
from tests.support.payout_service import PayoutService, end
from tests.support.toolchain import some
from tests.support.webhooks import deliveries, open_webhook
from wallet_core.domain.model.wallet import WalletId
from wallet_core.domain.model.webhook import DeliveryState, Webhook

SETTINGS: dict[str, object] = {
    "webhook_call_deadline_s": 2.0,
    "webhook_lease_s": 6.0,
    "webhook_poll_s": 0.1,
    # The claims of killed schedulers count until their leases end: more of them than there are points.
    "webhook_endpoint_parallelism": 20,
}

QUEUE = "wallet_core.storage.scheduling.webhooks"
POINTS = some(
    (
        ("after the commit, before the journal", "before", "wallet_core.storage.scheduling.journal:Journal.write"),
        ("after the journal, before its commit", "after", "wallet_core.domain.model.event:JournalRecord.chained"),
        ("after the journal's commit", "after", "wallet_core.storage.scheduling.journal:Journal.write"),
        ("before anything is queued", "before", f"{QUEUE}:WebhookQueue.queue"),
        ("after it is queued, before its commit", "before", f"{QUEUE}:redeliver_dead_letters"),
        ("after the queue's commit", "after", f"{QUEUE}:WebhookQueue.queue"),
        ("before the claim", "before", f"{QUEUE}:WebhookQueue.claim"),
        ("after the claim, before its commit", "after", f"{QUEUE}:_claim_of"),
        ("after the claim's commit", "after", f"{QUEUE}:WebhookQueue.claim"),
        ("before the request", "before", "wallet_core.gateways.endpoints:HttpEndpoints.send"),
        ("after the endpoint has answered, before the answer is read", "before", "httpx:Response.aiter_raw"),
        ("after the answer, before the mark", "after", "wallet_core.gateways.endpoints:HttpEndpoints.send"),
        ("after the mark", "after", f"{QUEUE}:WebhookQueue.mark_delivered"),
    )
)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    """Return an endpoint that accepts everything."""
    with running_endpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def webhook(service: PayoutService, endpoint: Endpoint) -> Webhook:
    """Kill a scheduler at each point, with events of wallets of its own; let two others finish."""
    app = service.app
    webhook = open_webhook(app, endpoint.url)
    for number, (_, moment, point) in enumerate(POINTS):
        source, destination = (open_wallet(app, WalletId(f"w-{number}-{which}"), 100) for which in range(2))
        for amount in range(1, 4):
            transfer(app, source, destination, amount)
        service.kill_at(moment, point)
    deposit(app, WalletId("w-0-0"), 1)
    schedulers = [service.start("scheduler") for _ in range(2)]
    events = len(POINTS) * (2 + 2 + 3) + 1
    service.until(lambda: sum(one.state is DeliveryState.DELIVERED for one in deliveries(app, webhook)) == events)
    end(*schedulers)
    return webhook


def test_every_event_arrives(service: PayoutService, endpoint: Endpoint, webhook: Webhook) -> None:
    """N3: at least once, under one id, with one body, signed."""
    numbers = [int(event["number"]) for event in endpoint.events]
    end_ = service.app.reads.journal_end()

    assert end_ is not None
    assert set(numbers) == set(range(1, end_.number + 1))
    by_id = {sent.id: sent.body for sent in endpoint.received}
    assert len(by_id) == end_.number
    assert all(by_id[sent.id] == sent.body for sent in endpoint.received)
    assert all(sent.is_signed_by(webhook.secret) for sent in endpoint.received)
    assert len(numbers) <= end_.number + len(POINTS)


def test_nothing_of_one_wallet_is_reordered(endpoint: Endpoint, webhook: Webhook) -> None:
    """A repeat comes before the next event."""
    del webhook
    numbers: dict[str, list[int]] = defaultdict(list)
    for event in endpoint.events:
        for wallet in event["wallets"]:
            if not wallet.startswith("wallets/system:"):
                numbers[wallet].append(int(event["number"]))

    assert len(numbers) == 2 * len(POINTS)
    assert [wallet for wallet, found in numbers.items() if found != sorted(found)] == []
