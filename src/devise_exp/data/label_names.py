"""Labels as class names: texts as they are, numbers by a list of names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed, read_names, read_pairs

OPTION = "data.names"
_NUMBERED = re.compile(r"(\d+)[\s:,;]+(.*\S)")


def label_text(value: Any) -> str:
    """Write a label as a text.

    Args:
        value: A label of whatever type.

    Returns:
        The text without blanks around it, a whole number without a fraction; "" if there is no
        label: nothing, not a number, or a negative number (a hidden label).

    Example:
        >>> [label_text(value) for value in (" red panda ", 3, 3.0, None, -1, float("nan"))]
        ['red panda', '3', '3', '', '', '']
    """
    if value is None or isinstance(value, bool | list | dict | bytes):
        return str(value).lower() if isinstance(value, bool) else ""
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    if isinstance(value, int | float) and value == int(value):
        value = int(value)
        return str(value) if value >= 0 else ""
    text = str(value).strip()
    return "" if text == "-1" else text


def read_label_names(names: str | Path | Sequence[Any] | None) -> dict[str, str]:
    """Read what numbers are called.

    Args:
        names: A list of names, the first of which is number 0; or a file: a name a line, a number
            and a name a line, a JSON list or mapping of either direction; None: none.

    Returns:
        Number -> name.

    Raises:
        InputError: If there are names twice, or the file cannot be read.
    """
    if names is None:
        return {}
    if not isinstance(names, str | Path):
        table = {str(i): str(name) for i, name in enumerate(names)}
    else:
        table = _of_file(Path(names).expanduser())
    twice = sorted({name for name in table.values() if [*table.values()].count(name) > 1})
    if twice:
        raise InputError(f"{OPTION}: {listed(twice)} named twice: give every number another name")
    return table


def _of_file(path: Path) -> dict[str, str]:
    """Read a file of names in any of its usual forms."""
    if path.suffix.lower() in (".json", ".yaml", ".yml"):
        try:
            table = read_pairs(path, OPTION)
        except InputError:
            return dict(enumerate_names(read_names(path, OPTION)))
        by_name = not all(key.isdecimal() for key in table)
        return {number: name for name, number in table.items()} if by_name else table
    lines = read_names(path, OPTION) if path.suffix.lower() != ".csv" else []
    if path.suffix.lower() == ".csv":
        try:
            lines = [f"{key} {value}" for key, value in read_pairs(path, OPTION).items()]
        except InputError:
            lines = read_names(path, OPTION)
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    if lines and all(numbered):
        return {str(int(match[1])): match[2] for match in numbered if match}
    return dict(enumerate_names(lines))


def enumerate_names(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Number names from 0 on.

    Args:
        names: The names.

    Yields:
        Number and name.
    """
    for number, name in enumerate(names):
        yield str(number), name


class LabelNames:
    """Class names of labels.

    Args:
        where: What messages call the data.
        table: Number -> name; empty: labels are names.
        hint: What else a person may do if labels are numbers without names.
    """

    def __init__(self, where: str, table: Mapping[str, str], hint: str = "") -> None:
        self.where, self.table, self.hint = where, table, hint
        self._names = frozenset(table.values())

    def of(self, label: str) -> str:
        """Name a label.

        Args:
            label: As of label_text, not empty.

        Returns:
            The class name.

        Raises:
            InputError: If it has no name in the table.
        """
        if not self.table:
            return label
        name = self.table.get(label)
        if name is None and label not in self._names:
            raise InputError(
                f"{self.where}: label {label} has no name in {OPTION} (which has "
                f"{len(self.table)}, {listed(self.table.values(), 3)}): name every label"
            )
        return label if name is None else name

    def check(self, classes: Iterable[str]) -> None:
        """Refuse numbers as class names, for words are looked up by names.

        Args:
            classes: The names of all classes.

        Raises:
            InputError: If all are numbers.
        """
        every = sorted(set(classes))
        if not self.table and every and all(name.isdecimal() for name in every):
            raise InputError(
                f"{self.where}: labels are numbers ({listed(every, 3)}), and words are looked up "
                f"by names: say what they are called, {OPTION}=FILE (a name a line, the first is "
                f"0) or {OPTION}=[NAME,NAME]{self.hint}"
            )
