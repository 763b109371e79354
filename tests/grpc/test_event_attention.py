"""Stalled events and checkpoints: the server lists them, without any scheduler, and measures them."""

from pathlib import Path
from urllib.request import urlopen

import pytest
from wallet.v1 import operations_service_pb2 as pb

from tests.support.api import Api
from tests.support.books import deposit, open_wallet
from tests.support.ports import free_ports
from wallet_core.bootstrap import open_app
from wallet_core.gateways.checkpoint_keys import new_key
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.runtime.metrics import metrics_page
from wallet_grpc.server.serving import serving
from walletctl.local.waiting import wait_until


@pytest.fixture
def strict(settings: Settings) -> Settings:
    """Return settings by which everything that waits is attention at once."""
    return settings.replaced(journal_attention_after_s=0.001, checkpoints_attention_after_s=0.001)


def kinds(api: Api) -> dict[str, str]:
    """Return the listed kinds, each with its resource."""
    kind = pb.AttentionItem.Kind
    return {kind.Name(item.kind): item.resource_name for item in api.ok(pb.ListAttentionRequest()).items}


def test_events_that_nobody_publishes_are_attention(app: App, strict: Settings) -> None:
    """The server says so itself: there is no scheduler."""

    with (
        open_app(strict, name="tests-strict") as served,
        serving(served, strict) as port,
        Api(f"127.0.0.1:{port}") as api,
    ):
        assert kinds(api) == {}
        open_wallet(app, "alice")
        assert wait_until(lambda: kinds(api) == {"KIND_EVENTS_STALLED": "journal"}, timeout_s=30)
        app.journal.write(10)
        assert kinds(api) == {}


def test_checkpoints_that_are_not_signed_any_more_are_attention(app: App, strict: Settings, tmp_path: Path) -> None:
    """Only where there were some, and where there are new records."""

    key = tmp_path / "key.pem"
    new_key(key)
    signing = strict.replaced(checkpoints_signing_key=key, checkpoints_every_records=1)
    with (
        open_app(signing, name="tests-strict") as served,
        serving(served, strict) as port,
        Api(f"127.0.0.1:{port}") as api,
    ):
        open_wallet(app, "alice")
        app.journal.write(10)
        assert served.checkpoints.write_if_due()
        assert kinds(api) == {}
        open_wallet(app, "bob")
        app.journal.write(10)
        assert wait_until(lambda: kinds(api) == {"KIND_CHECKPOINTS_STALLED": "checkpoints/1"}, timeout_s=30)
        assert served.checkpoints.write_if_due()
        assert kinds(api) == {}


def test_metrics_show_what_waits(app: App, settings: Settings) -> None:
    """Events, the journal's end, checkpoints and deliveries, from the start on."""

    (port,) = free_ports(1)

    def measured() -> dict[str, float]:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:  # ours
            lines = [line.rpartition(" ") for line in page.read().decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    quick = settings.replaced(health_interval_s=0.05)
    with metrics_page("127.0.0.1", port), serving(app, quick):
        deposit(app, open_wallet(app, "alice"), 5)
        assert wait_until(lambda: measured()["wallet_events_unpublished"] == 2, timeout_s=30)
        assert measured()["wallet_events_unpublished_seconds"] > 0
        app.journal.write(10)
        assert wait_until(lambda: measured()["wallet_journal_records"] == 2, timeout_s=30)
        found = measured()
        assert found["wallet_events_unpublished"] == found["wallet_events_unpublished_seconds"] == 0
        assert found["wallet_checkpoint_timestamp_seconds"] == 0
        assert found['wallet_webhook_deliveries{state="pending"}'] == found["wallet_webhooks_disabled"] == 0
