"""faiss's inverted lists of compressed vectors (IVF-PQ): in a file, searched from there.

Codes are computed a block of vectors at a time and put into one file, list after list, as faiss's
OnDiskInvertedLists reads it; faiss's own joining prints to stdout. A saved index is plain arrays
and that file, all of checked sizes: faiss's own reader may crash on a file of somebody else.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from devise_exp.core.array_files import load_arrays
from devise_exp.core.console import spinner
from devise_exp.index.faiss_engine import import_faiss

CODES, LISTS = "codes.npz", "lists.bin"
CODE_VALUES = 256  # of a code of eight bits
POINTS_PER_CENTROID = 39  # faiss warns below
FEWEST = POINTS_PER_CENTROID * CODE_VALUES  # vectors that codes can be learned from
ROWS_AT_ONCE = 1 << 18  # vectors that are in memory at a time
ID_BYTES = 8


def build_lists(vectors: np.ndarray, settings: Mapping[str, Any], folder: Path) -> Any:
    """Learn the codes from a sample, and put all vectors into lists on disk.

    Args:
        vectors: (N, D) float32 unit rows, N at least FEWEST; a block at a time is read.
        settings: `lists`, `code_bytes` and `sample`; None: what fits N and D.
        folder: Where the file of the lists goes.

    Returns:
        The IndexIVFPQ; its lists stay in the file.
    """
    n, dim = vectors.shape
    sample = min(n, settings["sample"] or max(FEWEST, POINTS_PER_CENTROID * _lists(n, settings)))
    lists = min(_lists(n, settings), sample // POINTS_PER_CENTROID)
    engine = _empty(dim, lists, settings["code_bytes"] or math.ceil(dim / 4))
    chosen = np.sort(np.random.default_rng(0).choice(n, sample, replace=False))
    with spinner(f"IVF-PQ of {n:,} vectors: {lists:,} lists, learned from {sample:,}"):
        engine.train(padded(vectors[chosen], engine.d))
        _attach(engine, _write_lists(engine, vectors, folder), folder / LISTS)
    return engine


def _write_lists(engine: Any, vectors: np.ndarray, folder: Path) -> np.ndarray:
    """Write the file of the lists; the number of vectors (lists,) in each."""
    n, code_bytes, lists = len(vectors), engine.code_size, np.empty(len(vectors), np.int32)
    with tempfile.TemporaryFile(dir=folder) as file:
        for start in range(0, n, ROWS_AT_ONCE):
            block = padded(vectors[start : start + ROWS_AT_ONCE], engine.d)
            encoded = engine.sa_encode(block)  # the number of the list, then the code
            number = np.zeros((len(block), 4), np.uint8)
            number[:, : encoded.shape[1] - code_bytes] = encoded[:, :-code_bytes]
            lists[start : start + len(block)] = number.view("<i4")[:, 0]
            file.write(encoded[:, -code_bytes:].tobytes())
        file.flush()
        codes = np.memmap(file, np.uint8, "r", shape=(n, code_bytes))
        sizes = np.bincount(lists, minlength=engine.nlist)
        ends = np.cumsum(sizes * (code_bytes + ID_BYTES))
        begins, counts = ends - sizes * (code_bytes + ID_BYTES), np.zeros_like(sizes)
        output = np.memmap(folder / LISTS, np.uint8, "w+", shape=(n * (code_bytes + ID_BYTES),))
        for start in range(0, n, ROWS_AT_ONCE):
            part = lists[start : start + ROWS_AT_ONCE]
            order = np.argsort(part, kind="stable")
            of_block = np.bincount(part, minlength=engine.nlist)
            within = np.arange(len(part)) - np.repeat(np.cumsum(of_block) - of_block, of_block)
            ordered = part[order]
            position = counts[ordered] + within  # in its list
            rows = start + order
            _scatter(output, begins[ordered] + position * code_bytes, codes[rows])
            ids = rows.astype("<i8").view(np.uint8).reshape(-1, ID_BYTES)
            _scatter(
                output, begins[ordered] + sizes[ordered] * code_bytes + position * ID_BYTES, ids
            )
            counts += of_block
        output.flush()
    return sizes


def _scatter(output: np.ndarray, offsets: np.ndarray, rows: np.ndarray) -> None:
    """Write rows (n, w) of bytes to their offsets (n,) of a file."""
    output[offsets[:, None] + np.arange(rows.shape[1])] = rows


def lists_arrays(engine: Any) -> dict[str, np.ndarray]:
    """Take an index apart, but for the file of its lists.

    Args:
        engine: The IndexIVFPQ.

    Returns:
        Centroids of the lists (lists, d), of the codes (code_bytes, 256, d / code_bytes), and the
        number of vectors in each list.
    """
    faiss = import_faiss()
    pq, sizes = engine.pq, [engine.invlists.list_size(i) for i in range(engine.nlist)]
    return {
        "centroids": engine.quantizer.reconstruct_n(0, engine.nlist),
        "codebook": faiss.vector_to_array(pq.centroids).reshape(pq.M, CODE_VALUES, pq.dsub),
        "sizes": np.array(sizes, dtype=np.int64),
    }


def load_lists(folder: Path, n: int, dim: int) -> Any:
    """Put a saved index together; the lists stay on disk.

    Args:
        folder: Its folder.
        n: Number of vectors.
        dim: Their length.

    Returns:
        The IndexIVFPQ.

    Raises:
        ValueError: A file is not what was saved.
    """
    faiss = import_faiss()
    arrays = load_arrays(folder / CODES)
    centroids, codebook, sizes = (arrays.get(key) for key in ("centroids", "codebook", "sizes"))
    if centroids is None or codebook is None or sizes is None:
        raise ValueError(f"{CODES} lacks an array")
    lists, width = _checked_shapes(centroids, codebook, sizes, n, dim)
    code_bytes, path = len(codebook), folder / LISTS
    if path.stat().st_size != n * (code_bytes + ID_BYTES):
        raise ValueError(f"{LISTS} is not of {n} vectors")
    engine = _empty(dim, lists, code_bytes)
    assert engine.d == width
    engine.quantizer.add(centroids)
    faiss.copy_array_to_vector(codebook.ravel(), engine.pq.centroids)
    _attach(engine, sizes, path)
    return engine


def _attach(engine: Any, sizes: np.ndarray, path: Path) -> None:
    """Let an index search the lists of a file, of checked sizes (lists,)."""
    faiss, entry_bytes = import_faiss(), engine.code_size + ID_BYTES
    on_disk = faiss.OnDiskInvertedLists(engine.nlist, engine.code_size, os.fspath(path))
    on_disk.read_only = True
    on_disk.lists.clear()
    ends = np.cumsum(sizes * entry_bytes)
    for size, end in zip(sizes.tolist(), ends.tolist(), strict=True):
        entry = faiss.OnDiskOneList()
        entry.size, entry.capacity, entry.offset = size, size, end - size * entry_bytes
        on_disk.lists.push_back(entry)
    on_disk.totsize = path.stat().st_size
    on_disk.do_mmap()
    engine.replace_invlists(on_disk, True)
    on_disk.this.disown()
    engine.ntotal, engine.is_trained = int(sizes.sum()), True


def padded(rows: np.ndarray, width: int) -> np.ndarray:
    """Append zeros to rows, which changes no inner product, and read them if they are mapped.

    Args:
        rows: (N, D).
        width: Length that faiss divides into codes, D or more.

    Returns:
        (N, width) float32.
    """
    return np.pad(np.asarray(rows, dtype=np.float32), ((0, 0), (0, width - rows.shape[1])))


def _lists(n: int, settings: Mapping[str, Any]) -> int:
    """Number of lists: the root of the number of vectors, unless it is given."""
    return int(settings["lists"] or math.isqrt(n))


def _empty(dim: int, lists: int, code_bytes: int) -> Any:
    """An IndexIVFPQ without vectors, of the width that `code_bytes` divide."""
    faiss = import_faiss()
    width = code_bytes * math.ceil(dim / code_bytes)
    quantizer = faiss.IndexFlatIP(width)
    shape = (width, lists, code_bytes, 8)  # bits of a code
    engine = faiss.IndexIVFPQ(quantizer, *shape, faiss.METRIC_INNER_PRODUCT)
    engine.own_fields = True
    quantizer.this.disown()
    return engine


def _checked_shapes(
    centroids: np.ndarray, codebook: np.ndarray, sizes: np.ndarray, n: int, dim: int
) -> tuple[int, int]:
    """Number of lists and width of the vectors; ValueError for arrays that do not fit."""
    floats = [array for array in (centroids, codebook) if array.dtype == np.float32]
    if len(floats) < 2 or not all(np.isfinite(array).all() for array in floats):
        raise ValueError("centroids are no finite float32")
    if codebook.ndim != 3 or codebook.shape[1] != CODE_VALUES or centroids.ndim != 2:
        raise ValueError(f"centroids of shapes {centroids.shape} and {codebook.shape}")
    width = codebook.shape[0] * codebook.shape[2]
    lists = len(centroids)
    if centroids.shape[1] != width or codebook.shape[2] != math.ceil(dim / len(codebook)):
        raise ValueError(f"centroids of {centroids.shape[1]} numbers for vectors of {dim}")
    if sizes.dtype != np.int64 or sizes.shape != (lists,) or (sizes < 0).any() or sizes.max() > n:
        raise ValueError("sizes of lists are not what was saved")
    if sum(sizes.tolist()) != n:
        raise ValueError(f"lists of {sum(sizes.tolist())} vectors, not {n}")
    return lists, width
