"""Retention: the journal is summed up under a signature and dropped below it, and still proves the books."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Engine, create_engine, make_url

from bank_stub.server import running_bank
from scheduler.jobs import queue_webhooks, summarize_journal, write_checkpoints
from tests.conftest import FAST, PATIENT
from tests.storage.test_verify_events import forge_a_transfer, rewrite_a_transfer
from tests.support.audited_books import Damage, Tampered, change_wallets, hold_and_capture, run, write_books
from tests.support.books import deposit, open_wallet, transfer
from tests.support.database import AUDIT_OPTIONS, Cluster, Database
from tests.support.rows import without_triggers
from wallet_core.bootstrap import open_app, open_auditor, prune_journal
from wallet_core.domain.model.wallet import WalletId
from wallet_core.gateways.checkpoint_keys import new_key, public_pem
from wallet_core.settings import Settings, read_settings
from wallet_core.storage.retention import summaries
from wallet_core.storage.retention.pruning import DROP, SummaryNotTrusted
from wallet_core.storage.verify.checks import result
from wallet_core.usecases.app import App

ALICE, BOB, ERIN = map(WalletId, ("alice", "bob", "erin"))


def sum_up(app: App) -> int:
    """Publish all events, sign a checkpoint, and sum up the journal to it; return how many summaries that took."""
    while app.journal.write(1000):
        pass
    queue_webhooks.run_once(app)
    write_checkpoints.run_once(app, limit=1)
    return summarize_journal.run_once(app).outcomes["signed"]


def numbers(database: Database) -> list[int]:
    """Return the numbers of the journal's records."""
    with psycopg.connect(database.url) as owner:
        return [number for (number,) in owner.execute("SELECT number FROM journal ORDER BY number")]


def broken(settings: Settings, *, since: int = 0) -> dict[str, str]:
    """Return the broken rules, each with the first broken row."""
    with open_auditor(settings) as auditor:
        return {check.name: check.first for check in result(auditor.verify(since=since)) if check.broken}


@contextmanager
def retaining(database: Database, key: Path, **more: object) -> Iterator[App]:
    """Yield a core that signs a checkpoint for every record, and sums up what is older than a millisecond."""
    with open_app(settings_of(database, key, **more), name="tests") as app:
        yield app


def settings_of(database: Database, key: Path, **more: object) -> Settings:
    """Return its settings."""
    chosen = {
        **FAST,
        **PATIENT,
        "database_url": database.url,
        "checkpoints_signing_key": key,
        "checkpoints_every_records": 1,
        "journal_kept_s": 0.001,
    }
    return read_settings(**{**chosen, **more})


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """Return the file of a signing key."""
    file = tmp_path / "signing.pem"
    new_key(file)
    return file


