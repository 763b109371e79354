"""Parsing of JSON objects, with a reason for each refusal."""

import json
from collections.abc import Collection, Mapping

INTEGER_MAX = 2**63 - 1
TEXT_CHARACTERS_MAX = 4096


class RefusalError(Exception):
    """The bank refuses a call: the HTTP status, and a reason for people."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Fields:
    """A JSON object whose fields are read by name and type; each reader raises :class:`RefusalError` with 400."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    @classmethod
    def parse(cls, body: bytes) -> "Fields":
        """Read *body*, which must be one JSON object."""
        try:
            return cls.of(json.loads(body), "the body")
        except (ValueError, RecursionError):
            raise RefusalError(400, "the body is not JSON") from None

    @classmethod
    def of(cls, value: object, name: str) -> "Fields":
        """Take *value*, called *name* in the reason, which must be an object."""
        if not isinstance(value, dict):
            raise RefusalError(400, f"{name} is not an object")
        return cls(value)

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def only(self, names: Collection[str]) -> None:
        """Refuse fields that are not among *names*: a misspelt order must not work in part."""
        for name in self._values:
            if name not in names:
                raise RefusalError(400, f"unknown field {name!r}")

    def text(self, name: str, default: str | None = None, *, at_least: int = 0, at_most: int | None = None) -> str:
        """Read a string with bounds on its length."""
        value = self._values.get(name, default)
        if not isinstance(value, str):
            raise RefusalError(400, f"{name} must be a string")
        if not at_least <= len(value) <= (at_most or TEXT_CHARACTERS_MAX):
            raise RefusalError(400, f"{name} has a length out of bounds")
        if not value.isprintable():
            # JSON can contain half a surrogate pair, which cannot be stored. Control characters are refused as well.
            raise RefusalError(400, f"{name} has unprintable characters")
        return value

    def optional_text(self, name: str) -> str | None:
        """Read a string that may be absent or null."""
        return self.text(name) if name in self else None

    def integer(self, name: str, default: int | None = None, *, at_least: int = 0, at_most: int = INTEGER_MAX) -> int:
        """Read a whole number; true and 1.0 are refused."""
        value = self._values.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise RefusalError(400, f"{name} must be an integer")
        if not at_least <= value <= at_most:
            raise RefusalError(400, f"{name} is out of bounds")
        return value

    def number(self, name: str, default: float | None = None, *, at_most: float) -> float:
        """Read a number from zero up to *at_most*."""
        value = self._values.get(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise RefusalError(400, f"{name} must be a number")
        if not 0 <= value <= at_most:
            raise RefusalError(400, f"{name} is out of bounds")
        return float(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """Read true or false."""
        value = self._values.get(name, default)
        if not isinstance(value, bool):
            raise RefusalError(400, f"{name} must be true or false")
        return value

    def within(self, name: str) -> "Fields":
        """Read an object that may be absent."""
        return Fields.of(self._values.get(name, {}), name)
