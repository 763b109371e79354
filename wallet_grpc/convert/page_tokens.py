"""Page tokens: encrypted, and bound to the arguments of their list."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from wallet_core.domain.queries.lists import Page
from wallet_grpc.errors.kinds import PageTokenInvalid
from wallet_grpc.security.sealing import Seal, SealBroken

AnyMessage = TypeVar("AnyMessage", bound=Message)
Position = tuple[Any, ...] | None

PAGE_DEFAULT = 50
PAGE_MAX = 1000

# The fields that may differ from page to page.
_NOT_BOUND = ("page_size", "page_token")


@dataclass(frozen=True)
class PageTokens:
    """Writes and reads page tokens with a secret that all servers share.

    The secret is read when it is first needed: if the database becomes unavailable while a server starts, a list fails
    for the moment, and not the start.
    """

    read_secret: Callable[[], str]

    @cached_property
    def seal(self) -> Seal:
        """The cipher of the tokens. Raises ``ServiceError`` where the database fails."""
        return Seal(self.read_secret())

    def write(self, request: Message, position: Position) -> str:
        """Return the token of the page that starts after *position* in the list of *request*.

        Empty where there is no such page.
        """
        if position is None:
            return ""
        text = json.dumps([one if isinstance(one, int) else str(one) for one in position])
        return self.seal.closed(text.encode(), _arguments(request))

    def number(self, request: Message) -> int | None:
        """Return the position of a list that is ordered by a number."""
        position = self._read(request)
        return int(position[0]) if position is not None else None

    def time_and_id(self, request: Message) -> tuple[datetime, UUID] | None:
        """Return the position of a list that is ordered by time and id."""
        position = self._read(request)
        return (datetime.fromisoformat(position[0]), UUID(position[1])) if position is not None else None

    def time_and_number(self, request: Message) -> tuple[datetime, int] | None:
        """Return the position of a list that is ordered by time and number."""
        position = self._read(request)
        return (datetime.fromisoformat(position[0]), int(position[1])) if position is not None else None

    def time_and_name(self, request: Message) -> tuple[datetime, str] | None:
        """Return the position of a list that is ordered by time and resource name."""
        position = self._read(request)
        return (datetime.fromisoformat(position[0]), str(position[1])) if position is not None else None

    def _read(self, request: Message) -> list[Any] | None:
        """Return the position in a request's token; None on the first page.

        Raises ``PageTokenInvalid`` for a token that the service did not issue, or issued for other arguments.
        """
        token = request.page_token  # type: ignore[attr-defined]  # every list request has one
        if not token:
            return None
        try:
            position: list[Any] = json.loads(self.seal.opened(token, _arguments(request)))
        except SealBroken:
            raise PageTokenInvalid from None
        return position


def _arguments(request: Message) -> str:
    """Return the arguments of a list, to which its tokens are bound."""
    arguments = [f"{field.name}={value}" for field, value in request.ListFields() if field.name not in _NOT_BOUND]
    return f"{request.DESCRIPTOR.full_name}?{'&'.join(arguments)}"


def fitting(messages: Sequence[AnyMessage], page: Page[Any], bytes_max: int) -> tuple[Sequence[AnyMessage], Position]:
    """Return the messages of a page that fit into *bytes_max*, at least one, and where the next page begins."""
    size = 0
    for count, message in enumerate(messages):
        size += message.ByteSize()
        if size > bytes_max and count:
            return messages[:count], page.positions[count - 1]
    return messages, page.next


def page_size(asked: int) -> int:
    """Return how many rows a page has: 0 means the default, more than the largest means the largest."""
    return min(asked, PAGE_MAX) if asked else PAGE_DEFAULT
