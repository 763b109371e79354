"""The upgrade from the first release: its journal continues, and is proven with what it could state then."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, make_url

from tests.support.books import deposit, open_wallet
from tests.support.database import Cluster
from wallet_core.bootstrap import migrate, open_app, verify
from wallet_core.domain.model.event import Event, JournalRecord
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import read_settings
from wallet_core.storage.connections.readiness import VERSIONS


@pytest.fixture
def first_release(cluster: Cluster) -> Iterator[str]:
    """Return the URL of an empty database with the schema of the first release."""
    with cluster.clone(f"first_{uuid4().hex[:8]}", "template0") as database:
        url = database.url
        engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
        config = Config()
        config.set_main_option("script_location", str(VERSIONS.parent))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
        engine.dispose()
        yield url


def test_a_journal_of_the_first_release_continues(first_release: str) -> None:
    """Its records have no facts, and hashes without them; later ones are chained to them."""

    with psycopg.connect(first_release) as connection:
        now = connection.execute("SELECT now()").fetchone()
        assert now is not None
        old = JournalRecord(1, Event("wallet.created", "wallets/old", (WalletId("old"),), now[0])).chained(b"")
        connection.execute("INSERT INTO currencies VALUES ('USD', 2)")
        connection.execute(
            "INSERT INTO wallets (key, id, role, currency, owner, display_name, state, balance, held, overdraft_limit,"
            " sequence, last_time, create_time)"
            " VALUES (nextval('wallet_keys'), 'old', 'ORDINARY', 'USD', '', '', 'ACTIVE', 0, 0, 0, 0, %s, %s)",
            [now[0], now[0]],
        )
        connection.execute(
            "INSERT INTO journal (number, type, subject, wallets, time, hash) VALUES (1, %s, %s, '{old}', %s, %s)",
            [old.event.type, old.event.subject, now[0], old.hash],
        )
    settings = read_settings(database_url=first_release, log_level="ERROR")
    migrate(settings)
    with open_app(settings, name="tests") as app:
        deposit(app, open_wallet(app, "new"), 5)
        assert app.journal.write(10) > 0
        assert app.reads.journal_record(1) == old

    assert [check for check in verify(settings) if check.broken] == []
