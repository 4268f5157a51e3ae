"""Mutated MATLAB files of the benchmark of Xian et al. 2018, read as a run reads them."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

import numpy as np
from scipy.io import savemat

Arrays = dict[str, Any]
CLASSES = ("zebra", "killer+whale", "sheep", "bobcat")
UNSEEN = (2,)
PER_CLASS = 6
FILES = ("res101.mat", "att_splits.mat")


def _cells(texts: list[str]) -> np.ndarray:
    array = np.empty((len(texts), 1), object)
    array[:, 0] = texts
    return array


def _arrays() -> tuple[Arrays, Arrays]:
    rng = np.random.default_rng(0)
    n = len(CLASSES) * PER_CLASS
    labels = np.repeat(np.arange(len(CLASSES)), PER_CLASS)
    files = _cells([f"/images/{CLASSES[c]}/{i:03}.jpg" for i, c in enumerate(labels)])
    seen = [i for i in range(n) if labels[i] not in UNSEEN]
    test = [i for i in seen if i % PER_CLASS < 2]
    column = lambda rows: np.array([row + 1 for row in rows], float)[:, None]  # noqa: E731
    return {
        "features": np.float32(rng.random((2048, n))),
        "labels": column(labels),
        "image_files": files,
    }, {
        "allclasses_names": _cells(list(CLASSES)),
        "att": rng.random((5, len(CLASSES))),
        "trainval_loc": column([i for i in seen if i not in test]),
        "test_seen_loc": column(test),
        "test_unseen_loc": column([i for i in range(n) if i not in seen]),
        "val_loc": column(seen[:4]),
    }


def _drop(array: np.ndarray, random: random.Random) -> Any:
    return None


def _empty(array: np.ndarray, random: random.Random) -> Any:
    return np.empty((0, 0))


def _transpose(array: np.ndarray, random: random.Random) -> Any:
    return array.T


def _shorten(array: np.ndarray, random: random.Random) -> Any:
    return array[: random.randrange(len(array))]


def _another_type(array: np.ndarray, random: random.Random) -> Any:
    kind = random.choice(["f4", "i8", "u1", "c16", "?"])
    return array.astype(kind) if array.dtype != object else np.arange(len(array))


def _as_text(array: np.ndarray, random: random.Random) -> Any:
    return random.choice(["a text", ["a", "b", "c", "d"], {"a": 1}, _cells([array]), 7])


def _values(array: np.ndarray, random: random.Random) -> Any:
    if array.dtype == object:
        array[random.randrange(len(array)), 0] = random.choice(
            ["", "a/b", "x\ny", "\x1b]0;t", "é" * 9, np.eye(2), "a" * 100_000]
        )
    else:
        wrong = [0, -1, 0.5, np.nan, np.inf, 1e300, 25]
        array.flat[random.randrange(array.size)] = random.choice(wrong)
    return array


ARRAY_CHANGES: dict[str, Callable[[np.ndarray, random.Random], Any]] = {
    "array missing": _drop,
    "array empty": _empty,
    "array transposed": _transpose,
    "array shortened": _shorten,
    "array of another type": _another_type,
    "array of text or structures": _as_text,
    "value changed": _values,
}
BYTE_CHANGES = ("bytes changed", "cut short", "integers changed", "another file")
FOREIGN = (
    b"",
    b"<html>Not found</html>",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 5\n",
    b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + b"\x89HDF\r\n\x1a\n" + bytes(600),
    b"PK\x03\x04" + bytes(100),
    b"0.5 0.25\n" * 1000,
)


def make(folder: Path, random: random.Random, number: int) -> str:
    """Write both files of a case, one of them changed.

    Args:
        folder: Gets AWA2/res101.mat and AWA2/att_splits.mat.
        random: Decides the rest.
        number: Of the case: the kinds of change go in turn.

    Returns:
        The sort of case.
    """
    sorts = (*ARRAY_CHANGES, *BYTE_CHANGES)
    sort = sorts[number % len(sorts)]
    both = dict(zip(FILES, _arrays(), strict=True))
    target = random.choice(FILES)
    if sort in ARRAY_CHANGES:
        key = random.choice(list(both[target]))
        changed = ARRAY_CHANGES[sort](both[target].pop(key), random)
        if changed is not None:
            both[target][key] = changed
    (folder / "AWA2").mkdir()
    for name, arrays in both.items():
        savemat(folder / "AWA2" / name, arrays, do_compression=random.random() < 0.5)
    if sort in BYTE_CHANGES:
        file = folder / "AWA2" / target
        file.write_bytes(_changed_bytes(bytearray(file.read_bytes()), sort, random))
    return sort


def _changed_bytes(content: bytearray, sort: str, random: random.Random) -> bytes:
    if sort == "another file":
        return random.choice(FOREIGN)
    if sort == "cut short":
        return bytes(content[: random.randrange(len(content))])
    for _ in range(random.randint(1, 5)):
        at = random.randrange(len(content) - 8)
        if sort == "bytes changed":
            content[at] = random.randrange(256)
        else:  # where sizes and types of elements stand
            number = random.choice([0, 1, 7, 2**31 - 1, 2**32 - 8, 2**16])
            content[at // 8 * 8 : at // 8 * 8 + 4] = struct.pack("<I", number)
    return bytes(content)


def prepare() -> None:
    """Fork the reader's process from here instead of starting Python anew, which takes seconds."""
    from devise_exp.data.xlsa17 import matlab, matlab_reader

    def forked(
        command: list[str], *, input: str, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            child = os.fork()
            if child == 0:
                sys.argv, sys.stdin = ["matlab_reader", command[-1]], io.StringIO(input)
                sys.stdout, sys.stderr = out, err
                _end(matlab_reader.main, err)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(command, code, out.read(), err.read())

    vars(matlab)["subprocess"] = SimpleNamespace(run=forked)


def _end(main: Callable[[], None], err: TextIO) -> None:
    """Run the reader, and end this process as Python would."""
    code = 0
    try:
        main()
    except BaseException:
        traceback.print_exc(file=err)
        code = 1
    sys.stdout.flush()
    err.flush()
    os._exit(code)


def read(folder: Path) -> str:
    """Read data, features and attributes as a run does.

    Args:
        folder: Of `make`.

    Returns:
        The numbers of rows and classes.
    """
    from devise_exp.data.xlsa17.dataset import xlsa17_dataset
    from devise_exp.data.xlsa17.files import read_attributes, read_features, read_listing

    with tempfile.TemporaryDirectory() as cache_folder:
        os.environ["DEVISE_CACHE"] = cache_folder
        data = xlsa17_dataset(folder, "AWA2")
        listing = read_listing(folder, "AWA2")
        assert len(data.rows) == len(set(data.rows)) == len(data.labels)
        rows = np.concatenate(listing.parts)
        assert len(np.unique(rows)) == len(rows) <= len(data.rows)
        assert read_features(listing).shape == (len(data.rows), 2048)
        classes, vectors = read_attributes(folder, "AWA2")
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
        return f"{len(data.rows)} rows of {len(classes)} classes"
