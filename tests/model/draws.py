"""What Hypothesis draws: the steps of a run, and the values that they are made of."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import strategies as st

from tests.support.scripted_bank import Nap, Whim
from wallet_core.domain.model.bank import AnswerKind
from wallet_core.domain.model.wallet import Labels

# Few and small, so that things collide; now and then something that is not there, or makes no sense.
ANYBODY = st.sampled_from(["alice"] * 8 + ["bob"] * 8 + ["carol"] * 4 + ["dora"] * 5 + ["emil"] * 4)
SOMEBODY = st.sampled_from(
    ["alice"] * 8 + ["bob"] * 8 + ["carol"] * 4 + ["dora"] * 5 + ["emil"] * 4 + ["nobody", "system:external:USD"]
)
AMOUNT = st.integers(-1, 60)
SELDOM = st.sampled_from([False] * 9 + [True])
PART = st.one_of(st.none(), st.integers(0, 30))
LIMIT = st.sampled_from([0, 7, 30, 30, -1])
NTH = st.integers(0, 30)
SCHEDULE = st.sampled_from([None, None, 1, 3, -24])
LABELS: st.SearchStrategy[Labels] = st.sampled_from([{}, {"tier": "gold"}, {"tier": "", "kind": "shop"}])
ETAG = st.sampled_from(["", "", "", "now", "before", '"none"'])
NAP = st.sampled_from([Nap.NEVER] * 6 + [Nap.BEFORE, Nap.AFTER])
WHIM = st.builds(
    Whim,
    answer=st.sampled_from([AnswerKind.ACCEPTED, *AnswerKind]),
    arrives=st.booleans(),
    thinks=SELDOM,
    silent=st.sampled_from([False] * 3 + [True]),
    miscounts=SELDOM,
    nap=NAP,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One look of all jobs."""

    hours: int = 0
    """How much time passes for jobs before it."""
    whim: Whim = field(default_factory=Whim)
    decides: bool | None = None
    """How the bank makes up its mind on what it has been thinking about, if it does."""
    abandon: bool = False
    """Whether all is claimed and nothing is done."""
    backwards: bool = False
    """Whether the jobs look in the other order: doubts before what is due."""


ROUND = st.builds(
    Round,
    hours=st.sampled_from([0, 0, 1, 2, 4, 13]),
    whim=WHIM,
    decides=st.sampled_from([None, True, False]),
    abandon=SELDOM,
    backwards=st.booleans(),
)

# Calls of which nobody knows what became of them.
DOUBTS = [
    Whim(answer=AnswerKind.UNKNOWN, arrives=False),
    Whim(answer=AnswerKind.UNKNOWN, arrives=True),
    Whim(nap=Nap.BEFORE),
    Whim(nap=Nap.AFTER),
    Whim(nap=Nap.AFTER, answer=AnswerKind.DECLINED),
    Whim(nap=Nap.AFTER, answer=AnswerKind.DECLINED_RETRYABLE),
    Whim(thinks=True),
]

DRAWN: dict[str, st.SearchStrategy[dict[str, Any]]] = {}
NAMES: list[str] = []

Method = TypeVar("Method", bound=Callable[..., None])


def step(*, weight: int, **drawn: st.SearchStrategy[Any]) -> Callable[[Method], Method]:
    """Make a method a step of the stories, taken so often as its weight among all weights.

    Not a rule of its own: Hypothesis leaves rules out of stories at random, and short runs would hardly move money.
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
