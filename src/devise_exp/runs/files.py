"""Files of a run folder: how they are written, and how damage becomes one line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from devise_exp.core.array_files import load_array, load_arrays
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path, write_text
from devise_exp.runs.other_folders import not_a_run

T = TypeVar("T")
_DAMAGE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    EOFError,
    ArithmeticError,
    YAMLError,
    OmegaConfBaseException,
    csv.Error,
    RecursionError,
)


@contextmanager
def reading(
    folder: Path,
    name: str,
    *,
    remedy: str = "train the run again",
    missing: str = "",
    missing_ok: bool = False,
) -> Iterator[Path]:
    """Turn errors that a damaged file causes into one line.

    Args:
        folder: The run folder.
        name: Path in the run folder of the file whose content is read in the block.
        remedy: What to do if the file is damaged.
        missing: What to say and do if it is not there, where that is more than the remedy.
        missing_ok: The block can do without the file.

    Yields:
        The file.

    Raises:
        InputError: If the file is not there, or cannot be what a run wrote.
    """
    file = folder / name
    if not (missing_ok or missing or folder.is_dir()):
        raise InputError(f"{folder}: no such folder: give a run folder that a training has printed")
    if not missing_ok and not file.is_file():
        if not missing and not (folder / "config.yaml").is_file():
            raise InputError(f"{folder}: {not_a_run(folder)}")
        raise InputError(f"{folder}: {missing or f'the run folder lacks {name}: {remedy}'}")
    try:
        yield file
    except _DAMAGE as error:
        raise InputError(f"{file}: damaged: {remedy}") from error


def write_json(folder: Path, name: str, content: Any) -> None:
    """Write a JSON file.

    Args:
        folder: The run folder.
        name: Path of the file in the run folder; a file that is there is replaced.
        content: What JSON can hold.
    """
    write_text(folder / name, json.dumps(content, indent=1, ensure_ascii=False))


def read_json(folder: Path, name: str, parse: Callable[[Any], T]) -> T:
    """Read a JSON file.

    Args:
        folder: The run folder.
        name: Path of the file in the run folder.
        parse: Makes a record of its content; any error of it means a damaged file.

    Returns:
        The record.

    Raises:
        InputError: If the file is not there or damaged.
    """
    with reading(folder, name) as file:
        return parse(json.loads(file.read_text(encoding="utf-8-sig")))


def write_arrays(folder: Path, name: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays into one .npz file.

    Args:
        folder: The run folder.
        name: Path of the file in the run folder; a file that is there is replaced.
        arrays: Arrays by name.
    """
    with atomic_path(folder / name) as path, path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def read_arrays(folder: Path, name: str, parse: Callable[[dict[str, np.ndarray]], T]) -> T:
    """Read all arrays of an .npz file.

    Args:
        folder: The run folder.
        name: Path of the file in the run folder.
        parse: Makes a record of the arrays by name; any error of it means a damaged file.

    Returns:
        The record.

    Raises:
        InputError: If the file is not there or damaged.
    """
    with reading(folder, name) as file:
        return parse(load_arrays(file))


def read_vectors(folder: Path, name: str, parse: Callable[[np.ndarray], T]) -> T:
    """Read an .npy file.

    Args:
        folder: The run folder.
        name: Path of the file in the run folder.
        parse: Checks the array; any error of it means a damaged file.

    Returns:
        What `parse` returns.

    Raises:
        InputError: If the file is not there or damaged.
    """
    with reading(folder, name) as file:
        return parse(load_array(file))


def read_some_arrays(
    folder: Path, name: str, keys: Collection[str], check: Callable[[np.ndarray], np.ndarray]
) -> dict[str, np.ndarray]:
    """Read some arrays of an .npz file and nothing else of it.

    Args:
        folder: The run folder.
        name: Path of the file in the run folder.
        keys: Names of the arrays, those that are there; none: all.
        check: Looks at each array; any error of it means a damaged file.

    Returns:
        The arrays by name; none if the file is not there.

    Raises:
        InputError: If the file is damaged.
    """
    if not (folder / name).is_file():
        return {}
    with reading(folder, name) as file:
        return {key: check(array) for key, array in load_arrays(file, keys or None).items()}


def read_rows(folder: Path, name: str) -> list[dict[str, str]]:
    """Read a CSV file.

    Args:
        folder: The run folder.
        name: Path of the file in the run folder. Its first line is a header.

    Returns:
        A dict for each row, by column; none if the file is not there.

    Raises:
        InputError: If the file is damaged.
    """
    if not (folder / name).is_file():
        return []
    with reading(folder, name) as file, file.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))
