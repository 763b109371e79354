"""The scheduler process: events reach endpoints at once, however long its interval; a slow endpoint delays none."""

from collections.abc import Iterator
from time import monotonic

import pytest

from scheduler.jobs import deliver_webhooks
from tests.support.books import deposit, open_wallet
from tests.support.database import Cluster
from tests.support.endpoint import Endpoint, Reply, running_endpoint
from tests.support.payout_service import PayoutService, end, new_payout_service
from tests.support.webhooks import open_webhook, publish
from wallet_core.domain.model.wallet import WalletId
from wallet_core.usecases.app import App

# Longer than the test: nothing is found by looking again.
NEVER_S = 300.0


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Return an endpoint."""
    with running_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def service(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PayoutService]:
    """Return a service."""
    with new_payout_service(cluster, tmp_path_factory.mktemp("service"), webhook_poll_s=NEVER_S) as service:
        yield service


def test_an_event_is_sent_when_it_is_published(service: PayoutService, endpoint: Endpoint) -> None:
    """The writer of the journal wakes the queue, that the delivery, and the end of one the next of its wallet."""
    open_webhook(service.app, endpoint.url)
    scheduler = service.start("scheduler").until_logged('"event": "running"')
    open_wallet(service.app, WalletId("first"))
    endpoint.until_received(1)
    alice = open_wallet(service.app, WalletId("alice"))
    for amount in range(1, 10):
        deposit(service.app, alice, amount)
    sent = endpoint.until_received(11)
    end(scheduler)

    assert [one.event["number"] for one in sent] == [str(number) for number in range(1, 12)]


def test_a_slow_endpoint_delays_no_other(app: App, endpoint: Endpoint) -> None:
    """It has its share of the requests at once, and the first event of each comes before the second of any."""
    with running_endpoint() as slow:
        slow.usual = Reply(delay_s=2.0)
        open_webhook(app, slow.url)
        open_webhook(app, endpoint.url)
        for number in range(40):
            open_wallet(app, WalletId(f"w-{number}"))
        publish(app)
        worker = deliver_webhooks.worker(app)
        begun = monotonic()
        worker.on_done = lambda: None
        while len(endpoint.received) < 40:
            worker.drain()
        took_s = monotonic() - begun
        worker.close()

        assert slow.most_at_once <= app.webhooks.endpoint_parallelism
        assert len(slow.received) < 40
        assert took_s < 15.0
