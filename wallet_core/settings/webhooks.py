"""Settings of webhooks."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, PositiveInt, model_validator
from pydantic_settings import SettingsConfigDict

from wallet_core.settings.base import Seconds, Section, only

_DAY_S = 86400.0


class WebhookSettings(Section):
    """Which endpoints events may be sent to, and how they are sent."""

    model_config = SettingsConfigDict(env_prefix="WALLET_WEBHOOK_")
    title = "Webhooks"
    read_by = ("scheduler",)

    private_networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        (),
        description='private networks that webhooks may be sent to, e.g. `["10.1.0.0/16"]`; others, and loopback, '
        "link-local and multicast addresses, are refused",
        json_schema_extra=only("server", "scheduler"),
    )
    count_max: PositiveInt = Field(1000, description="webhooks, at most", json_schema_extra=only("server"))
    owner_count_max: PositiveInt = Field(
        20, description="webhooks that are confined to one owner, at most", json_schema_extra=only("server")
    )
    secret_overlap_s: Seconds = Field(
        _DAY_S,
        description="how long requests are signed with the previous secret, too, after a rotation",
        json_schema_extra=only("server"),
    )
    ca: Path | None = Field(
        None, description="the authority that signs endpoints' certificates, PEM; none: those that this machine trusts"
    )
    parallelism: PositiveInt = Field(32, description="requests at once, of one scheduler")
    endpoint_parallelism: PositiveInt = Field(
        4, description="requests at once to one webhook, of all schedulers together; 1 while its last request failed"
    )
    poll_s: Seconds = Field(0.5, description="interval of looking for due deliveries; new events are sent at once")
    call_deadline_s: Seconds = Field(
        10.0, description="total time of one request, name lookup included; at most a third of the lease"
    )
    lease_s: Seconds = Field(
        45.0, description="lifetime of a claim: after a scheduler was lost, its deliveries continue this much later"
    )
    response_max_bytes: PositiveInt = Field(1024, description="the beginning of a response that is read and stored")
    retry_delays_s: Annotated[tuple[Seconds, ...], Field(max_length=100)] = Field(
        (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0),
        description="delay before each retry; after the last one the delivery is a dead letter",
    )
    retry_jitter: float = Field(0.1, ge=0, le=1, description="the share of a delay that is added at random")
    retry_after_max_s: Seconds = Field(_DAY_S, description="the longest Retry-After of an endpoint that is honoured")
    delivered_kept_s: Seconds = Field(7 * _DAY_S, description="how long accepted deliveries are kept")
    dead_kept_s: Seconds = Field(90 * _DAY_S, description="how long dead letters are kept")
    prune_s: Seconds = Field(60.0, description="interval of removing older ones")

    @model_validator(mode="after")
    def _call_ends_before_lease(self) -> Self:
        if self.call_deadline_s > self.lease_s / 3:
            raise ValueError("WALLET_WEBHOOK_CALL_DEADLINE_S must be at most a third of WALLET_WEBHOOK_LEASE_S")
        return self
