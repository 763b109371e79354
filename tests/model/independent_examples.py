"""Examples that are each drawn independently: by itself Hypothesis makes most of a short run's by varying a few."""

from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider

EACH_STORY_ANEW = "each-story-anew"


class EachAnew(HypothesisProvider):
    """Draws by the run's seed alone, not also from the numbers and texts in the loaded modules."""

    def _maybe_draw_constant(self, *_: object, **__: object) -> None:
        """Draw none."""


AVAILABLE_PROVIDERS[EACH_STORY_ANEW] = EachAnew
