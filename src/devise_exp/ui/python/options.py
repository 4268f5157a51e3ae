"""Options given as Python keywords, as the overrides that the command line takes.

A keyword is a key of the config with two underscores for each dot: `trainer__max_epochs=5` is
`trainer.max_epochs=5`. A mapping sets the keys below a key: `optimizer={"lr": 0.01}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from os import PathLike, fspath
from typing import Any

from devise_exp.core.config import compose_config, dotted_keys
from devise_exp.core.errors import InputError, input_errors
from devise_exp.core.overrides import is_plain, quoted_value
from devise_exp.core.paths import CONF
from devise_exp.core.spelling import nearest_spellings

SHORT = {"root": "data.root"}  # what everybody gives with images of one's own
_NEEDS_NAMES = "give each key as a text, such as {'lr': 0.01}"


def overrides_of(
    arguments: Sequence[str], options: Mapping[str, Any], name: str = "config"
) -> list[str]:
    """Write arguments and keywords as overrides.

    Args:
        arguments: Overrides as on the command line; of two for one key the last one counts.
        options: Values by keyword.
        name: The primary config: config or evaluate.

    Returns:
        The overrides, those of keywords last.

    Raises:
        InputError: For a keyword that is no key of the config, with the nearest one; a value that
            no config can hold; and a key that is given twice.
    """
    for argument in arguments:
        if not isinstance(argument, str):
            raise InputError(
                f"{argument!r}: no option: give options as texts ('loss=cosine') or as keywords "
                "(loss='cosine')"
            )
    overrides: list[str] = []
    for keyword, value in options.items():
        overrides += _overrides(SHORT.get(keyword, keyword.replace("__", ".")), value)
    everything = [*arguments, *overrides]
    _check_given_once(everything, first_keyword=len(arguments))
    new = any(keyword.startswith(("+", "~")) for keyword in options)
    if overrides and not new:  # else the options choose keys that no config here has
        _check_keys(everything, overrides, name)
    return everything


def literal(value: Any) -> str:
    """Write a Python value as the value of an override.

    Args:
        value: None, a truth value, a number, a text, a path, or a list or mapping of these; a
            number of numpy's is one too.

    Returns:
        What Hydra reads back as the value.

    Raises:
        InputError: For any other value.

    Example:
        >>> literal(None), literal(0.003), literal(["T-shirt (red)", "emu"])
        ('null', '0.003', "['T-shirt (red)',emu]")
    """
    if value is None:
        return "null"
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
        return "true" if value else "false"
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        return repr(float(value))
    if isinstance(value, str | PathLike):
        text = str(fspath(value))
        return text if text and is_plain(text) else quoted_value(text)
    if isinstance(value, Mapping):
        pairs = (f"{_escaped(str(key))}: {literal(item)}" for key, item in value.items())
        return f"{{{','.join(pairs)}}}"
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return f"[{','.join(map(literal, value))}]"
    raise InputError(
        f"{value!r:.60}: no value of an option: give a number, a text, a path, None, or a list or "
        "mapping of these"
    )


def _escaped(text: str) -> str:
    """A key of a mapping, where Hydra reads no quotes."""
    return re.sub(r"[\\()\[\]{}:=, \t]", r"\\\g<0>", text)


def _overrides(key: str, value: Any) -> list[str]:
    """The overrides of one keyword: one, or of a mapping one for every key in it."""
    bare = key.lstrip("+")
    if isinstance(value, Mapping) and "." not in bare:  # what stands at the top holds other keys
        if not all(isinstance(name, str) for name in value):
            raise InputError(f"{key}: {_NEEDS_NAMES}")
        return [text for name, item in value.items() for text in _overrides(f"{key}.{name}", item)]
    if isinstance(value, Mapping) and value:
        key = f"++{bare}"  # its names are new ones
    if value is None and (CONF / bare / "none.yaml").is_file():
        return [f"{key}=none"]
    return [f"{key}={literal(value)}"]


def _check_given_once(arguments: Sequence[str], first_keyword: int) -> None:
    """InputError if a keyword gives a key another value than an argument or keyword before it."""
    earlier: dict[str, str] = {}
    for i, argument in enumerate(arguments):
        key, _, value = argument.lstrip("+").partition("=")
        if i >= first_keyword and earlier.get(key, value) != value:
            raise InputError(
                f"{key} is given twice, {key}={earlier[key]} and {key}={value}: take one out"
            )
        earlier[key] = value


def _check_keys(everything: Sequence[str], overrides: Sequence[str], name: str) -> None:
    """InputError for an override of a keyword that is no key of the config so chosen."""
    try:
        with input_errors():
            keys = dotted_keys(compose_config(list(filter(_chooses_option, everything)), name))
    except InputError:
        return  # composing the whole says what is wrong with these
    for override in overrides:
        key = override.partition("=")[0].lstrip("+")
        if not (key in keys or (CONF / key).is_dir()):
            raise InputError(f"no option {key.replace('.', '__')}{_hint(key, keys)}")


def _chooses_option(override: str) -> bool:
    """Whether an override chooses an option of a group."""
    key = override.partition("=")[0].lstrip("+").partition("@")[0]
    return key != "" and (CONF / key).is_dir()


def _hint(key: str, keys: Sequence[str]) -> str:
    """Where the key may be that is meant; `hydra` and _target_ are none of a person's keys."""
    parent, _, last = key.rpartition(".")
    lasts: dict[str, list[str]] = {}
    for known in keys:
        if not known.startswith("hydra") and "_target_" not in known and "_partial_" not in known:
            lasts.setdefault(known.rpartition(".")[2], []).append(known)
    siblings = [k for of_last in lasts.values() for k in of_last if k.rpartition(".")[0] == parent]
    near = lasts.get(last) or nearest_spellings(key, siblings)
    near = near or [k for name in nearest_spellings(last, list(lasts)) for k in lasts[name]]
    near = near or [k for name, of in lasts.items() if last in name.split("_") for k in of]
    near = near or [k for name, of in lasts.items() if last and name.startswith(last) for k in of]
    if near:
        return f": did you mean {' or '.join(k.replace('.', '__') for k in near[:3])}?"
    return ": devise-exp train --cfg job shows all options; a dot is written as two underscores"
