"""What Hypothesis draws: the steps of a run, and the values that they are made of."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import strategies as st

from tests.support.scripted_bank import BankBehaviour, Pause
from wallet_core.domain.model.bank import AnswerKind
from wallet_core.domain.model.wallet import Labels

# Few and small, so that they collide; now and then one that is missing or invalid.
EXISTING = st.sampled_from(["alice"] * 8 + ["bob"] * 8 + ["carol"] * 4 + ["dora"] * 5 + ["emil"] * 4)
ANY_WALLET = st.sampled_from(
    ["alice"] * 8 + ["bob"] * 8 + ["carol"] * 4 + ["dora"] * 5 + ["emil"] * 4 + ["nobody", "system:external:USD"]
)
AMOUNT = st.integers(-1, 60)
RARELY = st.sampled_from([False] * 9 + [True])
PART = st.one_of(st.none(), st.integers(0, 30))
LIMIT = st.sampled_from([0, 7, 30, 30, -1])
NTH = st.integers(0, 30)
SCHEDULE = st.sampled_from([None, None, 1, 3, -24])
LABELS: st.SearchStrategy[Labels] = st.sampled_from([{}, {"tier": "gold"}, {"tier": "", "kind": "shop"}])
ETAG = st.sampled_from(["", "", "", "now", "before", '"none"'])
PAUSE = st.sampled_from([Pause.NEVER] * 6 + [Pause.BEFORE, Pause.AFTER])
BEHAVIOUR = st.builds(
    BankBehaviour,
    answer=st.sampled_from([AnswerKind.ACCEPTED, *AnswerKind]),
    arrives=st.booleans(),
    pends=RARELY,
    unreachable=st.sampled_from([False] * 3 + [True]),
    wrong_amount=RARELY,
    pause=PAUSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One look of all jobs."""

    hours: int = 0
    """How much time passes for jobs before it."""
    behaviour: BankBehaviour = field(default_factory=BankBehaviour)
    decides: bool | None = None
    """How the bank makes up its mind on what it has been thinking about, if it does."""
    abandon: bool = False
    """Whether all is claimed and nothing is done."""
    backwards: bool = False
    """Whether the jobs look in the other order: doubts before what is due."""


ROUND = st.builds(
    Round,
    hours=st.sampled_from([0, 0, 1, 2, 4, 13]),
    behaviour=BEHAVIOUR,
    decides=st.sampled_from([None, True, False]),
    abandon=RARELY,
    backwards=st.booleans(),
)

# Calls of which the outcome is unknown.
DOUBTS = [
    BankBehaviour(answer=AnswerKind.UNKNOWN, arrives=False),
    BankBehaviour(answer=AnswerKind.UNKNOWN, arrives=True),
    BankBehaviour(pause=Pause.BEFORE),
    BankBehaviour(pause=Pause.AFTER),
    BankBehaviour(pause=Pause.AFTER, answer=AnswerKind.DECLINED),
    BankBehaviour(pause=Pause.AFTER, answer=AnswerKind.DECLINED_RETRYABLE),
    BankBehaviour(pends=True),
]

DRAWN: dict[str, st.SearchStrategy[dict[str, Any]]] = {}
NAMES: list[str] = []

Method = TypeVar("Method", bound=Callable[..., None])


def step(*, weight: int, **drawn: st.SearchStrategy[Any]) -> Callable[[Method], Method]:
    """Make a method a step of the runs, drawn by its weight among all weights.

    Not a rule of its own: Hypothesis leaves rules out of runs at random, and short runs would hardly move money.
    """

    def register(method: Method) -> Method:
        DRAWN[method.__name__] = st.fixed_dictionaries(drawn)
        NAMES.extend([method.__name__] * weight)
        return method

    return register


@st.composite
def steps(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Draw a step and what it is about."""
    name = draw(st.sampled_from(NAMES))
    return name, draw(DRAWN[name])
