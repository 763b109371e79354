"""Resume tokens: a place in the journal, sealed."""

from dataclasses import dataclass
from os import urandom

from wallet_core.domain.model.errors import InvalidField
from wallet_core.domain.model.event import JournalRecord
from wallet_core.storage.reads.all import Reads
from wallet_grpc.convert.page_tokens import PageTokens
from wallet_grpc.errors.kinds import WatchCursorExpired
from wallet_grpc.security.sealing import SealBroken

# Of a line's hash: enough to know a journal that was restored from before it and has gone on otherwise.
_MARK = 16

_BOUND_TO = "wallet.v1.WatchEvents"

_SALT_BYTES = 8
_NO_SALT = bytes(_SALT_BYTES)


@dataclass(frozen=True, slots=True)
class Place:
    """Right after a line of the journal; after none at its start."""

    number: int = 0
    mark: str = ""

    @classmethod
    def after(cls, line: JournalRecord | None) -> "Place":
        """Return the place right after a line."""
        return cls(line.number, line.hash.hex()[:_MARK]) if line is not None else cls()


@dataclass(frozen=True)
class ResumeTokens:
    """Writes and reads resume tokens, sealed as page tokens are."""

    page_tokens: PageTokens

    def write(self, place: Place) -> str:
        """Return the token of a place: always the same one, so that an event that is told again is known by it."""
        return self._written(place, _NO_SALT)

    def write_unlike(self, place: Place) -> str:
        """Return a token that is like no other of the same place: two do not tell whether anything happened between."""
        return self._written(place, urandom(_SALT_BYTES))

    def read(self, token: str, reads: Reads) -> Place:
        """Return the place that a token stands for.

        Raises ``InvalidField`` for one that is not ours, and ``WatchCursorExpired`` where the journal is not the one
        that it was written for, or not as long any more.
        """
        try:
            number, mark, _ = self.page_tokens.seal.opened(token, _BOUND_TO).decode().split("-")
        except SealBroken:
            raise InvalidField("resume_token", "must be one that WatchEvents has given") from None
        place = Place(int(number), mark)
        if place.number and Place.after(reads.journal_record(place.number)) != place:
            raise WatchCursorExpired(self.write(Place()))
        return place

    def _written(self, place: Place, salt: bytes) -> str:
        return self.page_tokens.seal.closed(f"{place.number}-{place.mark}-{salt.hex()}".encode(), _BOUND_TO)
