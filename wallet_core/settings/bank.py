"""Settings of the bank and of the payment orders that it is sent."""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, PositiveInt, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from wallet_core.settings.base import Seconds, Section, only


class BankSettings(Section):
    """The bank and how it is called."""

    model_config = SettingsConfigDict(env_prefix="WALLET_BANK_")
    title = "Bank"
    read_by = ("scheduler",)

    url: str | None = Field(None, description="the bank's address, https://… or, on this machine, http://…")
    token: SecretStr | None = Field(None, description="the bearer token that authenticates this service to the bank")
    token_file: Path | None = Field(None, description="instead: a file with the token; reloaded when it changes")
    certificate: Path | None = Field(
        None, description="the client certificate chain for the bank, PEM; reloaded when it changes"
    )
    key: Path | None = Field(None, description="its private key, PEM")
    ca: Path | None = Field(
        None, description="the authority that signs the bank's certificate, PEM; none: those that this machine trusts"
    )
    call_deadline_s: Seconds = Field(
        3.0, description="total time of one call to the bank, body included; at most a third of the lease"
    )
    answer_max_bytes: PositiveInt = Field(65536, description="the largest response that is read")
    idempotent: bool = Field(default=True, description="the bank honours idempotency keys; false: one attempt, ever")
    calls_per_s: Seconds = Field(200.0, description="calls to the bank per second, of all schedulers together")
    statement_page: int = Field(100, ge=1, le=999, description="lines of the bank statement read at once")
    statement_poll_s: Seconds = Field(5.0, description="interval of reconciling against the bank statement")
    key_retention_s: Seconds = Field(20 * 3600.0, description="how long the bank surely remembers an idempotency key")
    provides_statement: bool = Field(
        default=True,
        description="the bank provides a statement; a scheduler then reads it to its end at every start, before it "
        "pays or collects anything",
        json_schema_extra=only("server", "scheduler"),
    )
    statement_line_due_s: Seconds = Field(
        86400.0,
        description="how long the bank may take to list an executed payment in its statement; after it attention",
        json_schema_extra=only("server", "scheduler"),
    )

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        """Refuse half a certificate, and two tokens of which only one could be sent."""
        if (self.certificate is None) is not (self.key is None):
            raise ValueError("WALLET_BANK_CERTIFICATE and WALLET_BANK_KEY must be set together")
        if self.token is not None and self.token_file is not None:
            raise ValueError("WALLET_BANK_TOKEN and WALLET_BANK_TOKEN_FILE are both set: set one of them")
        return self

    @field_validator("url")
    @classmethod
    def _reachable(cls, url: str | None) -> str | None:
        """Refuse an address that no HTTP call can reach: with it every payout would fail to be sent."""
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be an address like http://bank.example:8010")
        return url


class PayoutSettings(Section):
    """How payment orders are sent, retried and reconciled."""

    model_config = SettingsConfigDict(env_prefix="WALLET_PAYOUT_")
    title = "Payouts"
    read_by = ("scheduler",)

    parallelism: PositiveInt = Field(10, description="payment orders processed at once, per job of a scheduler")
    poll_s: Seconds = Field(1.0, description="interval of looking for due payment orders")
    lease_s: Seconds = Field(30.0, description="lifetime of a claim")
    attempts_max: PositiveInt = Field(3, description="attempts to pay, at most")
    resends_max: PositiveInt = Field(
        5, description="resends of a payment that the bank does not know, at most; not counted as attempts"
    )
    backoff_first_s: Seconds = Field(1.0, description="the first backoff; doubles each time, with full jitter")
    backoff_max_s: Seconds = Field(60.0, description="the longest backoff")
    retry_after_max_s: Seconds = Field(300.0, description="the longest Retry-After of the bank that is honoured")
    send_window_s: Seconds = Field(5.0, description="an attempt is sent this soon after its claim, or not at all")
    grace_s: Seconds = Field(
        60.0,
        description="how long a call may be in flight; after it the bank's 'not found' is conclusive; "
        "more than lease, send window and call deadline together",
    )
    attention_after_s: Seconds = Field(
        900.0,
        description="age at which a payment in doubt is listed for attention",
        json_schema_extra=only("server", "scheduler"),
    )
