"""Nearest neighbours by cosine: an exact index, and nmslib's HNSW and brute force held to it.

Every index settles its answer in the same way: the similarities of the ids it found are computed
again as float64 dot products of unit vectors, summed in one fixed order, and sorted by
(-similarity, id). Indexes that find the same neighbours therefore agree to the last bit, ties and
identical vectors included.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from devise_exp.index.auto import AutoIndex
from devise_exp.index.exact import ExactIndex
from devise_exp.index.files import GRAPH, VECTORS, checked_folder, unreadable
from devise_exp.index.nmslib_index import NmslibIndex
from devise_exp.index.protocol import Index


def load(folder: Path) -> Index:
    """The index that `save` wrote as `folder`, its graph restored, not rebuilt.

    InputError where a file is missing, was changed or cut short, or belongs to another version.
    """
    name, settings = checked_folder(folder)
    try:
        vectors = np.load(folder / VECTORS, allow_pickle=False)
        if name in (ExactIndex.name, AutoIndex.name):
            return (ExactIndex if name == ExactIndex.name else AutoIndex)(vectors, **settings)
        graph = folder / GRAPH if name == "hnsw" else None
        return NmslibIndex(vectors, name, **settings, graph=graph)
    except (TypeError, ValueError, RuntimeError) as error:
        raise unreadable(folder, str(error)) from error
