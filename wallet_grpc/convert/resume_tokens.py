"""Resume tokens: an encrypted position in the journal."""

from dataclasses import dataclass
from os import urandom

from wallet_core.domain.model.errors import InvalidField
from wallet_core.domain.model.event import JournalRecord
from wallet_core.storage.reads.all import Reads
from wallet_grpc.convert.page_tokens import PageTokens
from wallet_grpc.errors.kinds import WatchCursorExpired
from wallet_grpc.security.sealing import SealBroken

# Bytes of a record's hash: enough to detect a journal that was restored from a backup and has continued differently.
_MARK = 16

_BOUND_TO = "wallet.v1.WatchEvents"

_SALT_BYTES = 8
_NO_SALT = bytes(_SALT_BYTES)


@dataclass(frozen=True, slots=True)
class Place:
    """A position right after a journal record; before the first one by default."""

    number: int = 0
    mark: str = ""

    @classmethod
    def after(cls, line: JournalRecord | None) -> "Place":
        """Return the position right after a record."""
        return cls(line.number, line.hash.hex()[:_MARK]) if line is not None else cls()


@dataclass(frozen=True)
class ResumeTokens:
    """Writes and reads resume tokens, encrypted like page tokens."""

    page_tokens: PageTokens

    def write(self, place: Place) -> str:
        """Return the token of a position: always the same one, so that a resent event can be recognized."""
        return self._written(place, _NO_SALT)

    def write_unlike(self, place: Place) -> str:
        """Return a unique token of a position: two of them do not reveal whether anything happened in between."""
        return self._written(place, urandom(_SALT_BYTES))

    def read(self, token: str, reads: Reads) -> Place:
        """Return the position in a token.

        Raises ``InvalidField`` for one that is not ours, and ``WatchCursorExpired`` where the journal is not the one
        that it was written for, not as long any more, or begins later.
        """
        try:
            number, mark, _ = self.page_tokens.seal.opened(token, _BOUND_TO).decode().split("-")
        except SealBroken:
            raise InvalidField("resume_token", "must be one that WatchEvents has given") from None
        place = Place(int(number), mark)
        if not place.number:
            return self.start(reads)
        if Place.after(reads.journal_record(place.number)) != place:
            raise self.expired(reads)
        return place

    def start(self, reads: Reads) -> Place:
        """Return the position before the first event. Raises ``WatchCursorExpired`` where that was dropped."""
        if _oldest(reads) != Place():
            raise self.expired(reads)
        return Place()

    def expired(self, reads: Reads) -> WatchCursorExpired:
        """Return the error of a position that the journal does not have, with the oldest one that it has."""
        return WatchCursorExpired(self.write(_oldest(reads)))

    def _written(self, place: Place, salt: bytes) -> str:
        return self.page_tokens.seal.closed(f"{place.number}-{place.mark}-{salt.hex()}".encode(), _BOUND_TO)


def _oldest(reads: Reads) -> Place:
    """Return the oldest position: before the first event, or after the record that a summary ends with."""
    first = reads.journal_start()
    return Place.after(first) if first is not None and first.number > 1 else Place()
