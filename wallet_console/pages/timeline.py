"""What has happened to a payment order, in one order of time."""

from dataclasses import dataclass
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from wallet_console import words

_FINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "RETURNED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One thing that has happened, or is due."""

    time: Timestamp
    title: str
    """A key of the translations."""
    word: words.Word
    attempt: Any = None
    """The call to the bank that it is, if it is one."""
    resolution: Any = None
    """The decision of an operator that it is, if it is one."""
    ahead: bool = False
    """Whether it is still to come."""


def timeline(order: Any) -> list[Happened]:  # noqa: ANN401  # a withdrawal or a scheduled deposit
    """Return the steps of an order: its request, each call to the bank, each decision, its end, and what comes next."""
    state = words.value_name(order, "state")
    steps = [Happened(time=order.create_time, title="Requested", word=words.word("SCHEDULED"))]
    for attempt in order.bank_attempts:
        title = "Sent to the bank again" if attempt.resend else "Sent to the bank"
        steps.append(Happened(time=attempt.start_time, title=title, word=words.of(attempt, "result"), attempt=attempt))
    steps += [
        Happened(time=one.time, title="Settled by hand", word=words.of(one, "kind"), resolution=one)
        for one in order.resolutions
    ]
    if state in _FINAL:
        steps.append(Happened(time=order.update_time, title="Ended", word=words.word(state)))
    elif state == "SCHEDULED":
        steps.append(Happened(time=order.execute_time, title="Due", word=words.word(state), ahead=True))
    elif order.HasField("next_attempt_time"):
        steps.append(
            Happened(time=order.next_attempt_time, title="The bank is asked next", word=words.word(state), ahead=True)
        )
    return sorted(steps, key=lambda step: step.time.ToNanoseconds())
