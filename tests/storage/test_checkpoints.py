"""Checkpoints: verify finds every change of the records before a kept one, also by the tables' owner."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import create_engine, make_url

from bank_stub.server import running_bank
from scheduler.jobs import write_checkpoints
from tests.conftest import FAST, PATIENT
from tests.storage.test_verify_events import chain_anew, rewrite_a_transfer
from tests.support.audited_books import write_books
from tests.support.books import deposit, open_wallet
from tests.support.database import Cluster, Database
from tests.support.rows import without_triggers
from wallet_core.bootstrap import open_app, open_auditor
from wallet_core.domain.model.checkpoint import Checkpoint, Statement, statement_of
from wallet_core.domain.model.errors import ResourceNotFound
from wallet_core.gateways.checkpoint_keys import (
    CheckpointSigner,
    KeyUnusable,
    is_signed,
    key_id,
    new_key,
    public_pem,
    read_public_keys,
)
from wallet_core.settings import Settings, SettingsError, read_settings
from wallet_core.storage.verify.audit import Audit
from wallet_core.storage.verify.checks import Check, result, verify_in
from wallet_core.usecases.app import App


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """Return the file of a signing key."""
    file = tmp_path / "checkpoints.pem"
    new_key(file)
    return file


@pytest.fixture
def signing(own_database: Database, key: Path) -> Settings:
    """Return settings that sign a checkpoint after every record."""
    return read_settings(
        **{**FAST, **PATIENT, "database_url": own_database.url},
        checkpoints_signing_key=key,
        checkpoints_every_records=1,
    )


@pytest.fixture
def books(signing: Settings) -> Iterator[App]:
    """Return a core with a wallet, of which a checkpoint was signed."""
    with open_app(signing, name="tests") as app:
        deposit(app, open_wallet(app, "alice"), 5)
        checkpoint(app)
        yield app


def checkpoint(app: App) -> Checkpoint:
    """Publish all events, and return the checkpoint that is signed then."""
    before = len(app.reads.checkpoints_after(0, 1000))
    while app.journal.write(1000):
        pass
    write_checkpoints.run_once(app, limit=1)
    *_, last = app.reads.checkpoints_after(0, 1000)
    assert len(app.reads.checkpoints_after(0, 1000)) == before + 1
    return last


def broken(checks: Sequence[Check]) -> dict[str, str]:
    """Return the broken rules, each with the first broken row."""
    return {check.name: check.first for check in checks if check.broken}


def found(
    settings: Settings, damage: str, *, kept: Sequence[Checkpoint] = (), since: Checkpoint | None = None
) -> dict[str, str]:
    """Return what is found broken once the owner has done this; it is undone."""
    engine = create_engine(make_url(settings.required_database_url()).set(drivername="postgresql+psycopg"))
    with engine.connect() as tx:
        owner = cast("psycopg.Connection", tx.connection.driver_connection)
        with without_triggers(owner):
            owner.execute(damage.encode())
        checks = result(verify_in(tx, Audit(is_signed=is_signed, kept=kept, since=since)))
        tx.rollback()
    engine.dispose()
    return broken(checks)


def test_a_checkpoint_states_the_journal_and_the_money(books: App) -> None:
    """Its number and hash, the wallets, and the totals of every currency, which sum to zero."""

    (signed,) = books.reads.checkpoints_after(0, 10)
    stated = statement_of(signed.statement)
    end = books.reads.journal_end()

    assert end is not None
    assert (stated.number, stated.hash, stated.wallets) == (end.number, end.hash, 1)
    assert stated.totals == {"USD": {"ordinary": 5, "external": -5, "in_transit": 0, "commission": 0}}
    assert is_signed(signed, books.reads.checkpoint_keys())


def test_events_that_are_not_in_the_journal_are_not_in_the_totals(books: App) -> None:
    """The checkpoint is about the journal's end, whatever was committed since."""

    deposit(books, open_wallet(books, "bob"), 7)
    books.journal.write(1)  # the wallet; not what was deposited
    write_checkpoints.run_once(books, limit=1)

    stated = statement_of(books.reads.checkpoints_after(0, 10)[-1].statement)
    assert (stated.wallets, stated.totals["USD"]["ordinary"]) == (2, 5)


