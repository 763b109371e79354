"""Conversion of arguments without pydantic, which Typer would load for it: a quarter of the start of a command."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from typer.core import TyperArgument, TyperOption


@dataclass(frozen=True, slots=True)
class _Converter:
    """Converts the values of one parameter; what it cannot convert, e.g. a number or a wrong choice, Typer converts."""

    parameter: Any
    typers_own: Callable[[], Any]

    def coerce(self, value: Any, **how: Any) -> Any:  # noqa: ANN401  # as Typer's own
        """Convert a text from the shell, or a default, which may have the type already."""
        of_type = self.parameter.type_descriptor.annotation
        if value is None:
            return () if self.parameter.multiple else None
        if of_type == list[str]:
            return list(value)
        if isinstance(of_type, type):
            if isinstance(value, of_type):
                return value
            if issubclass(of_type, str | Path | Enum):
                with suppress(ValueError):
                    return of_type(value)
        return self.typers_own().coerce(value, **how)


def convert_without_pydantic() -> None:
    """Override the method of Typer's parameters that makes their converters.

    If a later release of Typer does not call it, commands start later, and are the same.
    """
    for kind in (TyperOption, TyperArgument):
        kind.get_runtime_param = _overriding(kind.get_runtime_param)  # type: ignore[method-assign,assignment]


def _overriding(typers_own: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda parameter: _Converter(parameter, partial(typers_own, parameter))
