"""The child process of `matlab`: scipy reads the arrays, and they leave through an open file.

`python -m devise_exp.data.xlsa17.matlab_reader NUMBER` gets its request as JSON on stdin, writes
the arrays of numbers one after the other as .npy to the open file of that number, and prints its
answer as JSON: texts and shapes, or the error.
"""

from __future__ import annotations

import errno
import json
import math
import os
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from scipy.io import loadmat, whosmat

from devise_exp.core.foreign_files import foreign_kind
from devise_exp.data.xlsa17.matlab import PUBLISHED

_KINDS = {"cell": "cells", "char": "text", "sparse": "sparse numbers", "struct": "structures"}
_NUMBERS = {"single", "double", "logical"}
_NUMBERS |= {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
_MAX_CELLS = 4  # one in another
_HDF5 = (
    "of MATLAB 7.3 (HDF5), which is not read here: load it and save it again with save(..., '-v7')"
)
_SPARE_MEMORY = 4 << 30  # bytes beside the numbers: the interpreter, and the texts

Heads = dict[str, tuple[tuple[int, ...], str]]


class _ContentError(Exception):
    """An array is not what was asked for; the message is for people."""


def main() -> None:
    """Read what is asked for and hand over the arrays, or the reason why there are none."""
    answer, arrays = _answer(*json.load(sys.stdin))
    try:
        with os.fdopen(int(sys.argv[1]), "wb") as stream:
            for array in arrays:
                np.save(stream, array, allow_pickle=False)
    except OSError as error:
        answer = {"errno": error.errno or errno.ENOSPC, "writing": True}  # numpy gives no number
    json.dump(answer, sys.stdout)


def _answer(
    file: str,
    numbers: Mapping[str, Sequence[int | None]],
    texts: Sequence[str],
    shapes: Mapping[str, Sequence[int | None]],
    optional: Sequence[str],
    limits: Mapping[str, int],
) -> tuple[dict[str, Any], Iterable[np.ndarray]]:
    """Return texts and shapes, and the arrays of numbers; or the error, and no array."""
    try:
        with Path(file).open("rb") as stream:
            heads = _heads(stream)
            numbers = {
                key: shape
                for key, shape in numbers.items()
                if key not in optional or (key in heads and all(heads[key][0]))
            }
            arrays = _read(stream, heads, numbers, texts, shapes, limits)
        answer = {
            "numbers": [*numbers],
            "texts": {key: _texts(key, arrays[key], limits["text_bytes"]) for key in texts},
            "shapes": {key: heads[key][0] for key in shapes},
        }
    except _ContentError as error:
        return {"error": str(error)}, ()
    except MemoryError:
        remedy = "free some, or get the published file again"  # a damaged file claims any size
        return {"error": f"needs more memory than there is: {remedy}"}, ()
    except Exception as error:  # scipy meets damaged bytes with nearly any exception
        if isinstance(error, OSError) and error.errno:
            return {"errno": error.errno, "writing": False}, ()
        return {"error": _damage(Path(file))}, ()
    return answer, [arrays[key] for key in numbers]


def _damage(file: Path) -> str:
    """Say what is wrong with a file that scipy cannot read."""
    with file.open("rb") as stream:
        head = stream.read(6)
    if head == b"MATLAB":
        return "damaged: get the published file again"
    return f"{'no MATLAB file of version 5 to 7' if head else 'the file is empty'}: {PUBLISHED}"


def _heads(stream: BinaryIO) -> Heads:
    """Read the names, shapes and types of all arrays; say what a file is that has none."""
    head = stream.read(1024)
    stream.seek(0)
    if b"\x89HDF\r\n" in (head[:6], head[512:518]):
        raise _ContentError(_HDF5)
    if foreign := foreign_kind(head):
        raise _ContentError(f"this is {foreign.what} and not a MATLAB file: {foreign.remedy}")
    warnings.simplefilter("error")  # scipy only warns of an array that it cannot read
    try:
        return {name: (shape, kind) for name, shape, kind in whosmat(stream)}
    except NotImplementedError as error:
        raise _ContentError(_HDF5) from error


def _read(
    stream: BinaryIO,
    heads: Heads,
    numbers: Mapping[str, Sequence[int | None]],
    texts: Sequence[str],
    shapes: Mapping[str, Sequence[int | None]],
    limits: Mapping[str, int],
) -> dict[str, np.ndarray]:
    """Check the arrays by their heads, then load them."""
    for key in (*numbers, *shapes, *texts):
        if key not in heads:
            others = ", ".join(repr(name) for name in sorted(heads)[:10]) or "none"
            raise _ContentError(f"holds no {key} (it has {others}): {PUBLISHED}")
    for key, expected in {**numbers, **shapes}.items():
        _check_numbers(key, *heads[key], expected, limits["numbers"])
    for key in texts:
        _check_cells(key, *heads[key], limits["texts"])
    _limit_memory(8 * sum(math.prod(heads[key][0]) for key in numbers))
    stream.seek(0)
    # MATLAB's texts of two bytes a letter are UTF-16; scipy's default drops every second byte.
    arrays: dict[str, np.ndarray] = loadmat(
        stream, variable_names=[*numbers, *texts], uint16_codec="utf-16-le"
    )
    for key in numbers:
        if arrays[key].dtype.kind == "c":
            raise _ContentError(f"{key} is complex numbers, not real numbers: {PUBLISHED}")
    return arrays


def _check_numbers(
    key: str, shape: Sequence[int], kind: str, expected: Sequence[int | None], largest: int
) -> None:
    """Refuse what is not numbers, or of another shape or size."""
    if kind not in _NUMBERS:
        raise _ContentError(f"{key} is {_KINDS.get(kind, kind)}, not real numbers: {PUBLISHED}")
    fits = len(shape) == 2 and all(
        want in (None, n) for n, want in zip(shape, expected, strict=True)
    )
    if not math.prod(shape):
        raise _ContentError(f"{key} is {_times(shape)}, so it holds no number: {PUBLISHED}")
    if not fits or math.prod(shape) > largest:
        wanted = " x ".join("any" if n is None else str(n) for n in expected)
        raise _ContentError(
            f"{key} is {_times(shape)}, not {wanted} (and no more than {largest:,} numbers): "
            f"{PUBLISHED}"
        )


def _check_cells(key: str, shape: Sequence[int], kind: str, largest: int) -> None:
    """Refuse what is not cells or lines of text, or none or too many of them."""
    if kind not in ("cell", "char") or not 0 < math.prod(shape) <= largest:
        what = "numbers" if kind in _NUMBERS else _KINDS.get(kind, kind)
        raise _ContentError(
            f"{key} is {what} of {_times(shape)}, not cells of 1 to {largest:,} texts: {PUBLISHED}"
        )


def _texts(key: str, cells: np.ndarray, largest: int) -> list[str]:
    """Return the texts of cells or lines, none empty or with signs that steer a terminal."""
    texts: list[str] = []
    size = 0
    for i, cell in enumerate(cells.ravel(order="F").tolist()):
        for _ in range(_MAX_CELLS):  # some files have a cell in each cell
            if isinstance(cell, np.ndarray) and cell.dtype.kind in "UO" and cell.size == 1:
                cell = cell.item()
        text = cell.strip() if isinstance(cell, str) else ""
        if not text or not text.isprintable():
            raise _ContentError(f"{key} {i + 1} is not one line of text: {PUBLISHED}")
        size += len(text.encode())
        if size > largest:
            raise _ContentError(f"{key} holds more than {largest:,} bytes of text: {PUBLISHED}")
        texts.append(text)
    return texts


def _limit_memory(size: int) -> None:
    """Let this process take no more memory than numbers of `size` bytes and their copies need."""
    with suppress(ImportError, ValueError, OSError):  # not on every system
        import resource

        limit = 3 * size + _SPARE_MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


if __name__ == "__main__":
    main()
