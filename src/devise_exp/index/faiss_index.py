"""Nearest neighbours by faiss: exact, by a graph, or among compressed vectors on disk."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.index.faiss_engine import (
    LINKS,
    build_graph,
    graph_arrays,
    import_faiss,
    load_graph,
)
from devise_exp.index.faiss_lists import (
    CODES,
    FEWEST,
    LISTS,
    build_lists,
    lists_arrays,
    load_lists,
    padded,
)
from devise_exp.index.files import VECTORS, writing
from devise_exp.index.nmslib_index import default_ef_search
from devise_exp.index.rescoring import SPARE_NEIGHBOURS, rescored_answers
from devise_exp.index.unit_rows import candidate_rows, checked_queries

KINDS = ("flat", "hnsw", "ivf_pq")
QUERIES_AT_ONCE = 1024


class FaissIndex:
    """faiss's "flat", "hnsw" or "ivf_pq" by inner product of unit rows.

    The candidates that faiss gives are ranked again by the vectors themselves, which may be
    memory-mapped; a query that faiss leaves open is searched exactly (`exact_answers` counts
    these). Two builds on one machine give the same index. In a config:

        index:
          _target_: devise_exp.index.FaissIndex
          _partial_: true
          kind: ivf_pq

    Args:
        vectors: (N, D) of any length.
        kind: One of KINDS. Under 9,984 vectors, too few to learn codes from, ivf_pq is flat.
        m: hnsw: neighbours kept for each vector in the graph.
        ef_construction: hnsw: width of the search while the graph is built.
        ef_search: hnsw: width of the search for a query; None: as `NmslibIndex`.
        lists: ivf_pq: number of lists, at most one for every 39 vectors of the sample; None: the
            root of N.
        probes: ivf_pq: lists that are searched for a query.
        code_bytes: ivf_pq: bytes of a vector, at most D; None: a quarter of D.
        sample: ivf_pq: vectors that lists and codes are learned from, 9,984 or more; None: 39 for
            each list.
        refine: ivf_pq: candidates that are ranked again, at least.
        saved: Folder of a saved index of the same vectors, restored instead of built.

    Raises:
        InputError: A row is all zero or not finite, a setting is out of range, or faiss cannot be
            imported.

    Source:
        Jégou et al., "Product quantization for nearest neighbor search", TPAMI 2011; Douze et al.,
        "The Faiss library", 2024 (https://github.com/facebookresearch/faiss).
    """

    name = "faiss"

    def __init__(
        self,
        vectors: np.ndarray,
        kind: str = "hnsw",
        m: int = 16,
        ef_construction: int = 200,
        ef_search: int | None = None,
        lists: int | None = None,
        probes: int = 64,
        code_bytes: int | None = None,
        sample: int | None = None,
        refine: int = 1000,
        saved: Path | None = None,
    ) -> None:
        if kind not in KINDS:
            raise InputError(f"index.kind {kind!r} is unknown: use one of {', '.join(KINDS)}")
        self._settings: dict[str, Any] = {
            "kind": kind, "m": m, "ef_construction": ef_construction, "ef_search": ef_search,
            "lists": lists, "probes": probes, "code_bytes": code_bytes, "sample": sample,
            "refine": refine,
        }  # fmt: skip
        least = {"m": 2, "sample": FEWEST}
        for key, value in self._settings.items():
            if key != "kind" and value is not None:
                _check_whole(key, value, least.get(key, 1))
        self.vectors = candidate_rows(vectors)
        n, dim = self.vectors.shape
        if code_bytes is not None and code_bytes > dim:
            raise InputError(f"index.code_bytes is {code_bytes}: set at most {dim}, one a number")
        self.exact_answers = 0
        self._kind = "flat" if kind == "ivf_pq" and n < FEWEST else kind
        self._ef_search = default_ef_search(n) if ef_search is None else ef_search
        self._lists_file: Path | None = None  # of the lists that are searched on disk
        self._engine = self._build() if saved is None else self._restore(saved)

    def __len__(self) -> int:
        return len(self.vectors)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Search the nearest neighbours of queries, as `Index.search` says."""
        queries = checked_queries(self.vectors, queries, k)
        asked = min(len(self), k + SPARE_NEIGHBOURS)
        if self._kind == "hnsw":
            self._engine.hnsw.efSearch = max(self._ef_search, asked)
        elif self._kind == "ivf_pq":
            asked = min(len(self), max(asked, self._settings["refine"]))
            self._engine.nprobe = min(self._engine.nlist, self._settings["probes"])
        ids = np.empty((len(queries), k), dtype=np.int64)
        similarities = np.empty((len(queries), k), dtype=np.float32)
        for start in range(0, len(queries), QUERIES_AT_ONCE):
            part = slice(start, start + QUERIES_AT_ONCE)
            _, rows = self._engine.search(padded(queries[part], self._engine.d), asked)
            answers = [row[row >= 0] for row in rows]
            ids[part], similarities[part], exact_answers = rescored_answers(
                self.vectors, queries[part], answers, k
            )
            self.exact_answers += exact_answers
        return ids, similarities

    def save(self, folder: Path) -> None:
        """Write the index: the vectors, and the graph or the lists as plain arrays."""
        with writing(folder, self.name, self._settings) as partial:
            np.save(partial / VECTORS, self.vectors)
            if self._kind == "hnsw":
                np.savez(partial / LINKS, allow_pickle=False, **graph_arrays(self._engine))
            elif self._lists_file is not None:
                np.savez(partial / CODES, allow_pickle=False, **lists_arrays(self._engine))
                shutil.copyfile(self._lists_file, partial / LISTS)

    def _build(self) -> Any:
        """Faiss's object for the vectors."""
        settings = self._settings
        if self._kind == "hnsw":
            return build_graph(self.vectors, settings["m"], settings["ef_construction"])
        if self._kind == "ivf_pq":
            self._workplace = tempfile.TemporaryDirectory(prefix="devise-exp-lists-")
            folder = Path(self._workplace.name)
            self._lists_file = folder / LISTS
            return build_lists(self.vectors, settings, folder)
        engine = import_faiss().IndexFlatIP(self.vectors.shape[1])
        engine.add(np.ascontiguousarray(self.vectors))
        return engine

    def _restore(self, folder: Path) -> Any:
        """Faiss's object of a saved index."""
        if self._kind == "hnsw":
            return load_graph(folder, self.vectors, self._settings["m"])
        if self._kind == "ivf_pq":
            self._lists_file = folder / LISTS
            return load_lists(folder, *self.vectors.shape)
        return self._build()


def _check_whole(key: str, value: Any, least: int) -> None:
    """InputError if a setting is no whole number from `least` up."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"index.{key} is {value!r}: set a whole number from {least} up")
