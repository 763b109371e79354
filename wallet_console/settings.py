"""Settings of the console, and the only reader of its environment.

The console imports nothing of the server, so it has its own. docs/settings.md and .env.example are generated from both.
"""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, PositiveInt, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "WALLET_CONSOLE_"

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class SettingsError(Exception):
    """The settings are incomplete or contradict one another; the message names the variables."""


class ConsoleSettings(BaseSettings):
    """All settings of the console."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=PREFIX)

    title: ClassVar[str] = "Console"
    read_by: ClassVar[tuple[str, ...]] = ("console",)

    mode: Literal["development", "production"] = Field(
        "development",
        description="production: the console starts only with a login, TLS to the service, and an https:// address",
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    url: str | None = Field(
        None,
        description="its address in browsers, or that of a proxy in front, e.g. `https://console.example`; "
        "none: the host and port above",
    )
    certificate: Path | None = Field(
        None, description="the console's certificate chain, PEM; none: plain HTTP, for a proxy that speaks TLS"
    )
    key: Path | None = Field(None, description="its private key, PEM")
    target: str = Field("127.0.0.1:50051", description="the service: `HOST:PORT`, or `ipv4:HOST:PORT,HOST:PORT`")
    target_tls: bool = Field(default=False, description="use TLS to the service")
    target_ca: Path | None = Field(
        None, description="the authority that signs the service's certificate, PEM; none: those that the machine trusts"
    )
    target_server_name: str | None = Field(
        None, description="the name in the service's certificate; none: the host of the target"
    )
    timeout_s: Seconds = Field(10.0, description="deadline of a call to the service")
    login: Literal["none", "token", "oidc"] = Field(
        "none",
        description="how people sign in: not at all (development), by a token of the service, or at an OpenID provider",
    )
    allow_unauthenticated: bool = Field(
        default=False, description="development: listen beyond this machine without a login"
    )
    oidc_issuer: str | None = Field(None, description="the OpenID provider, an https:// address")
    oidc_client_id: str | None = Field(None, description="the console's client id at the provider")
    oidc_client_secret: SecretStr | None = Field(
        None, description="its secret there; none: a public client, which PKCE protects"
    )
    oidc_scope: str = Field(
        "openid",
        description="the scopes to request from the provider, separated by blanks; the service checks the token's",
    )
    oidc_audience: str | None = Field(
        None,
        description="the `audience` to request from the provider, where it needs one to make a token of the service",
    )
    session_s: Seconds = Field(28800.0, description="the longest session; it also ends with its token")
    session_idle_s: Seconds = Field(3600.0, description="a session without a request for this time ends")
    sessions_max: PositiveInt = Field(
        1000, description="sessions at once; the one that was idle longest ends for a new one"
    )
    streams_max: PositiveInt = Field(
        500, description="pages that update by themselves at once; beyond it they stay as read"
    )
    update_s: Seconds = Field(2.0, description="the least time between two updates of a page")
    poll_s: Seconds = Field(
        10.0, description="interval of updates for what makes no event, and while there is no watch"
    )
    page_size: int = Field(50, ge=1, le=1000, description="rows of one page of a list")
    form_max_bytes: PositiveInt = Field(65536, description="the largest form")

    @property
    def secure(self) -> bool:
        """Whether browsers reach the console by TLS."""
        return self.certificate is not None or (self.url or "").startswith("https://")

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host names by which browsers may call it; another name is an attack by DNS."""
        named = urlsplit(self.url or "").hostname
        own = () if self.host in {"0.0.0.0", "::"} else (self.host,)  # noqa: S104  # compared, not bound
        return ("localhost", "127.0.0.1", "[::1]", *own, *((named,) if named else ()))

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.certificate is None) is not (self.key is None):
            raise ValueError("WALLET_CONSOLE_CERTIFICATE and WALLET_CONSOLE_KEY must be set together")
        if self.url is not None and urlsplit(self.url).scheme not in {"http", "https"}:
            raise ValueError("WALLET_CONSOLE_URL must begin with https:// or http://")
        if self.login == "oidc" and not (self.oidc_issuer and self.oidc_client_id and self.url):
            raise ValueError(
                "WALLET_CONSOLE_LOGIN=oidc needs WALLET_CONSOLE_OIDC_ISSUER, WALLET_CONSOLE_OIDC_CLIENT_ID and "
                "WALLET_CONSOLE_URL"
            )
        if self.login == "none" and not (_is_loopback(self.host) or self.allow_unauthenticated):
            raise ValueError(
                f"{self.host} is not this machine alone, and nobody has to sign in: set WALLET_CONSOLE_LOGIN, or "
                "WALLET_CONSOLE_ALLOW_UNAUTHENTICATED=true if that is meant"
            )
        if missing := list(self._missing_in_production()):
            raise ValueError("a production needs " + ", ".join(missing))
        return self

    def _missing_in_production(self) -> Iterator[str]:
        if self.mode != "production":
            return
        if self.login == "none":
            yield "WALLET_CONSOLE_LOGIN=token or oidc"
        if not self.target_tls:
            yield "WALLET_CONSOLE_TARGET_TLS=true"
        if not (self.url or "").startswith("https://"):
            yield "WALLET_CONSOLE_URL with https://"
        if self.login == "oidc" and not (self.oidc_issuer or "").startswith("https://"):
            yield "WALLET_CONSOLE_OIDC_ISSUER with https://"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_settings(**overrides: object) -> ConsoleSettings:
    """Return the settings of the environment; *overrides* come before it. Raises ``SettingsError``."""
    known = [f"{PREFIX}{field.upper()}" for field in ConsoleSettings.model_fields]
    given = sorted(name for name in os.environ if name.upper().startswith(PREFIX))  # noqa: TID251  # the only reader
    wrong = []
    for name in given:
        if name.upper() not in known:
            near = get_close_matches(name.upper(), known, n=1)
            wrong.append(f"{name} is no setting" + "".join(f"; did you mean {one}?" for one in near))
    if not wrong:
        try:
            return ConsoleSettings(**overrides)  # type: ignore[arg-type]  # checked as they are read
        except ValidationError as error:
            wrong = [_described(one["loc"], one["msg"]) for one in error.errors()]
    raise SettingsError("; ".join(wrong))


def _described(location: tuple[int | str, ...], message: str) -> str:
    """Return an error of pydantic's with its variable; never with the value, which may be secret."""
    where = [f"{PREFIX}{str(location[0]).upper()}"] if location else []
    return ": ".join([*where, message.removeprefix("Value error, ")])
