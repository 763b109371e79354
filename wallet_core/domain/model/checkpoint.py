"""Checkpoints: signed statements of what the journal and the money were at a journal record.

Who keeps one outside the database can prove later that nothing before it was changed: not even by the owner of the
tables, who can rewrite the journal with all its hashes, but cannot sign.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from wallet_core.domain.model.instants import instant_of, microseconds_of

# What is signed begins with this, so that a signature means nothing else. A later form gets another number.
SIGNED_AS = b"wallet-checkpoint-v1\n"


def checkpoint_name(number: int) -> str:
    """Return the resource name of a checkpoint."""
    return f"checkpoints/{number}"


Totals = Mapping[str, Mapping[str, int]]
"""By currency and role: the sum of the balances, in minor units."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a checkpoint states."""

    number: int
    """Of the last journal record that it covers."""
    hash: bytes
    """Of that record, and so of all records up to it."""
    time: datetime
    wallets: int
    """How many wallets of callers there were."""
    totals: Totals

    def text(self) -> str:
        """Return it as it is signed: JSON with sorted names and no spaces."""
        stated = {
            "number": self.number,
            "hash": self.hash.hex(),
            "time": microseconds_of(self.time),
            "wallets": self.wallets,
            "totals": self.totals,
        }
        return json.dumps(stated, sort_keys=True, separators=(",", ":"))


def statement_of(text: str) -> Statement:
    """Return the statement of a checkpoint's text. Raises ``ValueError`` for a text that is none."""
    try:
        stated = json.loads(text)
        return Statement(
            number=int(stated["number"]),
            hash=bytes.fromhex(stated["hash"]),
            time=instant_of(stated["time"]),
            wallets=int(stated["wallets"]),
            totals={
                currency: {role: int(total) for role, total in roles.items()}
                for currency, roles in stated["totals"].items()
            },
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not the statement of a checkpoint") from error


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A statement as it was signed."""

    number: int
    statement: str
    """``Statement.text``, byte for byte: the signature covers it."""
    key_id: str
    signature: bytes
    """Ed25519, of ``SIGNED_AS`` and the statement."""

    @property
    def signed(self) -> bytes:
        """The bytes that the signature covers."""
        return SIGNED_AS + self.statement.encode()
