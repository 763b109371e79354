"""Summaries: signed statements of what the journal has said up to a checkpoint, so that its records can be dropped.

A summary states a digest of what the dropped records said. Verify makes the same digest from the tables: a transaction
that was changed, added or removed since is found without its record.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import shake_256

from wallet_core.domain.model.checkpoint import Checkpoint
from wallet_core.domain.model.instants import instant_of, microseconds_of

# What is signed begins with this, so that a signature means nothing else. A later form gets another number.
SIGNED_AS = b"wallet-journal-summary-v1\n"

_HASH_BYTES = 32
# With so many bits nobody finds other rows with the same sum (AdHash; Wagner's attack takes 2^90 steps).
_SUM_BYTES = 256


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest of a set of rows, whatever their order: their count, and the sum of what their hashes expand to."""

    count: int = 0
    sum: int = 0

    def plus(self, hashes: bytes) -> "Digest":
        """Return it with more rows: their hashes, one after another."""
        added = [_expanded(one) for one in _each(hashes)]
        return Digest(self.count + len(added), (self.sum + sum(added)) % (1 << 8 * _SUM_BYTES))

    def minus(self, hashes: bytes) -> "Digest":
        """Return it without some of its rows."""
        taken = [_expanded(one) for one in _each(hashes)]
        return Digest(self.count - len(taken), (self.sum - sum(taken)) % (1 << 8 * _SUM_BYTES))


def _each(hashes: bytes) -> Iterator[bytes]:
    for begin in range(0, len(hashes), _HASH_BYTES):
        yield hashes[begin : begin + _HASH_BYTES]


def _expanded(hash_: bytes) -> int:
    return int.from_bytes(shake_256(hash_).digest(_SUM_BYTES))


def summary_name(number: int) -> str:
    """Return the name of a summary."""
    return f"summary {number}"


@dataclass(frozen=True, slots=True)
class SummaryStatement:
    """What a summary states."""

    number: int
    """Of the last journal record that it sums up: a checkpoint's."""
    hash: bytes
    """Of that record, and so of all records up to it."""
    time: datetime
    transactions: Digest
    """Of transactions, each with its facts."""
    requests: Digest
    """Of the requests that transactions followed from."""
    last_events: Digest
    """Of every other resource's events: how many of which types, and the facts of the last one."""

    def text(self) -> str:
        """Return it as it is signed: JSON with sorted names and no spaces."""
        stated = {
            "number": self.number,
            "hash": self.hash.hex(),
            "time": microseconds_of(self.time),
            **{
                name: [digest.count, f"{digest.sum:x}"]
                for name, digest in (
                    ("transactions", self.transactions),
                    ("requests", self.requests),
                    ("last_events", self.last_events),
                )
            },
        }
        return json.dumps(stated, sort_keys=True, separators=(",", ":"))


def summary_statement_of(text: str) -> SummaryStatement:
    """Return the statement of a summary's text. Raises ``ValueError`` for a text that is none."""
    try:
        stated = json.loads(text)
        return SummaryStatement(
            number=int(stated["number"]),
            hash=bytes.fromhex(stated["hash"]),
            time=instant_of(stated["time"]),
            transactions=_digest(stated, "transactions"),
            requests=_digest(stated, "requests"),
            last_events=_digest(stated, "last_events"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not the statement of a summary") from error


def _digest(stated: Mapping[str, tuple[int, str]], name: str) -> Digest:
    count, total = stated[name]
    return Digest(int(count), int(total, 16))


class Summary(Checkpoint):
    """A statement as it was signed."""

    __slots__ = ()

    @property
    def signed(self) -> bytes:
        """The bytes that the signature covers."""
        return SIGNED_AS + self.statement.encode()
