"""Tables of images on disk: CSV, TSV, JSON-lines and Parquet, read as they come."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.data.split_lists import COLUMNS, is_split_list, listed_images

LONGEST_LINE = 1_000_000  # characters; a longer one is no row of paths and labels
_JSON_LINES = (".jsonl", ".ndjson", ".json")
_SEPARATED = (".csv", ".tsv", ".txt")
_PARQUET = (".parquet", ".pq")
SUFFIXES = (*_SEPARATED, *_JSON_LINES, *_PARQUET)

Values = tuple[Any, ...] | str  # of the asked columns, or why the row cannot be read


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """A table on disk.

    Attributes:
        path: The file.
        columns: The names of its columns.
        rows: Columns -> where each row is and their values in it; what cannot be read is a reason.
    """

    path: Path
    columns: tuple[str, ...]
    rows: Callable[[Sequence[str]], Iterator[tuple[str, Values]]]


def open_table(path: Path) -> TableFile:
    """Read the columns of a table.

    Args:
        path: A .csv or .tsv file with headings (.txt too), JSON-lines, a Parquet file, or a split
            list of CoOp (.json).

    Returns:
        The table; its rows are read as they are asked for.

    Raises:
        InputError: If the file is not there, or is none of these.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"data.file={path} {what}: give a .csv, .tsv, .jsonl or .parquet file")
    suffix = path.suffix.lower()
    if suffix in _PARQUET:
        return _parquet(path)
    if suffix not in SUFFIXES:
        raise InputError(
            f"data.file={path}: not a table that is read here: save it as .csv, .tsv, .jsonl or "
            ".parquet"
        )
    try:
        if suffix == ".json" and is_split_list(path):
            return _split_list(path)
        return _json_lines(path) if suffix in _JSON_LINES else _separated(path)
    except UnicodeDecodeError:
        raise _no_text(path) from None
    except OSError as error:
        raise InputError(f"data.file={path}: {error.strerror}: give a file that is readable") from (
            None
        )


def _split_list(path: Path) -> TableFile:
    """Open a list of parts; an image a row."""

    def rows(columns: Sequence[str]) -> Iterator[tuple[str, Values]]:
        where = [COLUMNS.index(column) for column in columns]
        for entry, values in listed_images(path, "data.file"):
            yield entry, values if isinstance(values, str) else tuple(values[i] for i in where)

    return TableFile(path=path, columns=COLUMNS, rows=rows)


def _no_text(path: Path) -> InputError:
    return InputError(f"data.file={path}: no UTF-8 text: save it as UTF-8")


def _lines(stream: TextIO, path: Path) -> Iterator[str]:
    """The lines of a file, none of which fills the memory."""
    try:
        while line := stream.readline(LONGEST_LINE):
            if len(line) == LONGEST_LINE:
                raise InputError(
                    f"data.file={path}: a line of more than {LONGEST_LINE:,} characters: give a "
                    "table of paths and labels, a row a line"
                )
            yield line
    except UnicodeDecodeError:
        raise _no_text(path) from None


def _separated(path: Path) -> TableFile:
    """Open a table whose values are between commas, semicolons or tabs."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        first = next((line for line in _lines(stream, path) if line.strip()), "")
    separator = "\t" if path.suffix.lower() == ".tsv" else max("\t;,", key=first.count)
    headings = next(_fields([first], separator), (0, ""))[1]
    if not isinstance(headings, list) or not any(headings):
        raise InputError(f"data.file={path} holds no headings: name its columns in the first line")
    columns = _once(path, [heading.strip() for heading in headings])

    def rows(names: Sequence[str]) -> Iterator[tuple[str, Values]]:
        where = [columns.index(name) for name in names]
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = _fields(_lines(stream, path), separator)
            next(lines)
            for number, fields in lines:
                line = f"{path.name}, line {number}"
                if isinstance(fields, str):
                    yield line, fields
                elif len(fields) != len(columns):
                    yield line, f"{len(fields)} values for {len(columns)} columns"
                else:
                    yield line, tuple(fields[i] for i in where)

    return TableFile(path=path, columns=columns, rows=rows)


def _fields(lines: Iterator[str] | list[str], separator: str) -> Iterator[tuple[int, Any]]:
    """The fields of every line that has any, or why they cannot be read, with its number."""
    reader = csv.reader(lines, delimiter=separator)
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, str(error)
            continue
        if any(field.strip() for field in fields):
            yield reader.line_num, fields


def _json_lines(path: Path) -> TableFile:
    """Open a table of a JSON object a line; the columns are those of the first ones."""
    names: dict[str, None] = {}
    with path.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(_lines(stream, path)):
            if number == 0 and line.lstrip().startswith("["):
                raise InputError(
                    f"data.file={path} is a list in JSON: write a JSON object a line (.jsonl)"
                )
            entry = _entry(line) if line.strip() else {}
            names.update(dict.fromkeys(entry) if isinstance(entry, dict) else {})
            if number == 100:
                break
    if not names:
        raise InputError(f"data.file={path} holds no JSON objects: write one a line")

    def rows(columns: Sequence[str]) -> Iterator[tuple[str, Values]]:
        with path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(_lines(stream, path), start=1):
                if line.strip():
                    entry = _entry(line)
                    values = entry if isinstance(entry, str) else tuple(map(entry.get, columns))
                    yield f"{path.name}, line {number}", values

    return TableFile(path=path, columns=tuple(names), rows=rows)


def _entry(line: str) -> dict[str, Any] | str:
    """The object of a line, or why there is none."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {str(error)[:100]}"
    return entry if isinstance(entry, dict) else "not a JSON object"


def _parquet(path: Path) -> TableFile:
    """Open a Parquet file."""
    try:
        from pyarrow import ArrowException, parquet  # late: an extra
    except ImportError:
        raise InputError(
            f"data.file={path}: Parquet needs pyarrow: pip install 'devise-exp[tables]', or save "
            "it as .csv"
        ) from None
    try:
        file = parquet.ParquetFile(path)
        columns = _once(path, file.schema_arrow.names)
    except (ArrowException, OSError, ValueError) as error:
        raise _damaged(path, error) from None
    _refuse_images(path, {field.name: field.type for field in file.schema_arrow})

    def rows(names: Sequence[str]) -> Iterator[tuple[str, Values]]:
        number = 0
        try:
            for batch in parquet.ParquetFile(path).iter_batches(8192, columns=list(names)):
                values = [batch.column(name).to_pylist() for name in names]
                for row in zip(*values, strict=True):
                    number += 1
                    yield f"{path.name}, row {number}", row
        except (ArrowException, OSError, ValueError) as error:
            raise _damaged(path, error) from None

    return TableFile(path=path, columns=columns, rows=rows)


def _damaged(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:200]
    return InputError(f"data.file={path}: damaged or no Parquet file ({reason}): get it again")


def _refuse_images(path: Path, types: Mapping[str, Any]) -> None:
    """Refuse a table that holds the images themselves."""
    holding = [name for name, kind in types.items() if "binary" in str(kind)]
    if holding and not any(str(kind) in ("string", "large_string") for kind in types.values()):
        raise InputError(
            f"data.file={path} holds images ({listed(holding)}), not their paths: give "
            f"data=hugging_face data.path={path.parent}"
        )


def _once(path: Path, columns: Sequence[str]) -> tuple[str, ...]:
    """Refuse two columns of one name."""
    twice = sorted({name for name in columns if list(columns).count(name) > 1})
    if twice and any(twice):
        raise InputError(f"data.file={path} has two columns {listed(twice)}: rename one of them")
    return tuple(columns)
