"""Reading a saved index."""

from __future__ import annotations

from pathlib import Path

from devise_exp.core.array_files import load_array
from devise_exp.index.auto import AutoIndex
from devise_exp.index.exact import ExactIndex
from devise_exp.index.faiss_index import FaissIndex
from devise_exp.index.files import GRAPH, VECTORS, checked_folder, unreadable
from devise_exp.index.nmslib_index import NmslibIndex
from devise_exp.index.protocol import Index


def load(folder: Path) -> Index:
    """Read an index; a graph is restored, not rebuilt, and vectors stay on disk.

    Args:
        folder: The folder that `save` wrote.

    Returns:
        The index.

    Raises:
        InputError: A file is missing or was changed, or the format is another.
    """
    name, settings = checked_folder(folder)
    try:
        vectors = load_array(folder / VECTORS, mapped=True)
        if name in (ExactIndex.name, AutoIndex.name):
            return (ExactIndex if name == ExactIndex.name else AutoIndex)(vectors, **settings)
        if name == FaissIndex.name:
            return FaissIndex(vectors, **settings, saved=folder)
        graph = folder / GRAPH if name == "hnsw" else None
        return NmslibIndex(vectors, name, **settings, graph=graph)
    except (TypeError, ValueError, RuntimeError, OSError) as error:
        raise unreadable(folder, str(error)) from error
