"""Settings: every limit and every address, read once per process. The only reader of the environment.

The settings of each subject are a section, in a module of this package. Here all sections are read and checked against
one another.
"""

import os
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import SettingsError as EnvironmentUnreadable

from wallet_core.settings.access import AccessSettings, AuthSettings
from wallet_core.settings.bank import BankSettings, PayoutSettings
from wallet_core.settings.base import Section
from wallet_core.settings.core import (
    CheckpointSettings,
    ConnectionSettings,
    DatabaseSettings,
    JournalSettings,
    LedgerSettings,
    ProcessSettings,
    VerifySettings,
)
from wallet_core.settings.server import (
    AdminSettings,
    CallSettings,
    DrainSettings,
    GrpcSettings,
    ReceiptSettings,
    StreamSettings,
    TlsSettings,
    WatchSettings,
)
from wallet_core.settings.webhooks import WebhookSettings

__all__ = ["Settings", "SettingsError", "Variable", "read_settings", "variables"]

_PREFIX = "WALLET_"
_NEAR = 0.8
_QUOTED = re.compile(r'"(\w+)"')
# Variables of the test run, which no process reads.
_FOREIGN = frozenset({"WALLET_REQUIRE_ALL"})
# Those of the console, which reads them itself and imports nothing of ours.
_CONSOLE = "WALLET_CONSOLE_"


class SettingsError(Exception):
    """The settings are incomplete or contradict one another; the message names the variables and the remedy."""


class Settings(BaseModel):
    """All settings of the service, by section."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    process: ProcessSettings
    database: DatabaseSettings
    connections: ConnectionSettings
    ledger: LedgerSettings
    grpc: GrpcSettings
    calls: CallSettings
    streams: StreamSettings
    watch: WatchSettings
    receipts: ReceiptSettings
    verify: VerifySettings
    admin: AdminSettings
    drain: DrainSettings
    tls: TlsSettings
    access: AccessSettings
    auth: AuthSettings
    journal: JournalSettings
    checkpoints: CheckpointSettings
    bank: BankSettings
    payouts: PayoutSettings
    webhooks: WebhookSettings

    @property
    def reflection(self) -> bool:
        """Whether the server serves reflection: as set, and otherwise in development mode only."""
        return self.process.mode == "development" if self.grpc.reflection is None else self.grpc.reflection

    def required_database_url(self) -> str:
        """Return the database's URL; raise ``SettingsError`` where none is set."""
        if self.database.url is None:
            raise SettingsError("WALLET_DATABASE_URL is not set: set it, or run `make up`, which brings its own")
        return self.database.url.get_secret_value()

    def required_bank_url(self) -> str:
        """Return the bank's address; raise ``SettingsError`` where none is set."""
        if self.bank.url is None:
            raise SettingsError("WALLET_BANK_URL is not set: set it, or run `make up`, which brings a bank of its own")
        return self.bank.url

    def replaced(self, **changes: object) -> Self:
        """Return a copy with *changes*, named like the variables (``grpc_threads=2``); raise ``SettingsError``."""
        fields = {one.name: getattr(getattr(self, one.section), one.field) for one in variables()}
        return self._of(fields | changes)

    @classmethod
    def _of(cls, values: Mapping[str, object]) -> Self:
        """Return the settings with *values*, and all others from the environment; raise ``SettingsError``."""
        known = {one.name for one in variables()}
        wrong = [_unknown(name) for name in values if name not in known]
        sections: dict[str, Section] = {}
        for section, kind in _sections():
            own = {v.field: values[v.name] for v in variables() if v.section == section and v.name in values}
            try:
                sections[section] = kind(**own)
            except ValidationError as error:
                wrong += [_described(kind.prefix(), e["loc"], e["msg"]) for e in error.errors()]
            except EnvironmentUnreadable as error:
                wrong.append(_described(kind.prefix(), tuple(_QUOTED.findall(str(error))[:1]), "is not valid JSON"))
        if not wrong:
            settings = cls.model_validate(sections)
            wrong = list(settings.contradictions())
            if not wrong:
                return settings
        raise SettingsError("; ".join(wrong)) from None

    def contradictions(self) -> Iterator[str]:
        """Yield what is wrong between sections: times with which two workers could send the same payment."""
        bank, payouts = self.bank, self.payouts
        if bank.call_deadline_s > payouts.lease_s / 3:
            yield "WALLET_BANK_CALL_DEADLINE_S must be at most a third of WALLET_PAYOUT_LEASE_S"
        longest_call_s = payouts.send_window_s + bank.call_deadline_s + payouts.lease_s
        if payouts.grace_s <= longest_call_s:
            yield (
                "WALLET_PAYOUT_GRACE_S must be more than send window, call deadline and lease together"
                f" ({longest_call_s:g} s)"
            )


class Variable(NamedTuple):
    """One setting: its environment variable, and its field of ``Settings``."""

    environment: str
    """E.g. ``WALLET_GRPC_THREADS``."""
    section: str
    """E.g. ``grpc``."""
    field: str
    """E.g. ``threads``."""
    info: FieldInfo
    kind: type[Section]

    @property
    def name(self) -> str:
        """The name without the common prefix, in lower case, e.g. ``grpc_threads``."""
        return self.environment.removeprefix(_PREFIX).lower()


@cache
def variables() -> tuple[Variable, ...]:
    """Return every setting, in order."""
    return tuple(
        Variable(f"{kind.prefix()}{field.upper()}", section, field, info, kind)
        for section, kind in _sections()
        for field, info in kind.model_fields.items()
    )


def read_settings(**overrides: object) -> Settings:
    """Return the settings of the environment; *overrides*, named like the variables, come before it.

    Raises ``SettingsError``, which names everything that is wrong.
    """
    known = {one.environment for one in variables()} | _FOREIGN
    ours = sorted(name for name in os.environ if name.upper().startswith(_PREFIX))  # noqa: TID251  # the only reader
    if unknown := [_unknown(name) for name in ours if not (name.upper() in known or name.upper().startswith(_CONSOLE))]:
        raise SettingsError("; ".join(unknown))
    return Settings._of(overrides)  # noqa: SLF001  # its other constructor


def _sections() -> Iterator[tuple[str, type[Section]]]:
    for name, info in Settings.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield name, kind


def _unknown(name: str) -> str:
    """Return what is wrong with a name that sets nothing: the default would silently stay in force."""
    name = name if name.upper().startswith(_PREFIX) else f"{_PREFIX}{name.upper()}"
    near = get_close_matches(name.upper(), [one.environment for one in variables()], n=1, cutoff=_NEAR)
    return f"{name} is no setting" + "".join(f"; did you mean {one}?" for one in near)


def _described(prefix: str, location: tuple[int | str, ...], message: str) -> str:
    """Return an error of pydantic's with the variable that it is about; never with the value, which may be secret."""
    field, *inside = location or [""]
    where = [f"{prefix}{str(field).upper()}", *map(str, inside)] if field else []
    return ": ".join([*where, message.removeprefix("Value error, ")])
