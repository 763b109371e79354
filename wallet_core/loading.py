"""How the modules of a process that serves are loaded: sooner, and without what it never uses."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Load modules without collecting garbage, and without rich.

    structlog and httpx import rich, if it is installed, for tracebacks and a command line; our logs use neither.
    """
    gc.disable()
    hidden = "rich" not in sys.modules
    if hidden:
        sys.modules["rich"] = None  # type: ignore[assignment]  # Python's own mark of a module that does not exist
    yield
    if hidden:
        del sys.modules["rich"]
    gc.freeze()  # loaded modules stay: the collector need not examine them
    gc.enable()
