"""Settings of authentication and of rate limits: callers and tokens."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, SecretStr, StringConstraints, model_validator
from pydantic_settings import SettingsConfigDict

from wallet_core.settings.base import Seconds, Section, only

CallerName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]

Provider = Literal["standard", "keycloak", "auth0", "okta", "entra"]
ClaimName = Annotated[str, StringConstraints(min_length=1)]
Claims = Annotated[tuple[ClaimName | Annotated[tuple[ClaimName, ...], Field(min_length=1)], ...], Field(min_length=1)]


class Caller(BaseModel):
    """A system that calls the service: its names in tokens and certificates."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clients: frozenset[str] = frozenset()
    """Its client ids at the issuer of tokens."""
    certificates: frozenset[str] = frozenset()
    """Names in its certificates (subject alternative names): DNS names, or URIs with their scheme."""
    certificate_scopes: frozenset[str] = frozenset()
    """Its scopes where it authenticates by a certificate, which carries none."""


class AccessSettings(Section):
    """Callers and their rates."""

    title = "Callers"
    read_by = ("server",)

    callers: dict[CallerName, Caller] = Field(
        default_factory=dict, description='the calling systems: {"billing": {"clients": ["…"], "certificates": ["…"]}}'
    )
    allow_unauthenticated: bool = Field(
        default=False, description="development: listen beyond this machine without authentication"
    )
    caller_calls_per_s: PositiveInt | None = Field(
        None,
        description="rate limit of one caller per process, in small reads, then RATE_LIMITED; a receipt or an export "
        "counts as 50, a statement as 5, and each KiB of a request adds 1; none: no limit",
    )
    owner_calls_per_s: PositiveInt | None = Field(
        None, description="the same limit for all callers together that are confined to one owner"
    )
    caller_share: float = Field(
        0.5, gt=0, le=1, description="the share of all exports, or watches, that one caller or owner may have at once"
    )

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for what in ("clients", "certificates"):
            names = [name for caller in self.callers.values() for name in getattr(caller, what)]
            if repeated := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"WALLET_CALLERS: {what} of two callers: {', '.join(repeated)}")
        return self


class AuthSettings(Section):
    """Tokens (JWT) and the keys that verify them."""

    model_config = SettingsConfigDict(env_prefix="WALLET_AUTH_")
    title = "Tokens"
    read_by = ("server",)

    keys: str | None = Field(None, description="the issuer's keys, a JWK set: a file, or an https:// address")
    keys_refresh_s: Seconds = Field(300.0, description="interval of reading the keys again")
    keys_retry_s: Seconds = Field(5.0, description="the least time between two reads, also for an unknown key")
    keys_keep_s: Seconds = Field(86400.0, description="how long the last keys are valid while they cannot be read")
    keys_timeout_s: Seconds = Field(3.0, description="timeout of reading the keys from an address")
    keys_max_bytes: PositiveInt = Field(1 << 20, description="the largest JWK set")
    leeway_s: float = Field(30.0, ge=0, le=300, description="tolerated clock difference for a token's times")
    provider: Provider = Field(
        "standard",
        description="the issuer's product: names the claims of client, scopes and owner; standard: RFC 9068",
    )
    client_claims: Claims | None = Field(
        None,
        description='claims that name the client, of which the first present counts, e.g. `["azp"]`; '
        "none: by the provider",
    )
    scope_claims: Claims | None = Field(
        None,
        description='the same for scopes; a list is a path into a claim, e.g. `[["realm_access", "roles"], "scope"]`',
    )
    owner_claims: Claims | None = Field(
        None, description='the same for the owner that a token is confined to, e.g. `["https://wallet.example/owner"]`'
    )
    token_max_bytes: PositiveInt = Field(16384, description="the longest token")
    issuer: str | None = Field(
        None, description="the issuer of tokens: their `iss`", json_schema_extra=only("server", "walletctl")
    )
    audience: str = Field(
        "wallet", description="the audience of tokens: their `aud`", json_schema_extra=only("server", "walletctl")
    )
    dev_secret: SecretStr | None = Field(
        None,
        min_length=32,
        description="development: the secret with which `walletctl token` signs tokens",
        json_schema_extra=only("server", "walletctl"),
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.keys is not None and self.issuer is None:
            raise ValueError("WALLET_AUTH_KEYS needs WALLET_AUTH_ISSUER")
        return self
