"""Words of a query that are far from all trained classes, so that a search for them is a guess.

How well unseen classes are found is measured on the run's own classes. A word that is farther from
its nearest trained class than nearly all of those are from theirs is one of which no metric says
anything. So the limit is a share of the run's own classes, not a cosine: a cosine of 0.5 is near in
300 dimensions and far in 50.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from devise_exp.core.name_files import listed
from devise_exp.search.query import WordQuery
from devise_exp.search.saved_run import Run

# On the default run: a cosine of 0.45. All of its 25 unseen classes are nearer (0.47 to 0.83), and
# two thirds of the 10,000 most frequent words.
FAR_SHARE = 0.05


@dataclass(frozen=True, kw_only=True)
class FarWord:
    """A name of a query that is far from all trained classes.

    Attributes:
        text: The name.
        nearest: The nearest trained class.
        cosine: Their cosine.
    """

    text: str
    nearest: str
    cosine: float


def far_words(run: Run, query: WordQuery) -> tuple[FarWord, ...]:
    """Find the names of a query that are far from all trained classes.

    Args:
        run: The run.
        query: The query; what it takes away does not count.

    Returns:
        Those that are farther from the nearest than all but FAR_SHARE of the run's classes.
    """
    names, (seen, _) = list(run.classes), run.folder.class_ids()
    cosines = query.vectors @ run.class_vectors[seen].T  # (T, S)
    limit = far_limit(run.class_vectors, seen)
    return tuple(
        FarWord(text=text, nearest=names[seen[row.argmax()]], cosine=float(row.max()))
        for text, weight, row in zip(query.texts, query.weights, cosines, strict=True)
        if weight > 0 and row.max() < limit
    )


def far_limit(class_vectors: np.ndarray, seen: np.ndarray) -> float:
    """Compute the cosine below which a word is far.

    Args:
        class_vectors: (C, D) unit rows of the run's classes.
        seen: (S,) ids of the trained ones.

    Returns:
        The cosine to the nearest other trained class that all but FAR_SHARE of the classes have.

    Example:
        >>> vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8]])
        >>> round(far_limit(vectors, np.array([0, 1])), 2)
        0.8
    """
    cosines = class_vectors @ class_vectors[seen].T  # (C, S)
    cosines[seen, np.arange(len(seen))] = -2  # a class is no neighbour of itself
    nearest = cosines.max(axis=1)
    return float(np.quantile(nearest[nearest > -2], FAR_SHARE)) if len(nearest) > 1 else -1.0


def far_line(words: tuple[FarWord, ...], remedy: str = "") -> str:
    """Say which words are far.

    Args:
        words: The words, at least one.
        remedy: What to do, as "try --space pretraining".

    Returns:
        One line of bounded length.

    Example:
        >>> far_line((FarWord(text="car", nearest="apple", cosine=0.3),))
        'car: the nearest trained class is apple, cosine 0.30: far from all trained classes'
    """
    lines = [
        f"{word.text}: the nearest trained class is {word.nearest}, cosine {word.cosine:.2f}"
        for word in words
    ]
    return f"{listed(lines, 3)}: far from all trained classes" + (f"; {remedy}" if remedy else "")
