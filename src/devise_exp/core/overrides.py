"""Overrides as people type them: the text of a path or a name is quoted before Hydra parses it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# Options whose value is a path, by the last part of their keys.
_PATHS = {
    "root", "path", "file", "dir", "folder", "storage", "wordnet", "descriptions",
    "run_dir", "resume", "hyperparameters_from", "checkpoint",
}  # fmt: skip
_PATH_KEYS = {"backbone.weights", "word_vectors.model", "word_vectors.names"}
_PATH_ENDINGS = ("_file", "_dir", "_folder", "_path")
# Options whose values are names: null, true and 1e5 are classes there, not YAML's words.
_NAMES = {"unseen", "extra_labels", "stated_clean", "stated_overlapping"}
# Keys below these are names of classes.
_NAMED_BY_CLASS = ("labels.aliases.", "labels.merges.")
# Arguments of Hydra that the next argument belongs to.
_FLAGS_WITH_VALUE = {
    "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd", "--package", "-p",
    "--experimental-rerun",
}  # fmt: skip
_MULTIRUN = {"--multirun", "-m"}
_OPENING, _CLOSING = "([{", ")]}"
_QUOTATION = re.compile(r"""(['"])(?:\\.|(?!\1).)*\1(?=\s*(?:,|$))""", re.DOTALL)
_UNREADABLE = object()


def quoted_arguments(arguments: Sequence[str]) -> list[str]:
    """Quote the arguments of a command as `quoted` does.

    Args:
        arguments: Overrides and Hydra's own.

    Returns:
        The arguments; Hydra's own, and the values of those, as they were.
    """
    multirun = not _MULTIRUN.isdisjoint(arguments)
    result: list[str] = []
    for i, argument in enumerate(arguments):
        is_value = i > 0 and arguments[i - 1] in _FLAGS_WITH_VALUE
        is_other = argument.startswith("-") or is_value
        result.append(argument if is_other else quoted(argument, multirun))
    return result


def quoted(argument: str, multirun: bool = False) -> str:
    """Quote the value of key=value where Hydra would not take it for the text that it is.

    Args:
        argument: One argument of a command.
        multirun: Whether a comma may divide the values of a grid.

    Returns:
        The argument. Its value is in quotes if it is a path that Hydra would change, and so are
        the texts in it, in a list and in a mapping too, that Hydra cannot read.

    Example:
        >>> quoted("data.root=My Pictures (2020)"), quoted("split.unseen=[T-shirt (red),emu]")
        ("data.root='My Pictures (2020)'", "split.unseen=['T-shirt (red)',emu]")
        >>> quoted("run_dir=runs/seed=0"), quoted("resume=2026_11_27"), quoted("seed=7")
        ("run_dir='runs/seed=0'", "resume='2026_11_27'", 'seed=7')
    """
    key, equal, value = argument.partition("=")
    if not equal or key.startswith("~"):
        return argument
    if any(key.lstrip("+").startswith(start) for start in _NAMED_BY_CLASS):
        argument = _keyed_by_name(argument)
        key, _, value = argument.partition("=")
    last = key.lstrip("+").rpartition(".")[2]
    is_path = last in _PATHS or last.endswith(_PATH_ENDINGS) or key in _PATH_KEYS
    if is_path:
        value = _path(value, multirun)
    elif last in _NAMES or _reading(value) is _UNREADABLE:
        value = _texts(value, last in _NAMES, multirun)
    return f"{key}={value}"


def read_override(argument: str) -> tuple[str, Any] | None:
    """Read an argument as Hydra does.

    Args:
        argument: [+]key=value.

    Returns:
        Its key and its value; None if Hydra cannot read it.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser  # late: for Hydra alone
    from hydra.errors import HydraException

    try:
        override = OverridesParser.create().parse_override(argument)
        return override.key_or_group, override.value()
    except (HydraException, ValueError, RecursionError):
        return None


def quoted_value(text: str) -> str:
    """Quote a text as Hydra reads it back.

    Args:
        text: Any text.

    Returns:
        The text in single quotes.
    """
    # Hydra takes a backslash as an escape only where backslashes end at a quote.
    escaped = re.sub(r"(\\*)('|$)", lambda m: 2 * m[1] + m[2].replace("'", r"\'"), text)
    return f"'{escaped}'"


def is_plain(text: str) -> bool:
    """Tell whether Hydra reads a value as the text that it is.

    Args:
        text: The value of an override.

    Returns:
        False if it has to be quoted.
    """
    return bool(_reading(text) == text)


def _path(value: str, multirun: bool) -> str:
    """The value of an option that takes a path: one text, unless Hydra has a meaning for it."""
    if is_plain(value):
        return value
    reading = _reading(value)
    is_meant = value.lower() in ("", "null") or "${" in value or _is_quoted(value)
    is_part = re.fullmatch(r"\[.*\]|\{.*\}|\w+\(.*\)", value) or _exists(reading)  # or escaped
    if reading is not _UNREADABLE and (is_meant or (is_part and not _exists(value))):
        return value
    parts = [part.strip() for part in _split(value)]
    if multirun and len(parts) > 1 and not _exists(value):
        return ",".join(_path(part, multirun=False) for part in parts)
    return quoted_value(value)


def _texts(value: str, are_names: bool, multirun: bool) -> str:
    """A value with every text in it quoted that Hydra cannot read, or reads as no text."""
    parts = list(_split(value))
    if len(parts) > 1 and (multirun or all(_inside(part, "[]") is not None for part in parts)):
        return ",".join(_element(part, are_names) for part in parts)
    return _element(value, are_names)


def _element(text: str, are_names: bool, in_list: bool = False) -> str:
    """One value: a list, a mapping or a text."""
    if (items := _inside(text, "[]")) is not None:
        return f"[{','.join(_element(item, are_names, in_list=True) for item in _split(items))}]"
    if (items := _inside(text, "{}")) is not None and all(":" in item for item in _split(items)):
        pairs = (item.partition(":") for item in _split(items))
        return f"{{{','.join(f'{key}: {_element(item, are_names)}' for key, _, item in pairs)}}}"
    reading = _reading(text)
    is_name = isinstance(reading, str) or not (are_names and in_list)
    return text if reading is not _UNREADABLE and is_name else quoted_value(text.strip())


def _split(text: str) -> Iterator[str]:
    """The parts of a text between commas that no quotes and no brackets hold."""
    pairs = zip(_OPENING, _CLOSING, strict=True)
    is_balanced = all(text.count(opening) == text.count(closing) for opening, closing in pairs)
    start, depth, i = 0, 0, 0
    while i < len(text):
        quotation = _QUOTATION.match(text, i)
        if quotation and not text[start:i].strip():
            i = quotation.end()
            continue
        if is_balanced:
            depth += (text[i] in _OPENING) - (text[i] in _CLOSING)
        if text[i] == "," and depth <= 0:
            yield text[start:i]
            start = i + 1
        i += 1
    if text[start:].strip() or start:
        yield text[start:]


def _inside(text: str, brackets: str) -> str | None:
    """What stands between brackets that a text begins and ends with."""
    bare = text.strip()
    if len(bare) > 1 and bare[0] == brackets[0] and bare[-1] == brackets[1]:
        return bare[1:-1]
    return None


def _keyed_by_name(argument: str) -> str:
    """Spell ++labels.aliases.NAME=WORD as a mapping where Hydra's keys cannot hold the name."""
    match = re.fullmatch(r"(\+*)(labels\.\w+)\.(.*)=(.*)", argument, re.DOTALL)
    if match is None:
        return argument
    mark, path, name, word = match.groups()
    if "." not in name and _reading("1", argument.partition("=")[0]) is not _UNREADABLE:
        return argument
    escaped = re.sub(r"[()\[\]{}:=, \t]", r"\\\g<0>", name)
    mapping = f"{{{escaped}: {_element(word, are_names=False)}}}"
    return argument if _reading(mapping) is _UNREADABLE else f"{mark or '++'}{path}={mapping}"


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] in "'\"" and text[0] == text[-1]


def _exists(path: Any) -> bool:
    try:
        return isinstance(path, str) and path != "" and Path(path).expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # too long, nobody's home, a null byte
        return False


@functools.lru_cache(maxsize=4096)
def _reading(text: str, key: str = "key") -> Any:
    """What Hydra reads in a value; _UNREADABLE if it refuses it."""
    override = read_override(f"{key}={text}")
    return _UNREADABLE if override is None else override[1]
