"""Resume tokens: a place in the journal, opaque to callers and signed."""

from dataclasses import dataclass
from functools import cached_property

from itsdangerous import BadData, Signer

from wallet_core.domain.errors import InvalidField
from wallet_core.domain.event import JournalLine
from wallet_core.storage.reads import Reads
from wallet_grpc.errors import WatchCursorExpired
from wallet_grpc.paging import PageTokens

# Of a line's hash: enough to know a journal that was restored from before it and has gone on otherwise.
_MARK = 16


@dataclass(frozen=True, slots=True)
class Place:
    """Right after a line of the journal; after none at its start."""

    number: int = 0
    mark: str = ""

    @classmethod
    def after(cls, line: JournalLine | None) -> "Place":
        """Return the place right after a line."""
        return cls(line.number, line.hash.hex()[:_MARK]) if line is not None else cls()


@dataclass(frozen=True)
class ResumeTokens:
    """Writes and reads resume tokens, with the secret that page tokens are signed with.

    One goes with every event, so they are plainer than page tokens: to sign one takes a tenth of the time.
    """

    page_tokens: PageTokens

    def write(self, place: Place) -> str:
        """Return the token of a place."""
        return self._signer.sign(f"{place.number}-{place.mark}").decode()

    def read(self, token: str, reads: Reads) -> Place:
        """Return the place that a token stands for.

        Raises ``InvalidField`` for one that is not ours, and ``WatchCursorExpired`` where the journal is not the one
        that it was written for, or not as long any more.
        """
        try:
            number, _, mark = self._signer.unsign(token.encode()).decode().partition("-")
        except BadData:
            raise InvalidField("resume_token", "must be one that WatchEvents has given") from None
        place = Place(int(number), mark)
        if place.number and Place.after(reads.journal_line(place.number)) != place:
            raise WatchCursorExpired(self.write(Place()))
        return place

    @cached_property
    def _signer(self) -> Signer:
        return Signer(self.page_tokens.secret, salt="wallet.v1.WatchEvents")
