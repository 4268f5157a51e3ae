"""The one line for an option with a wrong value: which option, which value, what to give."""

from __future__ import annotations

from functools import cache
from types import NoneType
from typing import Any, get_args, get_type_hints

from omegaconf import OmegaConf
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from devise_exp.core.errors import InputError


def option_error(
    error: ValidationError, model: type[BaseModel], values: dict[str, Any]
) -> InputError:
    """The one line that a failed check ends in.

    Args:
        error: What pydantic found; its first complaint is told.
        model: The model that was checked.
        values: What was checked against it.

    Returns:
        An error that says which option has which value or is missing, and what to give instead.
    """
    path: list[str] = []
    kind: Any = model
    value: Any = values
    complaint = error.errors()[0]
    for part in map(str, complaint["loc"]):
        if not _is_model(kind):
            break
        path.append(part)
        if part not in kind.model_fields:
            return InputError(
                f"no option {'.'.join(path)}: {'.'.join(path[:-1])} has "
                f"{', '.join(kind.model_fields)}"
            )
        kind = get_type_hints(kind, include_extras=True)[part]
        value = value.get(part)
    is_missing = complaint["type"] == "missing"
    wrong = " is missing" if is_missing else f"={as_written(value)}"
    return InputError(f"{'.'.join(path)}{wrong}: give {described(kind)}")


def as_written(value: Any) -> str:
    """Spell a value as a config or an override has it.

    Args:
        value: Of a config, plain or as OmegaConf has it.

    Returns:
        One line.

    Example:
        >>> as_written([True, None, {"a": "b c"}])
        '[true, null, {a: b c}]'
    """
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value)
    if isinstance(value, list):
        return f"[{', '.join(map(as_written, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {as_written(item)}' for key, item in value.items())}}}"
    return (
        {None: "null", True: "true", False: "false"}[value] if _is_constant(value) else str(value)
    )


def _is_constant(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def described(kind: Any) -> str:
    """Say what an option takes.

    Args:
        kind: Its type.

    Returns:
        The description of the type, or of each type of a union.
    """
    if kind is NoneType:
        return "null"
    if _is_model(kind):
        return f"the keys {', '.join(kind.model_fields)}"
    for note in getattr(kind, "__metadata__", ()):
        if isinstance(note, FieldInfo) and note.description:
            return note.description
    *first, last = map(described, get_args(kind))
    return f"{', '.join(first)}, or {last}"


def check_option(key: str, value: Any, kind: Any) -> None:
    """Check one option that no section holds.

    Args:
        key: Name of the option, for the message.
        value: What the option was given.
        kind: Its type, such as `FromOne` or `FromOne | None`.

    Raises:
        InputError: If `value` is not of that type.

    Example:
        >>> from devise_exp.pipelines.option_kinds import FromOne
        >>> check_option("workers", 2, FromOne)
        >>> check_option("workers", True, FromOne)
        Traceback (most recent call last):
            ...
        devise_exp.core.errors.InputError: workers=true: give a whole number from 1 on
    """
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value, resolve=True)
    try:
        _adapter(kind).validate_python(value)
    except ValidationError:
        raise InputError(f"{key}={as_written(value)}: give {described(kind)}") from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind, config=ConfigDict(strict=True))
