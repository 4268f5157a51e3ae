"""Arrays of MATLAB files of versions 5 to 7, read by scipy in a process of its own.

The files may be anybody's, and scipy can crash on damaged ones: then the child process dies, and
the caller gets an InputError. The child (matlab_reader) checks every array by its shape and type
before it loads the array, and hands it over in a file that has no name, so none can be left behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.files import cache_dir

MAX_NUMBERS = 1 << 29  # 4 GiB of doubles; a compressed file can claim any size
MAX_TEXTS = 1_000_000
MAX_TEXT_BYTES = 1 << 27  # of all texts of an array
PUBLISHED = "take the published file"
_READER = f"{__name__}_reader"

Shape = tuple[int | None, int | None]  # None: any length


class MatlabArrays(NamedTuple):
    """What was read of one file, by the names of its arrays.

    Attributes:
        numbers: Real numbers as stored, in Fortran order.
        texts: The texts of cells, each one line and not empty.
        shapes: Shapes of numbers that were not loaded.
    """

    numbers: dict[str, np.ndarray]
    texts: dict[str, tuple[str, ...]]
    shapes: dict[str, tuple[int, int]]


def read_arrays(
    file: Path,
    *,
    numbers: Mapping[str, Shape] | None = None,
    texts: Sequence[str] = (),
    shapes: Mapping[str, Shape] | None = None,
    optional: Sequence[str] = (),
) -> MatlabArrays:
    """Read arrays of a MATLAB file in a process that may crash.

    Args:
        file: The file.
        numbers: Names of real numbers to load, with the shapes they must have.
        texts: Names of cells of texts to load.
        shapes: Names of real numbers of which only the shape is read.
        optional: Names among `numbers` that may be missing or empty, and are then left out.

    Returns:
        The arrays.

    Raises:
        InputError: If the file is missing or damaged, an array has another type, shape or size, or
            memory is too short.
        OSError: If the file cannot be read, or the cache folder has no room for the arrays.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such file: {PUBLISHED}")
    file.open("rb").close()  # a file that may not be read is not damaged
    limits = {"numbers": MAX_NUMBERS, "texts": MAX_TEXTS, "text_bytes": MAX_TEXT_BYTES}
    request = [str(file), {**(numbers or {})}, [*texts], {**(shapes or {})}, [*optional], limits]
    cache_dir().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=cache_dir()) as stream:
        answer = _ask_reader(stream, request)
        _check(answer, file)
        stream.seek(0)
        return MatlabArrays(
            {key: np.load(stream) for key in answer["numbers"]},
            {key: tuple(lines) for key, lines in answer["texts"].items()},
            {key: (rows, columns) for key, (rows, columns) in answer["shapes"].items()},
        )


def _check(answer: Mapping[str, Any], file: Path) -> None:
    """Raise the error that an answer of the child process holds."""
    if "error" in answer:
        raise InputError(f"{file}: {answer['error']}")
    if "errno" in answer:
        path = str(cache_dir()) if answer["writing"] else str(file)
        raise OSError(answer["errno"], os.strerror(answer["errno"]), path)


def _ask_reader(stream: BinaryIO, request: Sequence[object]) -> dict[str, Any]:
    """Run the child process; its arrays come into the stream."""
    paths = os.pathsep.join(path for path in sys.path if path)
    child = subprocess.run(
        [sys.executable, "-m", _READER, str(stream.fileno())],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
        pass_fds=[stream.fileno()],
        # The memory of a thread of OpenBLAS per core would count against the child's limit.
        env=os.environ | {"PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"},
    )
    if "Traceback" in child.stderr:
        raise RuntimeError(f"{request[0]} was read, but not handed over: {child.stderr}")
    if child.returncode in (-signal.SIGKILL, -signal.SIGTERM):  # what ends whoever takes too much
        return {"error": "reading was stopped: free some memory, then start again"}
    if child.returncode:  # scipy crashed
        return {"error": "damaged: get the published file again"}
    answer: dict[str, Any] = json.loads(child.stdout)
    return answer
