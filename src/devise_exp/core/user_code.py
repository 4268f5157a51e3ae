"""Python of a user's own that a config names by `_target_`: found, and checked before it is run."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from devise_exp.core.errors import InputError
from devise_exp.core.spelling import nearest_spellings
from devise_exp.core.user_frames import described


def use_working_folder() -> None:
    """Let Python find modules in the working folder, after all that is installed."""
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)


def locate(target: str, option: str) -> Any:
    """Import what a `_target_` names.

    Args:
        target: Modules and a name, such as "mymodule.loss".
        option: Key of the part in the config, for messages.

    Returns:
        The function or class.

    Raises:
        InputError: There is no such module or name, or the module cannot be imported.

    Example:
        >>> locate("math.sqrd", "loss")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        devise_exp.core.errors.InputError: loss._target_=math.sqrd: math has no sqrd...: did you \
mean sqrt?
    """
    start = f"{option}._target_={target}"
    first, *names = target.split(".")
    if not names or not all(name.isidentifier() for name in (first, *names)):
        raise InputError(f"{start}: give MODULE.NAME, such as mymodule.my_function")
    use_working_folder()
    located: Any = _module(first, start)
    if located is None:
        raise InputError(
            f"{start}: there is no module {first}: put {first}.py into {Path.cwd()}, the folder of "
            "the command, or install its package"
        )
    for i, name in enumerate(names, start=1):
        after = getattr(located, name, None)
        if after is None and isinstance(located, ModuleType) and hasattr(located, "__path__"):
            after = _module(".".join((first, *names[:i])), start)
        if after is None:
            raise InputError(f"{start}: {_lacks(located, name)}")
        located = after
    if not callable(located):
        raise InputError(f"{start}: this is no function and no class: give one")
    return located


def _module(name: str, start: str) -> ModuleType | None:
    """A module; None if there is none, and an InputError if it cannot be imported."""
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            return None
        raise InputError(f"{start}: importing {name} failed: {described(error)}") from error


def _lacks(holder: Any, name: str) -> str:
    """Say that a module or a class lacks a name, and which it may be."""
    file = getattr(holder, "__file__", None)
    near = nearest_spellings(name, [n for n in dir(holder) if not n.startswith("_")])
    remedy = f"did you mean {' or '.join(near)}?" if near else "give a name that it has"
    where = f" ({file})" if file else ""
    return f"{getattr(holder, '__name__', holder)} has no {name}{where}: {remedy}"


def check_call(
    function: Any, option: str, given: Mapping[str, Any], later: tuple[str, ...]
) -> None:
    """Check that a function can be called as it will be.

    Args:
        function: A function or a class.
        option: Key of the part in the config, for messages.
        given: Arguments by name, from the config.
        later: What the arguments are that come later, by position; of a class that is built without
            them, ().

    Raises:
        InputError: If it takes no such arguments.

    Example:
        >>> def loss(embeddings, targets): ...
        >>> check_call(loss, "loss", {}, ("embeddings", "targets", "class_vectors"))
        Traceback (most recent call last):
            ...
        devise_exp.core.errors.InputError: loss: loss(embeddings, targets) cannot be called with \
embeddings, targets, class_vectors: too many positional arguments
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of C, without one
        return
    taken = signature.parameters
    name = getattr(function, "__name__", type(function).__name__)  # a partial has none
    if not any(p.kind is p.VAR_KEYWORD for p in taken.values()):
        for key in given:
            if key not in taken:
                named = ", ".join(taken) or "nothing"
                raise InputError(f"{option}.{key}: {name} takes no {key}: it takes {named}")
    try:
        signature.bind(*(None for _ in later), **given)
    except TypeError as error:
        arguments = ", ".join((*later, *(f"{key}=..." for key in given))) or "nothing"
        shown = ", ".join(map(str, taken))
        raise InputError(
            f"{option}: {name}({shown}) cannot be called with {arguments}: {error}"
        ) from error


@contextmanager
def user_errors(option: str, target: str | None) -> Iterator[None]:
    """Turn whatever a part of a user's own raises into one line, with the place that raised it.

    Args:
        option: Key of the part in the config, for the message.
        target: Its `_target_`; None if the part is of this project, whose errors stay as they are.

    Yields:
        Nothing; the part is called in the block.

    Raises:
        InputError: If the part raises anything else than an InputError.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if target is None:
            raise
        cause = error.__cause__ if type(error).__name__ == "InstantiationException" else None
        raise InputError(f"{option}: {target} failed: {described(cause or error)}") from error
