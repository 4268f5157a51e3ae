"""nmslib's own index object: built or restored, reproducibly and without its messages."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from devise_exp.core.console import spinner
from devise_exp.core.errors import InputError
from devise_exp.core.streams import without_stderr

VECTORS_WORTH_A_SPINNER = 5000


def build_engine(
    vectors: np.ndarray, method: str, settings: Mapping[str, Any], graph: Path | None
) -> Any:
    """Build nmslib's index, or restore it from a saved graph.

    Args:
        vectors: (N, D) float32 unit rows.
        method: "hnsw" or "brute_force".
        settings: `m` and `ef_construction` of HNSW.
        graph: The file of a saved graph of the same vectors; None: build one.

    Returns:
        The object of `nmslib.init`.

    Raises:
        InputError: nmslib cannot be imported.
    """
    nmslib = _import_nmslib()
    hnsw = {"M": settings["m"], "efConstruction": settings["ef_construction"]}
    options = {**hnsw, "post": 0, "indexThreadQty": 1} if method == "hnsw" else {}

    def build() -> Any:
        engine = nmslib.init(method=method, space="cosinesimil")
        engine.addDataPointBatch(vectors)
        if graph is None:
            engine.createIndex(options, print_progress=False)
        else:
            engine.loadIndex(str(graph))
        return engine

    waiting: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
    if method == "hnsw" and graph is None and len(vectors) >= VECTORS_WORTH_A_SPINNER:
        waiting = spinner(f"HNSW graph of {len(vectors):,} vectors")
    # nmslib draws from a generator of its thread, seeded as the thread starts: only in a fresh
    # thread (and with one indexing thread) do two builds give the same graph.
    with waiting, ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(build).result()


def _import_nmslib() -> Any:
    """The nmslib module, without what its import prints and without its progress in our logs."""
    logging.getLogger("nmslib").setLevel(logging.WARNING)
    with contextlib.nullcontext() if "nmslib" in sys.modules else without_stderr():
        try:
            import nmslib
        except ImportError as error:
            raise InputError(
                f"nmslib cannot be imported ({error}): install it, or set index=exact"
            ) from error
    return nmslib
