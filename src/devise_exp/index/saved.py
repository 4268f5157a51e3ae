"""Saving an index, and reading it again."""

from __future__ import annotations

from pathlib import Path

from devise_exp.core.array_files import load_array
from devise_exp.index.auto import AutoIndex
from devise_exp.index.exact import ExactIndex
from devise_exp.index.faiss_index import FaissIndex
from devise_exp.index.files import GRAPH, VECTORS, checked_folder, unreadable
from devise_exp.index.nmslib_index import NmslibIndex
from devise_exp.index.protocol import Index


def save(index: Index, folder: Path) -> None:
    """Write an index; of one that is not of this package, the vectors as an exact index.

    Args:
        index: The index.
        folder: A new folder, or that of an index, which is replaced.

    Raises:
        InputError: The folder holds something else.
    """
    if type(index) in (ExactIndex, AutoIndex, NmslibIndex, FaissIndex):
        index.save(folder)
    else:
        ExactIndex(index.vectors).save(folder)


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
