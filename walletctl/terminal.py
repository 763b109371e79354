"""The console that draws tables and colours. Its import loads rich: ``walletctl.output`` imports it when it draws."""

import errno
import os
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from walletctl.output import safe, writing

# The width of a table without a terminal: what its ids need.
_PIPE_WIDTH = 160


class Terminal(Console):
    """A console that writes no control characters but its own, whatever it prints."""

    def __init__(self, **how: Any) -> None:  # noqa: ANN401  # what rich takes
        super().__init__(highlight=False, **how)
        if not self.is_terminal:
            self.width = _PIPE_WIDTH

    def print(self, *shown: Any, **how: Any) -> None:  # noqa: ANN401  # what rich takes
        """Print; raise ``OutputFailed`` if that fails."""
        with writing():
            super().print(*shown, **how)

    def on_broken_pipe(self) -> None:
        """Do not end the process, as rich would: the command may have changed something, and must report it."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Return the segments without foreign control characters."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(safe(segment.text), segment.style)
