"""``walletctl webhooks``: from an endpoint's creation to the redelivery of its dead letters."""

import re
from collections.abc import Iterator

import psycopg
import pytest

from tests.e2e.cli import Walletctl
from tests.support.endpoint import Endpoint, Reply, running_endpoint
from tests.support.webhooks import deliver
from wallet_core.usecases.app import App


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Return an endpoint."""
    with running_endpoint() as endpoint:
        yield endpoint


def test_a_webhook_from_its_creation_to_its_end(walletctl: Walletctl, app: App, endpoint: Endpoint) -> None:
    """Created with its secret, listed, pinged, rotated, disabled, deleted."""

    created = walletctl("webhooks", "create", endpoint.url, "--type", "WALLET_CREATED", "--description", "the shop")
    secret = re.search(r"secret: (whsec_\S+)", created.stdout)
    assert secret is not None
    (listed,) = walletctl.json("webhooks", "list")
    webhook = listed["name"].removeprefix("webhooks/")
    assert (listed["url"], listed["types"]) == (endpoint.url, ["TYPE_WALLET_CREATED"])
    assert webhook in created.stdout

    delivery = walletctl("webhooks", "ping", webhook).stdout.strip()
    deliver(app)
    assert endpoint.received[0].is_signed_by(secret[1])
    (pinged,) = walletctl.json("webhooks", "deliveries", webhook)
    assert (pinged["name"], pinged["state"]) == (delivery, "STATE_DELIVERED")
    assert "PING" in walletctl("webhooks", "deliveries", webhook).stdout

    rotated = walletctl("webhooks", "rotate", webhook, "--expire-now").stdout
    assert "secret: whsec_" in rotated
    assert secret[1] not in rotated
    assert "DISABLED" in walletctl("webhooks", "update", webhook, "--disable").stdout
    assert "DELETED" in walletctl("webhooks", "delete", webhook).stdout
    assert walletctl.json("webhooks", "list") == []


def test_dead_letters_are_found_and_sent_again(
    walletctl: Walletctl, app: App, endpoint: Endpoint, owner: psycopg.Connection
) -> None:
    """By `attention`, `deliveries` and `redeliver`."""

    webhook = walletctl.json("webhooks", "create", endpoint.url)["webhook"]["name"]
    walletctl("wallet", "create", "alice")
    endpoint.usual = Reply(500)
    deliver(app)
    owner.execute("UPDATE webhook_deliveries SET state = 'DEAD', next_attempt_time = NULL, end_time = now()")
    assert "WEBHOOK_DEAD_LETTERS" in walletctl("attention").stdout
    (dead,) = walletctl.json("webhooks", "deliveries", webhook, "--filter", "state = DEAD")
    endpoint.usual = Reply()

    for option, value in (("--dead-since", "2020-01-01"), ("--delivery", dead["name"])):
        assert walletctl("webhooks", "redeliver", webhook, option, value).exit_code == 0
        deliver(app)
    assert [sent.id for sent in endpoint.received] == [dead["name"].rpartition("/")[2]] * 3
    assert walletctl("webhooks", "redeliver", webhook).exit_code != 0
    assert walletctl("webhooks", "update", webhook).exit_code != 0
