"""Run one of our processes with its clock off by some seconds: ``python -m tests.support.clock_off -300 scheduler``.

The sources of time are replaced before anything is imported that uses them. Clocks that measure durations stay.
"""

import datetime as dt
import runpy
import sys
import time
from typing import Any

import uuid_utils

_Datetime = dt.datetime


class _Kind(type):
    """Times that were made elsewhere, e.g. by the database's driver, are datetimes like any other."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _Datetime)


def main() -> None:
    """Turn the clock, then run the module with the arguments that are left."""
    seconds, module, *arguments = sys.argv[1:]
    _turn(float(seconds))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _turn(seconds: float) -> None:
    time_of, make_id = time.time, uuid_utils.uuid7

    def nanoseconds() -> int:
        return int((time_of() + seconds) * 1e9)

    class Turned(_Datetime, metaclass=_Kind):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:  # noqa: ANN401  # a datetime like any other
            return _Datetime.now(tz) + dt.timedelta(seconds=seconds)

    dt.datetime = Turned  # type: ignore[misc]
    time.time = lambda: time_of() + seconds
    time.time_ns = nanoseconds
    uuid_utils.uuid7 = lambda: make_id(nanoseconds=nanoseconds())  # type: ignore[misc, assignment]


if __name__ == "__main__":
    main()