def test_a_checkpoint_is_due_after_a_number_of_records_or_a_time(own_database: Database, key: Path) -> None:
    """And only where there is a record that none covers."""

    def write(**when: float) -> bool:
        settings = read_settings(**{**FAST, "database_url": own_database.url}, checkpoints_signing_key=key, **when)
        with open_app(settings, name="tests") as app:
            app.journal.write(1000)
            return app.checkpoints.write_if_due()

    assert write(checkpoints_every_records=1) is False  # nothing has happened
    with open_app(read_settings(**{**FAST, "database_url": own_database.url}), name="tests") as app:
        open_wallet(app, "alice")
        assert write(checkpoints_every_records=1000) is True  # the first one
        assert write(checkpoints_every_records=1, checkpoints_every_s=0.001) is False
        open_wallet(app, "bob")
        assert write(checkpoints_every_records=1000, checkpoints_every_s=1000) is False
        assert write(checkpoints_every_records=1000, checkpoints_every_s=0.001) is True
        open_wallet(app, "carol")
        assert write(checkpoints_every_records=1, checkpoints_every_s=1000) is True


def test_without_a_key_no_checkpoint_is_signed(app: App) -> None:
    """A missing key is no reason to stop payments."""

    open_wallet(app, "alice")
    app.journal.write(10)

    assert app.checkpoints.write_if_due() is False
    assert app.reads.checkpoints_after(0, 10) == []


def test_the_key_can_be_replaced_while_the_scheduler_runs(books: App, key: Path, tmp_path: Path) -> None:
    """Older checkpoints stay signed by the older key, whose public half stays known."""

    fresh = tmp_path / "fresh.pem"
    public = new_key(fresh)
    fresh.replace(key)
    open_wallet(books, "bob")
    last = checkpoint(books)

    keys = books.reads.checkpoint_keys()
    assert (last.key_id, len(keys)) == (key_id(public), 2)
    assert all(is_signed(one, keys) for one in books.reads.checkpoints_after(0, 10))


def test_a_new_key_replaces_no_file_and_is_its_owners_only(tmp_path: Path) -> None:
    """And where it cannot be written, nothing is left."""

    file = tmp_path / "key.pem"
    public = new_key(file)
    before = file.read_bytes()

    assert CheckpointSigner(file).public_key() == public
    assert file.stat().st_mode & 0o777 == 0o600  # as ls shows it
    with pytest.raises(FileExistsError):
        new_key(file)
    with pytest.raises(FileNotFoundError):
        new_key(tmp_path / "missing" / "key.pem")
    assert (file.read_bytes(), list(tmp_path.iterdir())) == (before, [file])


def test_a_file_without_a_key_is_refused_by_name(own_database: Database, tmp_path: Path) -> None:
    """As a setting, and as a key that is read anew."""

    empty = tmp_path / "empty.pem"
    empty.write_text("no key")
    with pytest.raises(KeyUnusable, match=r"empty\.pem"):
        CheckpointSigner(empty).public_key()
    settings = read_settings(database_url=own_database.url, checkpoints_trusted_keys=empty)
    with pytest.raises(SettingsError, match="WALLET_CHECKPOINTS_TRUSTED_KEYS"), open_auditor(settings):
        pass


def test_an_altered_checkpoint_is_found(books: App, signing: Settings) -> None:
    """Its statement, its signature, its key, its number, or that it is gone."""

    kept = books.reads.checkpoints_after(0, 10)
    changes = [
        "UPDATE checkpoints SET statement = replace(statement, '5', '6')",
        "UPDATE checkpoints SET signature = decode(repeat('00', 64), 'hex')",
        "UPDATE checkpoints SET key_id = 'another'",
        "UPDATE checkpoints SET number = number + 1",
        "UPDATE checkpoint_keys SET public_key = decode(repeat('00', 32), 'hex')",
    ]
    for change in changes:
        assert found(signing, change)["checkpoints"].startswith("checkpoint "), change
    assert found(signing, "DELETE FROM checkpoints", kept=kept) == {"kept_checkpoints": f"checkpoint {kept[0].number}"}
    assert found(signing, "SELECT", kept=kept) == {}


def test_totals_that_the_journal_does_not_give_are_found_though_they_are_signed(
    books: App, signing: Settings, key: Path
) -> None:
    """A key in the wrong hands, or a defect of ours, states nothing that the records contradict."""

    (signed,) = books.reads.checkpoints_after(0, 10)
    stated = statement_of(signed.statement)
    forged = CheckpointSigner(key).sign(replace(stated, totals={"USD": {"ordinary": 6, "external": -6}}))
    statement = "UPDATE checkpoints SET statement = '{}', signature = decode('{}', 'hex')"
    damage = statement.format(forged.statement, forged.signature.hex())
    assert found(signing, damage) == {"checkpoints": f"checkpoint {signed.number}"}


