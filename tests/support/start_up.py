"""A process's main function called here, for starts that are refused: what it prints and returns, without its start."""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO

import pytest

from tests.support.processes import environment

Main = Callable[[Sequence[str], threading.Event], int]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a start ended."""

    code: int
    error_output: str


@dataclass(frozen=True, slots=True)
class StartUp:
    """Calls a main function as a process with some variables would."""

    monkeypatch: pytest.MonkeyPatch

    def __call__(self, main: Main, *arguments: str, **settings: object) -> Ended:
        """Start with these settings and no others; it must end by itself."""
        variables: Mapping[str, str] = environment({"log_level": "ERROR", **settings})
        error_output = StringIO()
        with self.monkeypatch.context() as patched, redirect_stderr(error_output):
            for name, value in variables.items():
                patched.setenv(name, value)
            # Loggers that were used before keep what they were set up with, and tests listen to that.
            patched.setattr(sys.modules[main.__module__], "set_up_logs", lambda _: None)
            code = main(arguments, threading.Event())
        return Ended(code, error_output.getvalue())
