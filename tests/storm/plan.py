"""The seed's plan for the service: each caller's calls, one after the other, with any answers."""

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from uuid import UUID

WALLETS = {f"storm-{currency.lower()}-{number}": currency for currency in ("USD", "EUR") for number in range(4)}
OPENING_MINOR = 100_000

_AMOUNT = (1, 2_000)
_TOO_MUCH = 10**12
_SHARE_TOO_MUCH = 0.03
# Once captured, voided or cancelled, a resource is mostly not used again.
_SHARE_LEFT_ALONE = 0.8
_PAUSE_S = (0.0, 0.06)
_SOON_S = (0.2, 2.0)
FAR_S = 3600.0
# How many of its own a caller remembers, to capture, void, cancel or reverse one of them.
_REMEMBERED = 8


class Verb(StrEnum):
    """The verb of a call."""

    DEPOSIT = "deposit"
    TRANSFER = "transfer"
    PLACE_HOLD = "place hold"
    CAPTURE_HOLD = "capture hold"
    VOID_HOLD = "void hold"
    REVERSE = "reverse"
    WITHDRAW = "schedule withdrawal"
    CANCEL_WITHDRAWAL = "cancel withdrawal"
    SCHEDULE_DEPOSIT = "schedule deposit"
    CANCEL_DEPOSIT = "cancel scheduled deposit"


_WEIGHTS = {
    Verb.DEPOSIT: 14,
    Verb.TRANSFER: 22,
    Verb.PLACE_HOLD: 11,
    Verb.CAPTURE_HOLD: 8,
    Verb.VOID_HOLD: 5,
    Verb.REVERSE: 7,
    Verb.WITHDRAW: 17,
    Verb.CANCEL_WITHDRAWAL: 6,
    Verb.SCHEDULE_DEPOSIT: 11,
    Verb.CANCEL_DEPOSIT: 5,
}

_BRINGING = frozenset({Verb.DEPOSIT, Verb.SCHEDULE_DEPOSIT})

# What a call is about, where it is about an earlier one.
_ABOUT = {
    Verb.CAPTURE_HOLD: (Verb.PLACE_HOLD,),
    Verb.VOID_HOLD: (Verb.PLACE_HOLD,),
    Verb.REVERSE: (Verb.TRANSFER, Verb.DEPOSIT),
    Verb.CANCEL_WITHDRAWAL: (Verb.WITHDRAW,),
    Verb.CANCEL_DEPOSIT: (Verb.SCHEDULE_DEPOSIT,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call as the seed has it. Amounts are in minor units; None means all that is left, or now."""

    number: int
    verb: Verb
    request_id: str
    wallet: str
    other: str
    """Where money goes, of a verb that has two ends; of the same currency."""
    amount: int | None
    about: int | None
    """The number of the earlier step whose transaction, hold or order is meant."""
    delay_s: float | None
    flag: bool
    """Reserve, collect or final, by the verb."""
    twice: bool
    """Whether the call is made again at once, as by an impatient finger."""
    looks: bool
    """Whether what was made is read back at once."""
    pause_s: float

    @property
    def currency(self) -> str:
        """The currency of both wallets."""
        return WALLETS[self.wallet]


def steps(seed: int, caller: int) -> Iterator[Step]:
    """Yield a caller's steps without end. Nothing but the seed decides them: not answers, not time."""
    chance = random.Random(f"{seed}/caller/{caller}")  # noqa: S311  # load, not secrets
    made: dict[Verb, deque[Step]] = {verb: deque(maxlen=_REMEMBERED) for verb in Verb}
    for number in count():
        step = _step(chance, made, number)
        made[step.verb].append(step)
        yield step


def _step(chance: random.Random, made: dict[Verb, deque[Step]], number: int) -> Step:
    verb = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    meant = [step for kind in _ABOUT.get(verb, ()) for step in made[kind]]
    about = chance.choice(meant) if meant else None
    if about is not None and verb is not Verb.REVERSE and chance.random() < _SHARE_LEFT_ALONE:
        made[about.verb].remove(about)
    if verb in _ABOUT and about is None:
        verb = Verb.DEPOSIT
    wallet = about.wallet if about is not None else chance.choice(list(WALLETS))
    others = [other for other in WALLETS if other != wallet and WALLETS[other] == WALLETS[wallet]]
    return Step(
        number=number,
        verb=verb,
        request_id=str(UUID(int=chance.getrandbits(128), version=4)),
        wallet=wallet,
        other=chance.choice(others),
        amount=_amount(chance, verb, about),
        about=about.number if about is not None else None,
        delay_s=chance.choices([None, chance.uniform(*_SOON_S), FAR_S], [5, 3, 2])[0],
        flag=chance.random() < 0.5,
        twice=chance.random() < 0.05,
        looks=chance.random() < 0.05,
        pause_s=chance.uniform(*_PAUSE_S),
    )


def _amount(chance: random.Random, verb: Verb, about: Step | None) -> int | None:
    """Return an amount that can be had, mostly; of what an earlier step made all or a part."""
    if chance.random() < _SHARE_TOO_MUCH and verb not in _BRINGING:
        return _TOO_MUCH
    if about is None:
        return chance.randint(*_AMOUNT)
    part = chance.randint(1, about.amount or 1)
    return part if chance.random() < 0.6 else None
