"""The errors that only the gRPC edge raises. A docstring's first line is the default message."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from wallet_core.domain.model import errors


@dataclass
class InvalidFields(errors.Refusal):
    """Fields of the request are invalid."""

    violations: Sequence[errors.InvalidField]


class PageTokenInvalid(errors.Refusal):
    """The page token is malformed or belongs to other arguments; start again from the first page."""

    def fields(self) -> dict[str, str | int]:
        """Return nothing: a token is opaque."""
        return {}


@dataclass
class WatchCursorExpired(errors.Refusal):
    """The journal has no position for this resume token."""

    oldest: str
    """The resume token of the oldest position in the journal."""


class WatcherTooSlow(errors.ServiceError):
    """The watcher did not read its events for too long."""


@dataclass
class CredentialsInvalid(errors.ServiceError):
    """The caller could not be authenticated."""

    explanation: str

    def fields(self) -> dict[str, str | int]:
        """Return the explanation: the log has it too."""
        return {"explanation": self.explanation}


class RateLimited(errors.ServiceError):
    """The caller has used up its calls per second."""


@dataclass
class Defect(errors.ServiceError):
    """The service failed internally; its operators find the cause by the correlation id."""

    correlation_id: str = field(default_factory=lambda: str(uuid4()))
