"""Run one of our processes and kill it, by SIGKILL, at a named point: before or after a function of the product.

``python -m tests.support.kill_at before wallet_core.gateways.bank:HttpBank.pay scheduler --once``

The product has no hooks: the function is wrapped here, in a freshly started process, before the module runs as main.
"""

import functools
import importlib
import runpy
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


def main(number: signal.Signals = signal.SIGKILL) -> None:
    """Wrap the named function, then run the module with the arguments that are left."""
    moment, point, module, *arguments = sys.argv[1:]
    _signal_at(number, moment, point)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _signal_at(number: signal.Signals, moment: str, point: str) -> None:
    """Send the signal to ourselves the first time that the point is reached."""
    module_name, _, path = point.partition(":")
    holder: Any = importlib.import_module(module_name)
    *parents, name = path.split(".")
    for parent in parents:
        holder = getattr(holder, parent)
    wrapped: Callable[..., Any] = getattr(holder, name)
    pending = [number]

    def reach(reached: str) -> None:
        if reached == moment:
            with suppress(IndexError):
                # To this very thread, so that it does not go a step further.
                signal.pthread_kill(threading.get_ident(), pending.pop())

    @functools.wraps(wrapped)
    def watched(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # any function
        reach("before")
        result = wrapped(*args, **kwargs)
        reach("after")
        return result

    setattr(holder, name, watched)


if __name__ == "__main__":
    main()
