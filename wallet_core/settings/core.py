"""Settings of every process: the database, the ledger, the journal."""

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt, SecretStr
from pydantic_settings import SettingsConfigDict

from wallet_core.settings.base import Seconds, Section, only


class ProcessSettings(Section):
    """Settings of every process."""

    title = "All processes"
    read_by = ("server", "scheduler", "walletctl")

    mode: Literal["development", "production"] = Field(
        "development",
        description="production: a process starts only with TLS, authentication and private connections; "
        "all that is missing is named",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="INFO logs every call", json_schema_extra=only("server", "scheduler")
    )


class DatabaseSettings(Section):
    """Where the database is."""

    model_config = SettingsConfigDict(env_prefix="WALLET_DATABASE_")
    title = "Database"
    read_by = ("server", "scheduler", "walletctl")

    url: SecretStr | None = Field(None, description="postgresql://… ; every session assumes the role wallet_service")
    wait_s: Seconds = Field(30.0, description="how long a process waits for the database when it starts")
    owner_url: SecretStr | None = Field(
        None,
        description="the same database by its owner's login, for `walletctl migrate` only; none: WALLET_DATABASE_URL",
        json_schema_extra=only("walletctl"),
    )


class ConnectionSettings(Section):
    """Connections to the database."""

    title = "Database connections"
    read_by = ("server", "scheduler", "walletctl")

    connect_timeout_s: PositiveInt = Field(3, description="timeout of a new connection, in whole seconds")
    pool_timeout_s: Seconds = Field(2.0, description="wait for a free connection; after it SERVER_OVERLOADED")
    lock_timeout_s: Seconds = Field(1.0, description="wait of a batch for row locks; then it skips locked rows")
    statement_timeout_s: Seconds = Field(10.0, description="timeout of a statement")
    idle_in_transaction_timeout_s: Seconds = Field(10.0, description="timeout of a transaction whose process hangs")
    transaction_timeout_s: Seconds = Field(12.0, description="timeout of a whole transaction (PostgreSQL 17 and newer)")
    pool_size: PositiveInt = Field(
        12,
        description="connections for reads; without group commit for all calls",
        json_schema_extra=only("server", "scheduler"),
    )
    ledger_pool_size: PositiveInt = Field(
        4,
        description="connections reserved for changes and health checks",
        json_schema_extra=only("server", "scheduler"),
    )
    health_interval_s: Seconds = Field(
        1.0,
        description="interval of the database's readiness check, for health and before payment orders are claimed",
        json_schema_extra=only("server", "scheduler"),
    )
    claims_pool_size: PositiveInt = Field(4, description="connections for claims", json_schema_extra=only("scheduler"))


class LedgerSettings(Section):
    """Limits of the ledger."""

    title = "Ledger"
    read_by = ("server", "scheduler")

    group_commit: bool = Field(
        default=True, description="combine concurrent calls into one commit; false only for comparison"
    )
    amount_max: PositiveInt = Field(
        10**15, description="the largest amount of one deposit, transfer or scheduled deposit, in minor units"
    )
    clock_behind_max_s: Seconds = Field(
        60.0, description="how far the database's clock may be behind the last transaction of an affected wallet"
    )
    commit_batch_max: PositiveInt = Field(256, description="calls in one commit, at most")
    commit_queue_max: PositiveInt = Field(
        4096, description="calls that wait for a commit, at most; beyond it SERVER_OVERLOADED"
    )


class JournalSettings(Section):
    """The writer of the journal."""

    model_config = SettingsConfigDict(env_prefix="WALLET_JOURNAL_")
    title = "Journal"
    read_by = ("server", "scheduler")

    write_s: Seconds = Field(
        0.2,
        description="interval of moving events from the outbox to the journal",
        json_schema_extra=only("scheduler"),
    )
    kept_s: Seconds | None = Field(
        None,
        description="how long records are kept at least: older ones are summed up under a signature, and "
        "`walletctl prune-journal` drops them; none: records are kept for ever",
        json_schema_extra=only("scheduler"),
    )
    summarize_s: Seconds = Field(
        600.0,
        description="interval of looking for records that are older",
        json_schema_extra=only("scheduler"),
    )
    attention_after_s: Seconds = Field(
        60.0,
        description="how long events may wait for their publication before they are on the attention list",
        json_schema_extra=only("server"),
    )
    wake_ups: bool = Field(
        default=True,
        description="whether events wake the journal's writer and watchers at once, by LISTEN and NOTIFY on two more "
        "connections, a scheduler on three; false: they only poll",
    )


class VerifySettings(Section):
    """How VerifyLedger checks the ledger beside other calls."""

    model_config = SettingsConfigDict(env_prefix="WALLET_VERIFY_")
    title = "Verification"
    read_by = ("server",)

    concurrent: PositiveInt = Field(1, description="VerifyLedger calls at once; beyond it SERVER_OVERLOADED")
    connections: PositiveInt = Field(
        1, description="connections of each, which check as many parts at once; no other call uses them"
    )
    slice_rows: PositiveInt = Field(2000, description="rows of a table that are checked by one statement")
    pause_factor: float = Field(
        4.0,
        ge=0,
        description="the pause after each part, as a multiple of the time that it took; 0: as fast as possible",
    )


class CheckpointSettings(Section):
    """Signed checkpoints of the journal."""

    model_config = SettingsConfigDict(env_prefix="WALLET_CHECKPOINTS_")
    title = "Checkpoints"
    read_by = ("scheduler",)

    signing_key: Path | None = Field(
        None,
        description="PEM file with an Ed25519 private key, read anew for each checkpoint; "
        "none: no checkpoints are signed (`walletctl checkpoints new-key` makes one)",
    )
    every_records: PositiveInt = Field(10_000, description="journal records after which the next checkpoint is due")
    every_s: Seconds = Field(300.0, description="time after which the next one is due, if there are new records")
    check_s: Seconds = Field(5.0, description="interval of checking whether one is due")
    attention_after_s: Seconds = Field(
        3600.0,
        description="age of the last checkpoint, with later records, at which it is on the attention list",
        json_schema_extra=only("server"),
    )
    trusted_keys: Path | None = Field(
        None,
        description="PEM file with the public keys that `walletctl verify` and VerifyLedger trust; "
        "none: the keys that the database has, which its owner can change",
        json_schema_extra=only("server", "scheduler", "walletctl"),
    )
