"""Classes that a nearest neighbour cannot tell apart: of the same words, or of the same vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import MAX_LISTED, listed
from devise_exp.text.label_options import alias_override, merge_override
from devise_exp.text.resolution import Resolution

SAME = 1e-6  # the largest difference of one component; float32 sums differ by less
NEAR = 0.98  # cosine
# Cosine of GloVe's vectors above which two unseen classes may be confused (experiments/near_names).
CONFUSED = 0.7
_BLOCK = 2048  # rows that are compared with all others at a time


@dataclass(frozen=True)
class NearClasses:
    """Classes whose vectors are so near that few images will tell them apart.

    Attributes:
        n: How many pairs of classes have a cosine over the least one.
        pairs: The nearest of them: two classes and their cosine; MAX_LISTED at most.
    """

    n: int
    pairs: tuple[tuple[str, str, float], ...]

    def __str__(self) -> str:
        shown = "; ".join(f"{one} and {other} ({c:.3f})" for one, other, c in self.pairs)
        more = self.n - len(self.pairs)
        return f"{shown} and {more:,} more" if more else shown


def require_distinct_words(resolutions: Sequence[Resolution]) -> None:
    """Check that no two classes have the same words.

    Args:
        resolutions: C classes.

    Raises:
        InputError: If two have; the line says how to merge or to rename them.
    """
    names: dict[tuple[str, ...], str] = {}
    pairs = []
    words = ""
    for r in resolutions:
        key = tuple(sorted(r.words))  # a mean does not know the order of its words
        if key and key in names:
            words = words or " ".join(key)
            pairs.append((names[key], r.name))
        names.setdefault(key, r.name)
    if pairs:
        raise InputError(_same(pairs, f"the same words ({words})"))


def require_distinct_vectors(names: Sequence[str], vectors: np.ndarray) -> None:
    """Check that no two classes have the same vector, whatever their words.

    Args:
        names: C classes.
        vectors: (C, D) unit rows.

    Raises:
        InputError: If two have; the line says how to merge or to rename them.
    """
    _, first, index = np.unique(
        np.round(vectors / SAME).astype(np.int64), axis=0, return_index=True, return_inverse=True
    )
    earlier = first[index.ravel()]
    doubled = np.flatnonzero(earlier != np.arange(len(vectors)))
    if len(doubled):
        pairs = [(names[earlier[i]], names[i]) for i in doubled.tolist()]
        raise InputError(_same(pairs, "the same vector for different words"))


def near_classes(
    names: Sequence[str],
    vectors: np.ndarray,
    least: float = NEAR,
) -> NearClasses:
    """Find classes whose vectors are near each other.

    Args:
        names: C classes.
        vectors: (C, D) unit rows.
        least: The pairs have a larger cosine.

    Returns:
        The pairs, the nearest first.
    """
    n, pairs = 0, []
    for start in range(0, len(vectors), _BLOCK):
        cosines = np.triu(vectors[start : start + _BLOCK] @ vectors.T, start + 1)
        rows, columns = np.nonzero(cosines > least)
        n += len(rows)
        near = cosines[rows, columns]
        for i in np.argsort(-near, kind="stable")[:MAX_LISTED]:
            one, other = names[start + rows[i]], names[columns[i]]
            pairs.append((one, other, float(near[i])))
    nearest = sorted(pairs, key=lambda pair: -pair[2])
    return NearClasses(n, tuple(nearest[:MAX_LISTED]))


def is_glove(word_vectors: str) -> bool:
    """Tell whether word vectors are GloVe's, by their name.

    Args:
        word_vectors: Such as "glove_6b_50d", or the name of a file, "glove.6B.300d.txt".

    Returns:
        Whether the name says so.
    """
    return word_vectors.lower().startswith("glove")


def confused_line(names: Sequence[str], vectors: np.ndarray, unseen: np.ndarray) -> str:
    """Say which unseen classes a model may take for one another, by their word vectors alone.

    Args:
        names: C classes.
        vectors: (C, D) unit rows of GloVe; the cosines of others are of another scale.
        unseen: (C,) bool.

    Returns:
        One line of bounded length; "" without such classes.
    """
    names = [name for name, is_unseen in zip(names, unseen, strict=True) if is_unseen]
    near = near_classes(names, vectors[unseen], CONFUSED)
    if not near.n:
        return ""
    pairs = "1 pair" if near.n == 1 else f"{near.n:,} pairs"
    return (
        f"{pairs} of unseen classes whose names are near each other (cosine above {CONFUSED}) and "
        f"may be confused: {near}: descriptions or sentences may tell them apart "
        "(word_vectors=sentence_minilm, or a file of descriptions)"
    )


def _same(pairs: Sequence[tuple[str, str]], what: str) -> str:
    """The line about pairs of classes that are one to every method."""
    one, other = pairs[0]
    rest = [f"{first!r} and {second!r}" for first, second in pairs[1:]]
    more = f" (likewise {listed(rest)})" if rest else ""
    return (
        f"classes {one!r} and {other!r} have {what}{more}: merge them "
        f"({merge_override(other, one)}) or give one another word ({alias_override(other)})"
    )
