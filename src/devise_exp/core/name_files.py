"""Names from a config or from a file that a person wrote: as text, whatever YAML makes of them."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Collection, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from devise_exp.core.errors import InputError

MAX_BYTES = 50_000_000  # of a file of names; a longer one is some other file
MAX_LISTED = 10  # names in one message
_YAML = (".yaml", ".yml", ".json")
_HEADINGS = {"class", "classes", "name", "names", "class_name"}


def name_of(value: object, names: Collection[str]) -> str:
    """Find the name that a config means by a value.

    YAML reads null, true, 1e5 and 007 as no texts; and a letter with a mark may be written as one
    character or as two (NFC, NFD).

    Args:
        value: A key or a value of a config.
        names: The names that there are.

    Returns:
        One of `names`, or the value as text if it means none of them.

    Example:
        >>> name_of(100000.0, ["1e5", "cat"]), name_of(None, ["null"]), name_of(7, ["cat"])
        ('1e5', 'null', '7')
    """
    return NameIndex(names).find(value)


class NameIndex:
    """The names that a config may mean, made once for many values.

    Args:
        names: The names that there are; of several that a value may mean the first counts.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names if isinstance(names, dict | set | frozenset) else dict.fromkeys(names)

    def find(self, value: object) -> str:
        """Find the name that a config means by a value, as `name_of` says.

        Args:
            value: A key or a value of a config.

        Returns:
            One of the names, or the value as text if it means none of them.
        """
        text = str(value).lower() if isinstance(value, bool) else str(value)
        text = "null" if value is None else text
        if text in self._names:
            return text
        if isinstance(value, str):
            composed = unicodedata.normalize("NFC", value)
            return value if value.isascii() else self._by_composed.get(composed, value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._by_number.get(_number_key(value), text)
        return self._by_reading.get((type(value), str(value)), text)

    @cached_property
    def _by_composed(self) -> dict[str, str]:
        """The names by their composed form."""
        return {unicodedata.normalize("NFC", name): name for name in reversed([*self._names])}

    @cached_property
    def _by_number(self) -> dict[str, str]:
        """The names that are numbers to YAML, Hydra or OmegaConf, which take 1e5 for one."""
        numbers: dict[str, str] = {}
        for name in self._names:
            for read in (float, _yaml_reading):
                try:
                    number = read(name)
                    if isinstance(number, int | float) and not isinstance(number, bool):
                        numbers.setdefault(_number_key(number), name)
                except (ValueError, OverflowError):
                    continue
        return numbers

    @cached_property
    def _by_reading(self) -> dict[tuple[type, str], str]:
        """The names by what YAML makes of them: type and text."""
        readings: dict[tuple[type, str], str] = {}
        for name in self._names:
            read = _yaml_reading(name)
            readings.setdefault((type(read), str(read)), name)
        return readings


def _number_key(number: float) -> str:
    """A text that equal numbers share, NaN too, which Hydra takes a class called Nan for."""
    return str(float(number) + 0.0)


def listed(names: Iterable[str], n: int = MAX_LISTED) -> str:
    """Write names into a message of bounded length.

    Args:
        names: What to list.
        n: How many at most.

    Returns:
        The first n names, and how many more there are.

    Example:
        >>> listed(["ant", "bee", "cat"], 2)
        'ant, bee and 1 more'
    """
    every = list(names)
    more = f" and {len(every) - n:,} more" if len(every) > n else ""
    return ", ".join(every[:n]) + more


def read_names(path: str | Path, option: str) -> list[str]:
    """Read a list of names.

    Args:
        path: A text file with a name on every line, where # begins a comment line; a .csv file,
            whose first column counts; or a .yaml file that is a list.
        option: The option that names the file, for messages.

    Returns:
        The names, all of them texts.

    Raises:
        InputError: If the file cannot be read, or is no list of names.
    """
    text, where = _content(path, option), f"{option}={path}"
    suffix = Path(path).suffix.lower()
    if suffix in _YAML:
        content = _yaml(text, where)
        if not isinstance(content, list) or not all(isinstance(name, str) for name in content):
            raise InputError(f"{where}: give a list of names, a line '- NAME' for each")
        return content
    if suffix == ".csv":
        rows = [(fields[0].strip(),) for _, fields in _rows(text, where) if fields[0].strip()]
        return [name for (name,) in rows[bool(rows) and rows[0][0].lower() in _HEADINGS :]]
    return [name for line in text.splitlines() if (name := line.strip()) and name[0] != "#"]


def read_pairs(path: str | Path, option: str) -> dict[str, str]:
    """Read a table of names and what stands for each.

    Args:
        path: A .yaml file that is a mapping, or a table of two columns between commas, semicolons
            or tabs, with or without headings; a name that holds the separator is in quotes.
        option: The option that names the file, for messages.

    Returns:
        Name -> text. Lines without the second column are passed over.

    Raises:
        InputError: If the file cannot be read, or is no such table.
    """
    text, where = _content(path, option), f"{option}={path}"
    if Path(path).suffix.lower() in _YAML:
        content = _yaml(text, where)
        if not isinstance(content, dict) or not all(
            isinstance(part, str) for pair in content.items() for part in pair
        ):
            raise InputError(f"{where}: give a mapping, a line 'NAME: WORD' for each")
        return {name: word for name, word in content.items() if word.strip()}
    table: dict[str, str] = {}
    for number, fields in _rows(text, where):
        if len(fields) != 2:
            raise InputError(
                f"{where}, line {number}: {len(fields)} columns, not 2: give NAME,WORD, and what "
                'holds a comma in quotes, "..."'
            )
        name, word = fields[0].strip(), fields[1].strip()
        if name in table:
            raise InputError(f"{where}, line {number}: {name!r} comes twice: take one line out")
        if word and not (number == 1 and name.lower() in _HEADINGS):
            table[name] = word
    return table


def _content(path: str | Path, option: str) -> str:
    """The text of a file, without a byte order mark."""
    file = Path(path).expanduser()
    try:
        if file.is_file() and file.stat().st_size > MAX_BYTES:
            raise InputError(f"{option}={path}: over {MAX_BYTES:,} bytes: give a file of names")
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{option}={path}: no UTF-8 text: save it as UTF-8") from None
    except OSError as error:
        raise InputError(
            f"{option}={path}: {error.strerror}: give a .csv, .yaml or text file of names"
        ) from None


def _yaml(text: str, where: str) -> Any:
    """YAML whose every value is a text: null, true and 1e5 too."""
    try:
        return yaml.load(text, Loader=yaml.BaseLoader)  # nothing but texts
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", error)).split())
        raise InputError(f"{where}{line}: this is not YAML: {problem}") from None
    except RecursionError:
        raise InputError(f"{where}: nested too deep: give names alone") from None


def _rows(text: str, where: str) -> Iterable[tuple[int, list[str]]]:
    """The lines of a table with their numbers, without empty and comment lines."""
    stream = io.StringIO(text, newline="")
    # Comments become empty lines; "#1" in quotes is a name.
    lines = ["\n" if line[0] == "#" else line for line in stream]
    first = next(filter(str.strip, lines), "")
    separator = max("\t;,", key=first.count)
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    try:
        for fields in reader:
            if any(map(str.strip, fields)):
                yield reader.line_num, fields
    except csv.Error as error:
        raise InputError(f"{where}, line {reader.line_num}: {error}: correct the line") from None


def _yaml_reading(name: str) -> Any:
    """What YAML makes of a name; the name itself if that is no YAML."""
    try:
        return yaml.safe_load(name)
    except (yaml.YAMLError, ValueError, RecursionError):  # 2026-13-45 is a date that is none
        return name