@contextmanager
def auditors_login(database: Database) -> Iterator[str]:
    """Yield the URL of a login that may read everything and do nothing else."""
    name = f"auditor_{uuid4().hex[:8]}"
    with psycopg.connect(database.url, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN IN ROLE pg_read_all_data").format(sql.Identifier(name)))
        parts = urlsplit(database.url)
        yield urlunsplit(parts._replace(netloc=f"{name}@{parts.netloc.rpartition('@')[2]}"))
        owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def rewrite_with_journal(database: Database, key: Path, checkpoint: Checkpoint) -> None:
    """Rewrite a transfer in all tables, journal and hashes too, and sign the checkpoint anew by another key."""
    with psycopg.connect(database.url) as owner, without_triggers(owner):
        rewrite_a_transfer(owner)
        owner.execute(
            b"""UPDATE journal
                SET facts = (facts::jsonb || jsonb_build_object('amount', t.amount, 'entries', (
                    SELECT jsonb_object_agg(wallets.id, jsonb_build_array(e.sequence, e.amount, e.balance_after))
                    FROM entries AS e
                    JOIN wallets ON wallets.key = e.wallet
                    WHERE e.transaction = t.id
                )))::text
                FROM transactions AS t
                WHERE journal.subject = 'transactions/' || t.id"""
        )
        chain_anew(owner)
        ((hash_,),) = owner.execute("SELECT hash FROM journal WHERE number = %s", [checkpoint.number]).fetchall()
        signer = CheckpointSigner(key)
        forged = signer.sign(replace(statement_of(checkpoint.statement), hash=hash_))
        owner.execute("INSERT INTO checkpoint_keys VALUES (%s, %s)", [forged.key_id, signer.public_key()])
        owner.execute(
            "UPDATE checkpoints SET statement = %s, signature = %s, key_id = %s WHERE number = %s",
            [forged.statement, forged.signature, forged.key_id, forged.number],
        )


def test_an_auditor_finds_a_rewritten_history_with_the_kept_file_and_a_login_that_only_reads(
    cluster: Cluster, key: Path, tmp_path: Path
) -> None:
    """By the keys in the database nothing is found: so checkpoints and keys are kept elsewhere."""

    with cluster.clone(f"audited_{uuid4().hex[:8]}") as database, auditors_login(database) as url:
        with running_bank(state=":memory:", port=0, fail_rate=0.0, seed=1) as bank:
            settings = read_settings(
                **{**FAST, **PATIENT, "database_url": database.url, "bank_url": bank.url},
                checkpoints_signing_key=key,
                checkpoints_every_records=1,
            )
            with open_app(settings, name="tests") as app:
                write_books(app, bank.url)
                kept = checkpoint(app)
        trusted, other = tmp_path / "trusted.pem", tmp_path / "other.pem"
        trusted.write_text(public_pem([CheckpointSigner(key).public_key()]))
        new_key(other)
        with_keys = read_settings(database_url=url, checkpoints_trusted_keys=trusted, log_level="ERROR")
        without_keys = read_settings(database_url=url, log_level="ERROR")

        assert list(read_public_keys(trusted)) == [kept.key_id]
        assert audited(with_keys, kept) == set()
        rewrite_with_journal(database, other, kept)
        assert audited(with_keys, kept) == {"checkpoints", "kept_checkpoints"}
        assert audited(without_keys) == set()


def audited(settings: Settings, *kept: Checkpoint) -> set[str]:
    """Return the rules that an auditor finds broken."""
    with open_auditor(settings, role=None) as auditor:
        return broken(result(auditor.verify(kept=kept))).keys() | set()


def test_since_a_checkpoint_only_what_came_after_it_is_checked(books: App, signing: Settings) -> None:
    """The journal, the transactions, all wallets and all orders; and what no checkpoint has is no beginning."""

    (first,) = books.reads.checkpoints_after(0, 10)
    deposit(books, open_wallet(books, "bob"), 7)
    last = checkpoint(books)

    with open_auditor(signing) as auditor:
        *_, full = auditor.verify()
        *_, part = auditor.verify(since=first.number)
        assert (full.is_broken, part.is_broken) == (False, False)
        assert (part.journal_end, part.rows < full.rows) == (last.number, True)
        with pytest.raises(ResourceNotFound, match="checkpoints/1"):
            list(auditor.verify(since=1))
    damage = f"UPDATE journal SET subject = 'x' WHERE number = {last.number}"
    assert "journal" in found(signing, damage, since=first)


def test_the_text_of_a_statement_is_what_was_signed(books: App) -> None:
    """Golden: a later release must read and verify what this one has signed."""

    (signed,) = books.reads.checkpoints_after(0, 10)
    stated = statement_of(signed.statement)
    assert stated.text() == signed.statement
    assert list(json.loads(signed.statement)) == ["hash", "number", "time", "totals", "wallets"]
    golden = Statement(7, bytes(range(32)), stated.time.replace(year=2026, month=1, day=2), 3, {"EUR": {"ordinary": 1}})
    assert statement_of(golden.text()) == golden
    for text in ("", "[]", "{}", '{"number": "x"}', '{"number": 1, "hash": 2}'):
        with pytest.raises(ValueError, match=r"\w"):
            statement_of(text)
