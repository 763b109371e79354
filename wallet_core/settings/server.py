"""Settings of the gRPC server: its connections, calls, streams, pages and shutdown."""

from pathlib import Path
from typing import Self

from pydantic import Field, PositiveInt, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from wallet_core.settings.base import Seconds, Section


class GrpcSettings(Section):
    """The gRPC server and its connections."""

    model_config = SettingsConfigDict(env_prefix="WALLET_GRPC_")
    title = "gRPC server"
    read_by = ("server",)

    host: str = Field("127.0.0.1", description="address to listen on, IPv4 or IPv6; `::` listens on all of both")
    port: int = Field(50051, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    workers: PositiveInt = Field(1, description="server processes on the port; each has its own pools")
    threads: PositiveInt = Field(80, description="concurrent calls, and so the most calls of one commit")
    queue_max: PositiveInt = Field(320, description="calls that wait for a thread; beyond it SERVER_OVERLOADED")
    receive_timeout_s: Seconds = Field(
        3.0, description="a call whose request has not arrived after this time is ended; it takes no thread"
    )
    receiving_max: PositiveInt = Field(
        256, description="calls whose request has not arrived, at most; beyond it the oldest are ended"
    )
    send_timeout_s: Seconds = Field(
        30.0, description="a response that its client has not read after this time is dropped"
    )
    unsent_max_bytes: PositiveInt = Field(
        128 << 20, description="responses that clients have not read, in total; beyond it the oldest are dropped"
    )
    message_max_bytes: PositiveInt = Field(1 << 20, description="the largest request")
    connections_max: PositiveInt = Field(
        10_000, description="client connections per process; fewer where the limit of open files is too low"
    )
    connection_streams_max: PositiveInt = Field(
        256, description="concurrent calls on one connection; further ones wait in the client"
    )
    handshake_timeout_s: Seconds = Field(5.0, description="a connection without a handshake after this time is closed")
    connection_idle_s: Seconds = Field(900.0, description="a connection without calls is closed after this time")
    connection_age_s: Seconds = Field(
        3600.0, description="a connection of this age gets GOAWAY, so that clients spread over servers"
    )
    connection_age_grace_s: Seconds = Field(600.0, description="time for calls to finish after that GOAWAY")
    keepalive_s: Seconds = Field(30.0, description="interval of keepalive pings on a silent connection with a call")
    ping_min_s: Seconds = Field(10.0, description="a client that pings more often has its connection closed")
    calls_max: PositiveInt = Field(2000, description="calls accepted at once, a high last limit")
    pending_calls_max: PositiveInt = Field(
        20_000, description="calls that gRPC holds before the server accepts them; beyond it CANCELLED"
    )
    reflection: bool | None = Field(
        None, description="serve reflection, for grpcurl and buf; none: in development mode only"
    )

    @field_validator("host")
    @classmethod
    def _bare(cls, host: str) -> str:
        return _without_brackets(host)


class CallSettings(Section):
    """Deadlines and sizes of calls."""

    title = "Calls"
    read_by = ("server",)

    deadline_min_s: Seconds = Field(0.005, description="a call with less time left is refused: DEADLINE_TOO_SHORT")
    deadline_max_s: Seconds = Field(30.0, description="the deadline of a call that has none, or a longer one")
    page_max_bytes: PositiveInt = Field(
        3 << 20, description="the largest page of a list; gRPC clients accept 4 MiB by default"
    )


class StreamSettings(Section):
    """Exports and watches, each of which occupies a thread."""

    title = "Exports and watches"
    read_by = ("server",)

    exports_max: PositiveInt = Field(8, description="concurrent exports; each occupies a thread")
    export_longest_s: Seconds = Field(600.0, description="an export is cancelled after this time")
    watchers_max: PositiveInt = Field(64, description="concurrent watches of events; each has its own thread")
    stream_stall_s: Seconds = Field(
        30.0, description="an export or a watch whose client reads nothing for this time is cancelled"
    )
    health_watchers_max: PositiveInt = Field(
        256, description="concurrent watches of health; each has its own thread; beyond it UNIMPLEMENTED"
    )


class WatchSettings(Section):
    """How events are read from the journal for watchers."""

    model_config = SettingsConfigDict(env_prefix="WALLET_WATCH_")
    title = "Watched events"
    read_by = ("server",)

    poll_s: Seconds = Field(0.2, description="interval of reading the journal while there are watchers")
    page: PositiveInt = Field(500, description="journal records read at once, and sent in one response, at most")
    buffer: PositiveInt = Field(5000, description="newest journal records in memory, shared by all watchers")
    heartbeat_s: Seconds = Field(10.0, description="interval of the responses that a watcher gets without events")


class ReceiptSettings(Section):
    """Receipts, which are PDF documents."""

    model_config = SettingsConfigDict(env_prefix="WALLET_RECEIPTS_")
    title = "Receipts"
    read_by = ("server",)

    concurrent: PositiveInt = Field(1, description="receipts drawn at once; each takes 0.1 to 0.3 seconds")
    queue_max: PositiveInt = Field(16, description="receipts that wait to be drawn; beyond it SERVER_OVERLOADED")
    cached: PositiveInt = Field(500, description="receipts in memory, of about 30 KB each")
    fonts: tuple[Path, ...] = Field(
        (), description="fonts (TTF, OTF) for scripts that the service's own fonts lack, such as Chinese: a JSON list"
    )


class AdminSettings(Section):
    """Pages for operators."""

    title = "Metrics and channelz"
    read_by = ("server",)

    admin_host: str = Field("127.0.0.1", description="address of both pages; neither authenticates its readers")
    metrics_port: int | None = Field(None, ge=1, le=65535, description="port of the page /metrics; none: no page")
    channelz_port: int | None = Field(
        None, ge=1, le=65535, description="port of channelz, over gRPC; each worker after the first takes the next port"
    )

    @field_validator("admin_host")
    @classmethod
    def _bare(cls, host: str) -> str:
        return _without_brackets(host)


class DrainSettings(Section):
    """The end of a server."""

    model_config = SettingsConfigDict(env_prefix="WALLET_DRAIN_")
    title = "Shutdown of the server"
    read_by = ("server",)

    delay_s: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="time between NOT_SERVING and the refusal of new calls"
    )
    grace_s: Seconds = Field(10.0, description="time for accepted calls to finish")
    flush_s: Seconds = Field(1.0, description="time for the last responses to be sent")


class TlsSettings(Section):
    """The server's certificate."""

    model_config = SettingsConfigDict(env_prefix="WALLET_TLS_")
    title = "TLS of the server"
    read_by = ("server",)

    certificate: Path | None = Field(None, description="the server's certificate chain, PEM; reloaded when it changes")
    key: Path | None = Field(None, description="its private key, PEM")
    client_ca: Path | None = Field(
        None, description="the authority that signs clients' certificates, PEM; with it every client must have one"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.certificate is None) is not (self.key is None):
            raise ValueError("WALLET_TLS_CERTIFICATE and WALLET_TLS_KEY must be set together")
        if self.client_ca is not None and self.certificate is None:
            raise ValueError("WALLET_TLS_CLIENT_CA needs WALLET_TLS_CERTIFICATE and WALLET_TLS_KEY")
        return self


def _without_brackets(host: str) -> str:
    """Return ``::1`` for ``[::1]``."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host
