"""Hits that show the same image, folded into the nearest of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from devise_exp.data.decoding import decode, read_whole
from devise_exp.data.perceptual_hash import LOOK_BYTES, join_groups, look_of, near_groups
from devise_exp.runs.gallery import Gallery

DRAFT = (64, 64)  # pixels that suffice for a look
MOST = 8  # of so many times k hits copies are looked for

Looks = dict[int, np.ndarray]  # row of a gallery -> how its image looks


def nearest_without_copies(
    gallery: Gallery, vector: np.ndarray, k: int, left_out: Collection[int] = ()
) -> list[tuple[int, float, tuple[int, ...]]]:
    """Search a gallery for k images that look different.

    Two images are the same if their files look the same (data.perceptual_hash), or if their vectors
    are equal. Copies of the images `left_out` are hits like any other.

    Args:
        gallery: The gallery.
        vector: (D,) the query.
        k: Number of images.
        left_out: Rows that are no hits.

    Returns:
        Row, similarity and the rows of its copies, nearest first; fewer than k if the gallery, or
        the first MOST times k hits, have no more.
    """
    looks: Looks = {}
    limit = min(len(gallery), MOST * k + max(1, len(left_out)))
    depth = min(limit, 2 * k + max(1, len(left_out)))
    while True:
        ids, similarities = gallery.index.search(vector[None], depth)
        hits = [
            (i, s)
            for i, s in zip(ids[0].tolist(), similarities[0].tolist(), strict=True)
            if i not in left_out
        ]
        groups = _groups(gallery, [i for i, _ in hits], looks)
        first = np.flatnonzero(groups == np.arange(len(hits)))
        if len(first) > k or depth == limit:
            break
        depth = min(limit, 2 * depth)
    rows = [i for i, _ in hits]
    copies = {p: tuple(rows[q] for q in np.flatnonzero(groups == p) if q != p) for p in first[:k]}
    return [(*hits[p], of_hit) for p, of_hit in copies.items()]


def _groups(gallery: Gallery, rows: Sequence[int], looks: Looks) -> np.ndarray:
    """(n,) the position of the first of `rows` that shows the same image."""
    for row in rows:
        if row not in looks:
            looks[row] = _look(gallery.rows[row].path)
    if not rows:
        return np.arange(0)
    groups = near_groups(np.stack([looks[row] for row in rows]))
    _, first, number = np.unique(
        np.ascontiguousarray(gallery.index.vectors[rows]),
        axis=0, return_index=True, return_inverse=True,
    )  # fmt: skip
    return join_groups(groups, np.arange(len(rows)), first[number.ravel()])


def _look(path: str | None) -> np.ndarray:
    """How an image looks; zero, which is like no other, if it is not there."""
    nothing = np.zeros(LOOK_BYTES, np.uint8)
    if path is None:
        return nothing
    content = read_whole(Path(path))
    image = content if isinstance(content, str) else decode(content, DRAFT)
    return look_of(image) if isinstance(image, Image.Image) else nothing
