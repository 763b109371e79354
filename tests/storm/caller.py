"""One caller: a client of its own, and a journal of all its requests and answers."""

import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import TypeVar

from tests.storm.calls import call_service, look
from tests.storm.journal import AGAIN, FINAL, TOO_LATE, Call, Done, Journal, Refused
from wallet_client import CallError, WalletClient

_TIMEOUT_S = 4.0
# In the storm a call is made at most so often; what is still open then waits for the calm.
_TRIES = 3
_QUIET_LONGEST_S = 30.0
_RETRY_PAUSE_S = 0.1

Answer = TypeVar("Answer")


class Caller:
    """Makes calls, keeps the answers, and notes every answer that must not be."""

    def __init__(self, target: str) -> None:
        self.journal = Journal()
        self._target = target
        self._client = WalletClient(target, timeout_s=_TIMEOUT_S)

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def make(self, call: Call, over: threading.Event) -> None:
        """Make a new call, a few times without a definite outcome.

        What is open then is left until the storm is over.
        """
        self.journal.add(call)
        while call.outcome is None and call.tries < _TRIES and not over.is_set():
            self._try(call, quiet=False)
        if call.outcome is not None and call.step.twice:
            self.repeat(call)
        if call.done is not None and call.step.looks:
            self._look(call, call.done)

    def settle(self) -> None:
        """Repeat every call without a definite outcome, until it has one; the storm must be over."""
        deadline = monotonic() + _QUIET_LONGEST_S
        for call in self.journal.open():
            self._try(call, quiet=True)
            while call.outcome is None and monotonic() < deadline:
                threading.Event().wait(_RETRY_PAUSE_S)
                self._try(call, quiet=True)

    def repeat(self, call: Call) -> None:
        """Repeat a call that has its outcome: it must get the same."""
        before = call.outcome
        try:
            again = self._call(lambda client: call_service(client, call))
        except CallError as failed:
            if failed.reason not in AGAIN and before != Refused(failed.reason):
                self.journal.wrong.append(f"{call} was answered with {before}, and repeated with {failed.reason}")
            return
        if not isinstance(before, Done) or (again.name, again.legs) != (before.name, before.legs) or not again.replayed:
            self.journal.wrong.append(f"{call} was answered with {before}, and repeated with {again}")

    def _try(self, call: Call, *, quiet: bool) -> None:
        """Make a call once and keep its outcome, where that is definite."""
        call.tries += 1
        try:
            done = self._call(lambda client: call_service(client, call))
        except CallError as failed:
            too_late = failed.reason == TOO_LATE and call.time is not None
            if failed.reason in FINAL or (too_late and quiet):
                call.outcome = Refused(failed.reason)
            elif failed.reason not in AGAIN and not too_late:
                self.journal.wrong.append(f"{call} received {failed.code} {failed.reason}: {failed.message}")
        else:
            call.outcome = done
            self.journal.wrong += [f"{call} {fault}" for fault in _faults(call, done)]
        if call.outcome is not None:
            self.journal.heard_at.append(monotonic())

    def _look(self, call: Call, done: Done) -> None:
        """Read back at once what was made."""
        try:
            self._call(lambda client: look(client, done))
        except CallError as failed:
            if failed.reason not in AGAIN:
                self.journal.wrong.append(f"{call} was done, and {done.name} read back with {failed.reason}")

    def _call(self, api: Callable[[WalletClient], Answer]) -> Answer:
        """Call; without an answer connect again, for a channel waits ever longer before it retries by itself."""
        try:
            return api(self._client)
        except CallError as failed:
            if not failed.reason:
                self._client.close()
                self._client = WalletClient(self._target, timeout_s=_TIMEOUT_S)
            raise


def _faults(call: Call, done: Done) -> Iterator[str]:
    """Return what is wrong with a result, by itself."""
    if call.step.amount is not None and call.about == "" and done.amount != call.step.amount:
        yield f"was done with {done.amount} instead of {call.step.amount}"
    if sum(minor for _, minor in done.legs) != 0:
        yield f"moved money whose parts do not sum to zero: {done.legs}"
