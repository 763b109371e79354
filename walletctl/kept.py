"""Files of checkpoints that are kept outside the database: JSON lines, each a checkpoint as it was signed."""

import base64
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from wallet_core.domain.model.checkpoint import Checkpoint
from walletctl.typed import InvalidArgument


def line(checkpoint: Checkpoint) -> str:
    """Return a checkpoint as a line of a file."""
    kept = {
        "number": checkpoint.number,
        "statement": checkpoint.statement,
        "key_id": checkpoint.key_id,
        "signature": base64.b64encode(checkpoint.signature).decode(),
    }
    return json.dumps(kept)


def read_kept(file: Path) -> list[Checkpoint]:
    """Return the checkpoints of a file. Raises ``InvalidArgument``, which names the line that is none."""
    try:
        return parsed(file.read_text(encoding="utf-8"), file)
    except OSError as error:
        raise InvalidArgument(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidArgument(f"{file}: not a file of checkpoints") from None


def parsed(text: str, file: Path) -> list[Checkpoint]:
    """Do so with the text of a file."""
    found: list[Checkpoint] = []
    for number, one in enumerate(text.splitlines(), 1):
        try:
            found.append(_checkpoint(one))
        except (ValueError, KeyError, TypeError):
            raise InvalidArgument(f"{file}: line {number} is no checkpoint") from None
    _require_order(found, file)
    return found


def _checkpoint(text: str) -> Checkpoint:
    kept = json.loads(text)
    return Checkpoint(
        int(kept["number"]),
        str(kept["statement"]),
        str(kept["key_id"]),
        base64.b64decode(kept["signature"], validate=True),
    )


def _require_order(found: Sequence[Checkpoint], file: Path) -> None:
    numbers = [one.number for one in found]
    if any(after <= before for before, after in pairwise(numbers)):
        raise InvalidArgument(f"{file}: the checkpoints are not in their order")
