"""Page tokens: opaque to callers, signed, and bound to the arguments of the list that they belong to."""

from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from itsdangerous import BadData, URLSafeSerializer

from wallet_grpc.errors import PageTokenInvalid

PAGE_DEFAULT = 50
PAGE_MAX = 1000

# What may differ from page to page.
_NOT_BOUND = ("page_size", "page_token")


@dataclass(frozen=True, slots=True)
class PageTokens:
    """Writes and reads page tokens with a secret that all servers share."""

    secret: str

    def write(self, request: Message, position: list[str | int]) -> str:
        """Return the token of the page that starts after *position* in the list that *request* asks for."""
        return self._serializer(request).dumps(position)

    def read(self, request: Message) -> list[Any] | None:
        """Return the position that a request's token stands for; None on the first page.

        Raises ``PageTokenInvalid`` for a token that is not ours, or was given for other arguments.
        """
        token = request.page_token  # type: ignore[attr-defined]  # every list request has one
        if not token:
            return None
        try:
            position = self._serializer(request).loads(token)
        except BadData:
            raise PageTokenInvalid from None
        if not isinstance(position, list):
            raise PageTokenInvalid
        return position

    def _serializer(self, request: Message) -> URLSafeSerializer:
        """Sign with the list's arguments as salt, so that a token fits no other list."""
        arguments = [f"{field.name}={value}" for field, value in request.ListFields() if field.name not in _NOT_BOUND]
        return URLSafeSerializer(self.secret, salt=f"{request.DESCRIPTOR.full_name}?{'&'.join(arguments)}")


def page_size(asked: int) -> int:
    """Return how many rows a page has: 0 means the default, more than the largest means the largest."""
    return min(asked, PAGE_MAX) if asked else PAGE_DEFAULT
