"""Settings: every limit and every address, read once per process. The only reader of the environment.

Each is set by an environment variable of its name with the prefix ``WALLET_``, e.g. ``WALLET_DATABASE_URL``. Times end
in ``_s`` (seconds) and may be fractions.
"""

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PositiveInt,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

_PREFIX = "WALLET_"
_NEAR = 0.8
# The test run's own switch.
_OF_OTHERS = frozenset({"WALLET_REQUIRE_ALL"})

CallerName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]

Provider = Literal["standard", "keycloak", "auth0", "okta", "entra"]
ClaimName = Annotated[str, StringConstraints(min_length=1)]
Claims = Annotated[tuple[ClaimName | Annotated[tuple[ClaimName, ...], Field(min_length=1)], ...], Field(min_length=1)]

Process = Literal["server", "scheduler", "walletctl"]


def _section(title: str, *read_by: Process) -> dict[str, JsonValue]:
    """Mark a setting as the first of those that belong together and are read by these processes, up to the next mark.

    docs/settings.md and .env.example are made from these marks and from the descriptions.
    """
    return {"title": title, "read_by": list(read_by)}


class SettingsError(Exception):
    """The settings are missing something or contradict each other; the message says what and how to mend it."""


class Caller(BaseModel):
    """A system that calls: how its tokens and certificates name it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clients: frozenset[str] = frozenset()
    """Ids that the issuer of tokens has given it."""
    certificates: frozenset[str] = frozenset()
    """Names in its certificates (subject alternative names): DNS names, or URIs with their scheme."""
    certificate_scopes: frozenset[str] = frozenset()
    """What it may do where a certificate, which says nothing of that, is all that it brings."""


class Settings(BaseSettings):
    """All settings of the service, with their defaults."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="forbid")

    mode: Literal["development", "production"] = Field(
        "development",
        description="production: no process starts without what keeps strangers out; it says all that is missing",
        json_schema_extra=_section("All processes", "server", "scheduler", "walletctl"),
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="INFO writes a line per call", json_schema_extra=_section("Logs", "server", "scheduler")
    )

    database_url: SecretStr | None = Field(
        None,
        description="postgresql://… ; the role wallet_service is taken on",
        json_schema_extra=_section("The database", "server", "scheduler", "walletctl"),
    )
    connect_timeout_s: PositiveInt = Field(3, description="wait for a new connection, in whole seconds")
    pool_timeout_s: Seconds = Field(2.0, description="wait for a free connection, then SERVER_OVERLOADED")
    lock_timeout_s: Seconds = Field(1.0, description="a batch's wait for row locks before it goes around them")
    statement_timeout_s: Seconds = Field(10.0, description="the longest statement")
    idle_in_transaction_timeout_s: Seconds = Field(10.0, description="ends transactions whose process hangs")
    transaction_timeout_s: Seconds = Field(
        12.0, description="the longest transaction, whatever it is at (PostgreSQL 17 and newer)"
    )
    database_wait_s: Seconds = Field(30.0, description="wait for the database when a process starts")
    database_owner_url: SecretStr | None = Field(
        None,
        description="the same database by its owner's login, for `walletctl migrate` alone; none: the one above",
        json_schema_extra=_section("The database", "walletctl"),
    )
    pool_size: PositiveInt = Field(
        12,
        description="connections for reads; without group commit for all calls",
        json_schema_extra=_section("The database", "server", "scheduler"),
    )
    ledger_pool_size: PositiveInt = Field(4, description="connections of its own for money and health")
    health_interval_s: Seconds = Field(
        1.0,
        description="how often the database is asked whether it can serve: for the health answer, and before claims",
    )
    claims_pool_size: PositiveInt = Field(
        4, description="connections for claims", json_schema_extra=_section("The database", "scheduler")
    )

    group_commit: bool = Field(
        default=True,
        description="fold concurrent calls into one commit; off only to compare",
        json_schema_extra=_section("The ledger", "server", "scheduler"),
    )
    amount_max: PositiveInt = Field(
        10**15, description="the most that one deposit, transfer or scheduled deposit may be, in minor units"
    )
    clock_behind_max_s: Seconds = Field(
        60.0, description="how far the database's clock may be behind the last time of a wallet that money moves in"
    )
    commit_batch_max: PositiveInt = Field(256, description="calls in one commit at the most")
    commit_queue_max: PositiveInt = Field(4096, description="calls that wait for a commit, then SERVER_OVERLOADED")

    grpc_host: str = Field(
        "127.0.0.1",
        description="address to listen on, IPv4 or IPv6; `::` is all of both",
        json_schema_extra=_section("The gRPC server", "server"),
    )
    allow_unauthenticated: bool = Field(
        default=False,
        description="development: listen beyond this machine without authentication",
    )
    grpc_port: int = Field(50051, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    grpc_workers: PositiveInt = Field(1, description="processes that serve on the port; each has pools of its own")
    grpc_threads: PositiveInt = Field(80, description="calls worked on at once, and so in one commit")
    grpc_queue_max: PositiveInt = Field(320, description="calls that wait for one of those, then SERVER_OVERLOADED")
    caller_calls_per_s: PositiveInt | None = Field(
        None,
        description="how much one caller may ask of a process each second, in small reads, then RATE_LIMITED; a "
        "receipt or an export counts 50, a statement 5, each KiB of a request 1 more; none: any number",
    )
    owner_calls_per_s: PositiveInt | None = Field(
        None, description="the same for all callers together that are confined to one owner"
    )
    caller_share: float = Field(
        0.5, gt=0, le=1, description="how much of all exports, or watches, one caller or owner may have at once"
    )
    grpc_receive_timeout_s: Seconds = Field(
        3.0, description="a call whose request has not arrived by then is ended; no thread waits for it"
    )
    grpc_receiving_max: PositiveInt = Field(
        256, description="calls at once whose request has not arrived; of more the oldest end"
    )
    grpc_send_timeout_s: Seconds = Field(30.0, description="an answer that its caller has not taken by then is dropped")
    grpc_unsent_max_bytes: PositiveInt = Field(
        128 << 20, description="answers that callers have not taken, together; of more the oldest are dropped"
    )
    grpc_message_max_bytes: PositiveInt = Field(1 << 20, description="the largest request")
    grpc_connections_max: PositiveInt = Field(
        10_000, description="connections of callers to a process; fewer where the limit of open files is too low"
    )
    grpc_connection_streams_max: PositiveInt = Field(
        256, description="calls at once on one connection; more wait there"
    )
    grpc_handshake_timeout_s: Seconds = Field(5.0, description="a connection that says nothing for so long is closed")
    grpc_connection_idle_s: Seconds = Field(900.0, description="a connection without calls is closed after this time")
    grpc_connection_age_s: Seconds = Field(
        3600.0, description="a connection is told to begin anew after this time, so that callers spread over servers"
    )
    grpc_connection_age_grace_s: Seconds = Field(600.0, description="calls may go on for so long after that")
    grpc_keepalive_s: Seconds = Field(30.0, description="a silent connection with a call on it is asked if it is there")
    grpc_ping_min_s: Seconds = Field(10.0, description="a caller that asks so more often has its connection closed")
    grpc_calls_max: PositiveInt = Field(2000, description="calls accepted at once, a high backstop")
    grpc_pending_calls_max: PositiveInt = Field(
        20_000, description="calls that gRPC keeps until they are looked at; more it cuts off (CANCELLED)"
    )
    exports_max: PositiveInt = Field(8, description="statements exported at once; each holds a thread")
    export_longest_s: Seconds = Field(600.0, description="then an export is cut off, also one that nobody reads")
    receipts_concurrent: PositiveInt = Field(
        1, description="receipts drawn at once; each takes one to three tenths of a second"
    )
    receipts_queue_max: PositiveInt = Field(16, description="receipts that wait to be drawn, then SERVER_OVERLOADED")
    receipts_cached: PositiveInt = Field(500, description="receipts kept in memory; some 30 KB each")
    receipt_fonts: tuple[Path, ...] = Field(
        (),
        description="fonts (TTF, OTF) for what the service's own have not, such as Chinese: a JSON list of files",
    )
    watchers_max: PositiveInt = Field(64, description="watches of events at once; each holds a thread of its own")
    watch_poll_s: Seconds = Field(0.2, description="how often the journal is looked at while somebody watches")
    watch_page: PositiveInt = Field(500, description="lines of the journal read at once, and sent at once at the most")
    watch_buffer: PositiveInt = Field(5000, description="newest lines kept at hand for all watchers")
    watch_heartbeat_s: Seconds = Field(10.0, description="a watcher hears this often that nothing has happened")
    stream_stall_s: Seconds = Field(
        30.0, description="an export whose caller takes nothing for so long is ended, and so is a watch"
    )
    page_max_bytes: PositiveInt = Field(3 << 20, description="a page ends here; clients take 4 MiB unless set to more")
    grpc_reflection: bool | None = Field(
        None, description="let grpcurl and buf list the services; none: in a development alone"
    )
    admin_host: str = Field("127.0.0.1", description="address of the two below; all that reach it may read them")
    metrics_port: int | None = Field(None, ge=1, le=65535, description="port of the page /metrics; none: no page")
    channelz_port: int | None = Field(
        None, ge=1, le=65535, description="port of channelz, over gRPC; each worker after the first takes the next one"
    )
    deadline_min_s: Seconds = Field(0.005, description="with less time left a call is refused: DEADLINE_TOO_SHORT")
    deadline_max_s: Seconds = Field(30.0, description="the deadline of a call that brings none or a longer one")
    health_watchers_max: PositiveInt = Field(
        256, description="watches of health at once; each holds a thread of its own, and one more is UNIMPLEMENTED"
    )
    drain_delay_s: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="NOT_SERVING before new calls are refused, at shutdown"
    )
    drain_grace_s: Seconds = Field(10.0, description="time for calls under way to finish, at shutdown")
    drain_flush_s: Seconds = Field(1.0, description="time for the last answers to leave, at shutdown")

    tls_certificate: Path | None = Field(
        None,
        description="the server's certificate chain, PEM; read anew as it changes",
        json_schema_extra=_section("Who may call", "server"),
    )
    tls_key: Path | None = Field(None, description="its private key, PEM")
    tls_client_ca: Path | None = Field(
        None, description="the authority that signs callers' certificates, PEM; then each must bring one"
    )
    callers: dict[CallerName, Caller] = Field(
        default_factory=dict, description='which systems call: {"billing": {"clients": ["…"], "certificates": ["…"]}}'
    )
    auth_keys: str | None = Field(None, description="the issuer's keys, a JWK set: a file, or an https:// address")
    auth_keys_refresh_s: Seconds = Field(300.0, description="how often they are read anew")
    auth_keys_retry_s: Seconds = Field(5.0, description="the least time between two readings, an unknown key's too")
    auth_keys_keep_s: Seconds = Field(86400.0, description="how long the last ones hold while they cannot be read")
    auth_keys_timeout_s: Seconds = Field(3.0, description="wait for an address that has them")
    auth_keys_max_bytes: PositiveInt = Field(1 << 20, description="the largest set")
    auth_leeway_s: float = Field(30.0, ge=0, le=300, description="how far clocks may differ, for a token's times")
    auth_provider: Provider = Field(
        "standard",
        description="whose tokens they are: which claims say the client, the scopes and the owner; standard: RFC 9068",
    )
    auth_client_claims: Claims | None = Field(
        None,
        description='claims that say the client, the first there counts, e.g. `["azp"]`; none: by the provider',
    )
    auth_scope_claims: Claims | None = Field(
        None, description='the same for scopes; a list leads into a claim, e.g. `[["realm_access", "roles"], "scope"]`'
    )
    auth_owner_claims: Claims | None = Field(
        None, description='the same for the owner that a token is confined to, e.g. `["https://wallet.example/owner"]`'
    )
    auth_token_max_bytes: PositiveInt = Field(16384, description="the longest token")
    auth_issuer: str | None = Field(
        None,
        description="the issuer of tokens: their `iss`",
        json_schema_extra=_section("Who may call", "server", "walletctl"),
    )
    auth_audience: str = Field("wallet", description="what tokens must be for: their `aud`")
    auth_dev_secret: SecretStr | None = Field(
        None, min_length=32, description="development: a secret that `walletctl token` signs tokens with"
    )

    journal_write_s: Seconds = Field(
        0.2,
        description="how often what has happened is put into the journal",
        json_schema_extra=_section("Events", "scheduler"),
    )

    bank_url: str | None = Field(
        None,
        description="the bank's address, https://… or, on this machine, http://…",
        json_schema_extra=_section("The bank", "scheduler"),
    )
    bank_token: SecretStr | None = Field(None, description="the bearer token that the bank knows us by")
    bank_token_file: Path | None = Field(None, description="instead: a file that holds it; read anew as it changes")
    bank_certificate: Path | None = Field(
        None, description="the certificate chain that the bank knows us by, PEM; read anew as it changes"
    )
    bank_key: Path | None = Field(None, description="its private key, PEM")
    bank_ca: Path | None = Field(
        None, description="the authority that signs the bank's certificate, PEM; none: those that this machine trusts"
    )
    bank_call_deadline_s: Seconds = Field(
        3.0, description="total time of one call to the bank, body included; a third of the lease at most"
    )
    bank_answer_max_bytes: PositiveInt = Field(65536, description="the largest answer that is read")
    bank_idempotent: bool = Field(True, description="the bank honours idempotency keys; off: one attempt, ever")  # noqa: FBT003  # pydantic's form
    bank_calls_per_s: Seconds = Field(200.0, description="calls to the bank by all schedulers together, each second")
    bank_statement_page: int = Field(100, ge=1, le=999, description="lines of the bank's ledger read at once")
    bank_statement_poll_s: Seconds = Field(5.0, description="how often the bank's ledger is followed")
    bank_key_retention_s: Seconds = Field(20 * 3600.0, description="how long the bank surely remembers a key")
    payout_parallelism: PositiveInt = Field(
        10,
        description="pieces of work in flight per job of a scheduler, payouts for one",
        json_schema_extra=_section("Payouts", "scheduler"),
    )
    payout_poll_s: Seconds = Field(1.0, description="how often due withdrawals are looked for")
    payout_lease_s: Seconds = Field(30.0, description="how long a claim holds")
    payout_attempts_max: PositiveInt = Field(3, description="how often the bank is asked to pay")
    payout_resends_max: PositiveInt = Field(
        5, description="how often a payout that the bank does not know is sent again, attempts used up or not"
    )
    payout_backoff_first_s: Seconds = Field(1.0, description="the first wait; doubles each time, full jitter")
    payout_backoff_max_s: Seconds = Field(60.0, description="the longest wait")
    payout_retry_after_max_s: Seconds = Field(300.0, description="the longest Retry-After that is honoured")
    payout_send_window_s: Seconds = Field(5.0, description="an attempt is sent within this time or not at all")
    payout_grace_s: Seconds = Field(
        60.0,
        description="how long a call may be on its way; then 'not found' is believed; "
        "more than lease, send window and call deadline together",
    )

    bank_provides_statement: bool = Field(
        default=True,
        description="whether the bank shows a ledger of what it has done; if so it is read to its end at every start "
        "of a scheduler before anything is paid or collected",
        json_schema_extra=_section("Attention", "server", "scheduler"),
    )
    bank_statement_line_due_s: Seconds = Field(
        86400.0, description="how long the bank may take to write what it has done into its ledger; then attention"
    )
    payout_attention_after_s: Seconds = Field(900.0, description="age at which a doubt is shown to a person")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Refuse half of a way to tell who is calling, and names that stand for two."""
        if (self.tls_certificate is None) is not (self.tls_key is None):
            raise ValueError("WALLET_TLS_CERTIFICATE and WALLET_TLS_KEY must be set together")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("WALLET_TLS_CLIENT_CA needs WALLET_TLS_CERTIFICATE and WALLET_TLS_KEY")
        if self.auth_keys is not None and self.auth_issuer is None:
            raise ValueError("WALLET_AUTH_KEYS needs WALLET_AUTH_ISSUER")
        for what in ("clients", "certificates"):
            names = [name for caller in self.callers.values() for name in getattr(caller, what)]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"WALLET_CALLERS: {what} of two callers: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _one_way_to_the_bank(self) -> Self:
        """Refuse half of what the bank knows us by, and two tokens of which only one could be sent."""
        if (self.bank_certificate is None) is not (self.bank_key is None):
            raise ValueError("WALLET_BANK_CERTIFICATE and WALLET_BANK_KEY must be set together")
        if self.bank_token is not None and self.bank_token_file is not None:
            raise ValueError("WALLET_BANK_TOKEN and WALLET_BANK_TOKEN_FILE are both set: set one of them")
        return self

    @field_validator("grpc_host", "admin_host")
    @classmethod
    def _bare(cls, host: str) -> str:
        """Take ``[::1]`` as ``::1``."""
        return host[1:-1] if host.startswith("[") and host.endswith("]") else host

    @field_validator("bank_url")
    @classmethod
    def _reachable(cls, url: str | None) -> str | None:
        """Refuse an address that no HTTP call can reach: with it every payout would fail to be sent."""
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be an address like http://bank.example:8010")
        return url

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """Refuse times that would let two workers send the same payout."""
        if self.bank_call_deadline_s > self.payout_lease_s / 3:
            raise ValueError("WALLET_BANK_CALL_DEADLINE_S must be at most a third of WALLET_PAYOUT_LEASE_S")
        longest_call = self.payout_send_window_s + self.bank_call_deadline_s + self.payout_lease_s
        if self.payout_grace_s <= longest_call:
            raise ValueError(
                "WALLET_PAYOUT_GRACE_S must be more than send window, call deadline and lease together"
                f" ({longest_call:g} s)"
            )
        return self

    @property
    def reflects(self) -> bool:
        """Whether callers may look the services up: as asked for, else in a development alone."""
        return self.mode == "development" if self.grpc_reflection is None else self.grpc_reflection

    def required_database_url(self) -> str:
        """Return the database's URL; raise ``SettingsError`` where none is set."""
        if self.database_url is None:
            raise SettingsError("WALLET_DATABASE_URL is not set: set it, or run `make up`, which brings its own")
        return self.database_url.get_secret_value()

    def required_bank_url(self) -> str:
        """Return the bank's address; raise ``SettingsError`` where none is set."""
        if self.bank_url is None:
            raise SettingsError("WALLET_BANK_URL is not set: set it, or run `make up`, which brings a bank of its own")
        return self.bank_url


def read_settings(**overrides: object) -> Settings:
    """Read the environment, with *overrides* before it; raise ``SettingsError`` naming all that is wrong."""
    if unknown := _unknown_variables():
        raise SettingsError("; ".join(unknown))
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        wrong = [": ".join([*(f"WALLET_{str(part).upper()}" for part in e["loc"]), e["msg"]]) for e in error.errors()]
        raise SettingsError("; ".join(wrong)) from None


def _unknown_variables() -> list[str]:
    """Return what is wrong with variables that look like ours and set nothing: the default would stay in force."""
    names = {f"{_PREFIX}{name.upper()}" for name in Settings.model_fields}
    ours = (name for name in os.environ if name.upper().startswith(_PREFIX))  # noqa: TID251  # the only reader
    unknown = sorted(name for name in ours if name.upper() not in names | _OF_OTHERS)
    nearest = {name: get_close_matches(name.upper(), names, n=1, cutoff=_NEAR) for name in unknown}
    return [f"{name} is no setting" + "".join(f"; did you mean {near}?" for near in nearest[name]) for name in unknown]
