"""Lines of charts, as points of an SVG; the templates draw them."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 200
_TOP, _BOTTOM = 12, 16


@dataclass(frozen=True, slots=True)
class Chart:
    """A line that holds each value until the next one."""

    line: str
    area: str
    low: int
    high: int
    zero: float | None
    """Where zero is, if it is inside."""
    ends_at: tuple[float, float]
    width: int = WIDTH
    height: int = HEIGHT


def steps(values: Sequence[int], *, from_zero: bool = False) -> Chart | None:
    """Return the chart of values at equal distances; none where there are fewer than two."""
    if len(values) < 2:  # noqa: PLR2004  # a line has two ends
        return None
    low, high = min(values), max(values)
    if from_zero:
        low, high = min(low, 0), max(high, 1)
    span = (high - low) or 1
    inside = HEIGHT - _TOP - _BOTTOM

    def y(value: int) -> float:
        flat = high == low
        return round(_TOP + inside * (0.5 if flat else (high - value) / span), 1)

    distance = WIDTH / (len(values) - 1)
    path = [f"M0 {y(values[0])}"]
    for number, value in enumerate(values[1:], 1):
        path += [f"H{round(number * distance, 1)}", f"V{y(value)}"]
    line = " ".join(path)
    return Chart(
        line=line,
        area=f"{line} V{HEIGHT} H0 Z",
        low=low,
        high=high,
        zero=y(0) if low < 0 < high else None,
        ends_at=(WIDTH, y(values[-1])),
    )
