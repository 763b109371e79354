"""What all sections of the settings share.

The environment variable of a field is the section's prefix and the field's name: ``settings.grpc.threads`` is
``WALLET_GRPC_THREADS``. Times end in ``_s`` (seconds) and may be fractions. docs/settings.md and .env.example are
generated from the titles, the readers and the descriptions.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue
from pydantic_settings import BaseSettings, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]

Process = Literal["server", "scheduler", "walletctl"]


class Section(BaseSettings):
    """Settings of one subject. Constructing one reads its variables; arguments override them."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix="WALLET_")

    title: ClassVar[str]
    read_by: ClassVar[tuple[Process, ...]]
    """The processes that read these settings, except where a field names its own."""

    @classmethod
    def prefix(cls) -> str:
        """Return what precedes a field's name in its variable, e.g. ``WALLET_GRPC_``."""
        return cls.model_config.get("env_prefix") or ""


def only(*processes: Process) -> dict[str, JsonValue]:
    """Name the processes that read one field, where they are not those of its section."""
    return {"read_by": list(processes)}
