"""Array files of numpy that may be anybody's: what a header claims is compared with the file."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_STORED, ZipFile

import numpy as np


def load_array(path: Path, *, mapped: bool = False) -> np.ndarray:
    """Read an .npy file; memory is taken for what the file holds, never for what it claims.

    Args:
        path: The file.
        mapped: Map the file instead of reading it.

    Returns:
        The array, of numbers, truth values or texts.

    Raises:
        ValueError: The file is no such array, or holds more or fewer bytes than it claims.
    """
    with _damage(), path.open("rb") as file:
        _check_header(file, path.stat().st_size)
        array: np.ndarray = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    return array


def load_arrays(
    path: Path, keys: Collection[str] | None = None, compressed_up_to: int = 0
) -> dict[str, np.ndarray]:
    """Read arrays of an .npz file as `np.savez` writes it.

    Args:
        path: The file.
        keys: Names of the arrays to read, those that are there; None: all.
        compressed_up_to: Bytes of all arrays that a compressed file may hold; 0: none at all.

    Returns:
        Arrays by name.

    Raises:
        ValueError: The file is no such archive, or an array holds other than it claims.
    """
    with _damage(), ZipFile(path) as archive:
        members = archive.infolist()
        largest = max(path.stat().st_size, compressed_up_to)
        if sum(member.file_size for member in members) > largest:
            raise ValueError("the arrays are larger than their file")
        arrays = {}
        for member in members:
            name = member.filename.removesuffix(".npy")
            if keys is not None and name not in keys:
                continue
            if member.compress_type != ZIP_STORED and not compressed_up_to:
                raise ValueError("compressed")
            with archive.open(member) as file:
                _check_header(file, member.file_size)
                file.seek(0)
                arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
    return arrays


def _check_header(file: IO[bytes], size: int) -> None:
    """ValueError unless the array that a header describes has the size of the file."""
    version = np.lib.format.read_magic(file)
    readers: dict[tuple[int, int], Any] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, _, dtype = readers[version](file)
    if dtype.hasobject or not dtype.itemsize or 0 in shape[1:] or min(shape, default=0) < 0:
        raise ValueError(f"{dtype} {shape} is no array that is read")
    if math.prod(shape) * dtype.itemsize != size - file.tell():
        raise ValueError(f"{dtype} {shape} is not what the file holds")


@contextmanager
def _damage() -> Iterator[None]:
    """Make one kind of error of what damaged bytes raise in zipfile, numpy and Python's parser."""
    try:
        yield
    except (OSError, MemoryError, ValueError):
        raise
    except Exception as error:
        raise ValueError(f"no array file: {type(error).__name__}: {error}") from error