@pytest.fixture(scope="module")
def pruned(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Return the owner's engine of books with a bit of everything, of which all is dropped that was summed up twice."""
    key = tmp_path_factory.mktemp("key") / "signing.pem"
    new_key(key)
    with cluster.clone(f"pruned_{uuid4().hex[:8]}") as database:
        with (
            running_bank(state=":memory:", port=0, fail_rate=0.0, seed=1) as bank,
            retaining(database, key, bank_url=bank.url) as app,
        ):
            write_books(app, bank.url)
            assert sum_up(app) == 1
            list(prune_journal(settings_of(database, key)))
            transfer(app, ALICE, BOB, 2)
            hold_and_capture(app, ALICE, BOB)
            assert sum_up(app) == 1
            dropped = sum(prune_journal(settings_of(database, key)))
            transfer(app, ALICE, BOB, 3)
            change_wallets(app, open_wallet(app, "frank"))
            app.journal.write(1000)
            transfer(app, BOB, ALICE, 1)
        assert dropped > 1
        assert numbers(database)[0] > dropped
        url = make_url(database.url).set(drivername="postgresql+psycopg")
        engine = create_engine(url, connect_args={"options": AUDIT_OPTIONS})
        yield engine
        engine.dispose()


@pytest.fixture
def books(pruned: Engine) -> Iterator[Tampered]:
    """Return the books, to be tampered with."""
    with pruned.connect() as tx:
        yield Tampered(tx)
        tx.rollback()


OLD = "(SELECT id FROM transactions WHERE type = 'TRANSFER' AND amount = 10 AND commission = 0)"

# Of what was dropped; the rule "summaries" where no other rule can find it.
DAMAGE: list[tuple[str, Damage]] = [
    ("summaries", rewrite_a_transfer),
    ("summaries", forge_a_transfer),
    ("summaries", run(f"UPDATE transactions SET description = 'another' WHERE id = {OLD}")),
    ("summaries", run(f"UPDATE transactions SET caller = 'another' WHERE id = {OLD}")),
    ("summaries", run(f"DELETE FROM transactions WHERE id = {OLD}")),
    ("summaries", run(f"UPDATE entries SET balance_after = balance_after + 1 WHERE transaction = {OLD}")),
    ("summaries", run(f"DELETE FROM requests WHERE subject = 'transactions/' || {OLD}")),
    ("summaries", run("DELETE FROM requests WHERE method = 'BatchTransfer'")),
    ("summaries", run("UPDATE requests SET fingerprint = '\\x00112233445566778899aabbccddeeff'")),
    ("summaries", run("UPDATE journal_last_events SET facts = '{}' WHERE subject = 'wallets/erin'")),
    ("summaries", run("DELETE FROM journal_last_events WHERE subject = 'wallets/erin'")),
    ("summaries", run("UPDATE journal_summaries SET signature = decode(repeat('00', 64), 'hex')")),
    ("summaries", run("UPDATE journal_summaries SET statement = replace(statement, '\"time\":', '\"time\":1')")),
    ("summaries", run("DELETE FROM checkpoint_keys")),
    ("journal", run("DELETE FROM journal_summaries")),
    ("journal", run("DELETE FROM journal WHERE number = (SELECT min(number) FROM journal)")),
    (
        "checkpoints",
        run("UPDATE checkpoints SET key_id = 'another' WHERE number = (SELECT min(number) FROM checkpoints)"),
    ),
    ("wallet_events", run("UPDATE wallets SET display_name = 'Mallory' WHERE id = 'erin'")),
    ("wallet_events", run("UPDATE wallets SET revision = revision + 1 WHERE id = 'erin'")),
    ("wallet_events", run("DELETE FROM journal_last_events WHERE subject = 'wallets/erin'")),
    ("hold_events", run("UPDATE holds SET description = 'another'")),
    ("withdrawal_events", run("UPDATE withdrawals SET bank_account = 'mallory' WHERE state = 'SCHEDULED'")),
    ("withdrawal_attempts", run("DELETE FROM bank_attempts")),
    ("resolutions", run("UPDATE resolutions SET reason = 'another'")),
    ("commission_rules", run("UPDATE commission_rules SET rate_millionths = 1")),
    ("line_events", run("UPDATE bank_statement_lines SET resolution = 'another' WHERE resolution <> ''")),
    ("statement_events", run("UPDATE bank_statements SET reason = 'another' WHERE number = 2")),
    ("balances", run("UPDATE wallets SET balance = balance + 1 WHERE id = 'alice'")),
    ("histories", run(f"DELETE FROM entries WHERE transaction = {OLD}")),
]


@pytest.mark.parametrize(("rule", "damage"), DAMAGE)
def test_damage_to_what_was_dropped_is_found(books: Tampered, rule: str, damage: Damage) -> None:
    """The owner has disabled the triggers; other rules may find the damage, too."""

    with without_triggers(books.owner):
        damage(books.owner)

    found = books.broken()
    assert rule in found, found


def test_a_pruned_journal_proves_its_books(books: Tampered) -> None:
    """After two summaries, with events of before, between and after, and one in the outbox."""

    assert books.broken() == set()
    assert books.owner.execute("SELECT count(*) FROM outbox").fetchone() == (1,)


def test_history_that_no_summary_sums_up_is_guarded_from_its_owner(books: Tampered) -> None:
    """And so are summaries."""

    for statement in (
        "DELETE FROM journal",
        "DELETE FROM journal_summaries",
        "UPDATE journal_last_events SET events = 1",
    ):
        with pytest.raises(InsufficientPrivilege), books.owner.transaction():
            books.owner.execute(statement.encode())


def test_the_books_are_provable_wherever_pruning_ends(
    own_database: Database, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its first step, after each, and repeated, of a summary that was made of several parts."""

    monkeypatch.setattr(summaries, "STEP", 3)
    settings = settings_of(own_database, key)
    with retaining(own_database, key) as app:
        deposit(app, open_wallet(app, "alice"), 5)
        for number in range(5):
            transfer(app, ALICE, open_wallet(app, f"w{number}"), 1)
        assert sum_up(app) == 1
    last = numbers(own_database)[-1]
    assert broken(settings) == {}
    with psycopg.connect(own_database.url, autocommit=True) as owner:
        left = [len(numbers(own_database))]
        while owner.execute(DROP, {"start": last, "step": 3}).rowcount:
            assert broken(settings) == broken(settings, since=last) == {}
            left.append(len(numbers(own_database)))
    assert len(left) > 3
    assert numbers(own_database) == [last]
    assert sum(prune_journal(settings)) == 0


def test_a_check_that_loses_records_to_pruning_begins_anew(own_database: Database, key: Path) -> None:
    """What was dropped while it went on is not missing."""

    settings = settings_of(own_database, key)
    with retaining(own_database, key) as app:
        deposit(app, open_wallet(app, "alice"), 5)
        app.journal.write(1000)
        with open_auditor(settings) as auditor:
            checking = auditor.verify()
            next(checking)
            sum_up(app)
            assert sum(prune_journal(settings)) > 0
            *_, last = checking
    assert not last.is_broken
    assert last.checks["journal"].broken == 0


def test_what_webhooks_may_need_is_not_summed_up(own_database: Database, key: Path) -> None:
    """What is queued for none of them yet, for a disabled one, or is kept as a delivery."""

    with retaining(own_database, key) as app, psycopg.connect(own_database.url, autocommit=True) as owner:
        deposit(app, open_wallet(app, "alice"), 5)
        while app.journal.write(1000):
            pass
        write_checkpoints.run_once(app, limit=1)
        assert summarize_journal.run_once(app).outcomes["signed"] == 0  # the cursor is at the beginning
        assert sum_up_with(owner, app, "INSERT_DELIVERY") == 0
        assert sum_up_with(owner, app, "DISABLE") == 0
        owner.execute("DELETE FROM webhook_deliveries")
        owner.execute("UPDATE webhooks SET queued_to = 100")
        assert summarize_journal.run_once(app).outcomes["signed"] == 1


def sum_up_with(owner: psycopg.Connection, app: App, step: str) -> int:
    """Queue everything, and leave one thing that needs the first record."""
    queue_webhooks.run_once(app)
    if step == "INSERT_DELIVERY":
        owner.execute(
            "INSERT INTO webhooks (id, creator, rights, url, description, types, owner, state, disabled_reason, secret,"
            " secret_number, previous_secret, revision, create_time, update_time, begins_after)"
            " VALUES (gen_random_uuid(), 'c', '{}', 'https://x', '', '{}', '', 'ENABLED', '', 's', 1, '', 1, now(),"
            " now(), 0)"
        )
        owner.execute(
            "INSERT INTO webhook_deliveries (webhook, number, wallets, state, create_time, end_time)"
            " SELECT id, 1, '{}', 'DEAD', now(), now() FROM webhooks"
        )
    else:
        owner.execute("DELETE FROM webhook_deliveries")
        owner.execute("UPDATE webhooks SET state = 'DISABLED', queued_to = 1")
    return summarize_journal.run_once(app).outcomes["signed"]


def test_nothing_is_summed_up_without_a_key_or_a_policy_or_of_a_journal_that_was_changed(
    own_database: Database, key: Path
) -> None:
    """A signature under a history that was rewritten would prove it."""

    with retaining(own_database, key) as app:
        deposit(app, open_wallet(app, "alice"), 5)
    for lacking in ({"journal_kept_s": None}, {"checkpoints_signing_key": None}, {"journal_kept_s": 3600.0}):
        with retaining(own_database, key, **lacking) as app:
            assert sum_up(app) == 0
    with psycopg.connect(own_database.url) as owner, without_triggers(owner):
        owner.execute("UPDATE journal SET facts = facts || ' ' WHERE number = 2")
    with retaining(own_database, key) as app:
        assert sum_up(app) == 0
    with psycopg.connect(own_database.url) as owner, without_triggers(owner):
        owner.execute("UPDATE journal SET facts = rtrim(facts) WHERE number = 2")
    with retaining(own_database, key) as app:
        assert sum_up(app) == 1


def test_records_are_dropped_under_a_trusted_signature_only(own_database: Database, key: Path, tmp_path: Path) -> None:
    """A summary in the database is not enough: whoever serves can write one."""

    trusted, other = tmp_path / "trusted.pem", tmp_path / "other.pem"
    trusted.write_text(public_pem([new_key(other)]))
    with retaining(own_database, key) as app:
        deposit(app, open_wallet(app, "alice"), 5)
        assert sum_up(app) == 1
    before = numbers(own_database)

    with pytest.raises(SummaryNotTrusted):
        list(prune_journal(settings_of(own_database, key, checkpoints_trusted_keys=trusted)))
    assert numbers(own_database) == before
