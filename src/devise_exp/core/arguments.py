"""Arguments of a call from Python, checked by their type hints: one line for a wrong one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from numbers import Integral
from os import PathLike
from typing import Any, ParamSpec, TypeVar

from devise_exp.core.errors import InputError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
_LONGEST = 60  # letters of a value in a message
# Hint -> the types that it takes, and what a message asks for.
_HINTS: dict[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "a text"),
    "int": ((Integral,), "a whole number"),
    "bool": ((bool,), "True or False"),
    "File": ((str, PathLike), "a path"),
    "Path": ((PathLike,), "a path"),
    "PathLike[str]": ((PathLike,), "a path"),
    "None": ((type(None),), "None"),
}


def checks_arguments(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let a function check what it is called with, before it does anything.

    Args:
        function: A function of a module with `from __future__ import annotations`. Arguments whose
            hints are texts, whole numbers, True or False, paths and None, or a union of these, are
            checked; it checks others itself.

    Returns:
        The function, checked.

    Raises:
        InputError: When the function is called with a wrong argument.

    Example:
        >>> @checks_arguments
        ... def repeat(text: str, k: int | None = None) -> str:
        ...     return text * (k or 1)
        >>> repeat("cat", k="2")
        Traceback (most recent call last):
            ...
        devise_exp.core.errors.InputError: repeat: k='2': give a whole number or None
    """
    signature = inspect.signature(function)
    hints = {
        name: parts
        for name, parameter in signature.parameters.items()
        if set(parts := str(parameter.annotation).split(" | ")) <= _HINTS.keys()
    }

    @functools.wraps(function)
    def checked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            given: dict[str, Any] = signature.bind(*args, **kwargs).arguments
        except TypeError:  # Python's own says of which function
            return function(*args, **kwargs)
        for name, value in given.items():
            if name in hints and not _fits(value, hints[name]):
                shown = " ".join(repr(value).split())[:_LONGEST]
                raise InputError(f"{function.__name__}: {name}={shown}: give {_asked(hints[name])}")
        return function(*args, **kwargs)

    return checked


def _fits(value: object, hints: list[str]) -> bool:
    """Whether a value is of one of the hinted types; True is no number."""
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):  # numpy's too
        return "bool" in hints
    return any(isinstance(value, _HINTS[hint][0]) for hint in hints)


def _asked(hints: list[str]) -> str:
    """What a message asks for; a text that names a file is a path."""
    remedies = list(dict.fromkeys(_HINTS[hint][1] for hint in hints))
    if "a path" in remedies and "a text" in remedies:
        remedies.remove("a text")
    return " or ".join(remedies)
