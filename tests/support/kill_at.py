"""Run one of our processes and kill it, by SIGKILL, at a named point: before or after a function of the product.

``python -m tests.support.kill_at before wallet_core.gateways.bank:HttpBank.pay scheduler --once``

The product has no hooks: the function is wrapped here, in a freshly started process, before the module runs as main.
"""

import functools
import importlib
import os
import runpy
import signal
import sys
from collections.abc import Callable
from typing import Any


def main() -> None:
    """Wrap the named function, then run the module with the arguments that are left."""
    moment, point, module, *arguments = sys.argv[1:]
    _kill_at(moment, point)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _kill_at(moment: str, point: str) -> None:
    module_name, _, path = point.partition(":")
    holder: Any = importlib.import_module(module_name)
    *parents, name = path.split(".")
    for parent in parents:
        holder = getattr(holder, parent)
    wrapped: Callable[..., Any] = getattr(holder, name)

    @functools.wraps(wrapped)
    def deadly(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # any function
        if moment == "after":
            wrapped(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(holder, name, deadly)


if __name__ == "__main__":
    main()
