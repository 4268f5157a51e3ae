"""Do the words of a class mean what its images show? What a person needs to see to tell.

A word with a meaning of its own elsewhere (the pear called Conference) is found "exact" and stands
far from the other classes: its nearest words say where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from devise_exp.text.resolution import Resolution
from devise_exp.text.word_vectors.vectors import WordVectors

SEARCHED = 100_000  # words, the most frequent: rarer neighbours say nothing to a person
RARE = 200_000  # vectors of rarer words are of few texts
N_NEAREST = 3
FAR = 1.8  # robust standard deviations beyond the median distance
_BLOCK = 256  # classes that are compared with all words at a time


@dataclass(frozen=True)
class WordCheck:
    """What tells whether the words of a class are the right ones.

    Attributes:
        nearest: The words nearest to the class vector, other than its own.
        rank: Frequency rank of the rarest of its words; None if the vocabulary has no ranks.
        distance: 1 minus the cosine to the mean of the other classes; None for a single class.
        suspect: Why the words may be wrong, "" if nothing says so.
    """

    nearest: tuple[str, ...]
    rank: int | None
    distance: float | None
    suspect: str


def check_words(
    resolutions: Sequence[Resolution], vectors: np.ndarray, vocabulary: WordVectors
) -> tuple[WordCheck, ...]:
    """Check the words of classes.

    Args:
        resolutions: C classes, none of them missing.
        vectors: (C, D) unit rows, their class vectors.
        vocabulary: The word vectors.

    Returns:
        C checks. Marked as suspect is a class that is much farther from the mean of the others than
        most, or whose words are rare, composed of subwords or the nearest spelling.
    """
    distances = _distances(vectors)
    limit = _limit(distances)
    nearest = _nearest(resolutions, vectors, vocabulary)
    first = {row.tobytes(): r.name for row, r in zip(vectors[::-1], resolutions[::-1], strict=True)}
    checks = []
    for resolution, words, distance, row in zip(
        resolutions, nearest, distances, vectors, strict=True
    ):
        ranks = [vocabulary.rank(word) for word in resolution.words]
        rank = max((rank for rank in ranks if rank is not None), default=None)
        twin = first[row.tobytes()]
        reasons = [
            f"the vector of {twin}" if twin != resolution.name else "",
            "far from the other classes" if distance > limit else "",
            "rare" if rank is not None and rank >= RARE else "",
            {"subword": "letters alone", "nearest": "spelt otherwise"}.get(resolution.rule, ""),
        ]
        known = None if np.isnan(distance) else float(distance)
        checks.append(WordCheck(words, rank, known, ", ".join(filter(None, reasons))))
    return tuple(checks)


def _distances(vectors: np.ndarray) -> np.ndarray:
    """(C,) distance of each class to the mean of the others; NaN for a single class."""
    if len(vectors) < 2:
        return np.full(len(vectors), np.nan)
    others = vectors.sum(axis=0, dtype=np.float64) - vectors
    lengths = np.linalg.norm(others, axis=1)
    cosines = (others * vectors).sum(axis=1) / np.where(lengths > 0, lengths, np.inf)
    return np.asarray(1 - cosines)


def _limit(distances: np.ndarray) -> float:
    """The distance beyond which a class stands apart; of few classes nobody can tell."""
    if len(distances) < 5:
        return float("inf")
    median = np.median(distances)
    spread = 1.4826 * np.median(np.abs(distances - median))  # that of a normal distribution
    return float(median + FAR * max(spread, 1e-6))


def _nearest(
    resolutions: Sequence[Resolution], vectors: np.ndarray, vocabulary: WordVectors
) -> list[tuple[str, ...]]:
    """The words nearest to each class vector, without its own."""
    table = vocabulary.vectors[:SEARCHED]
    if not len(table) or table.shape[1] != vectors.shape[1]:
        return [()] * len(resolutions)
    words: list[tuple[str, ...]] = []
    for start in range(0, len(vectors), _BLOCK):
        block = resolutions[start : start + _BLOCK]
        scores = vectors[start : start + _BLOCK] @ table.T  # (b, SEARCHED)
        for resolution, row in zip(block, scores, strict=True):
            n = min(len(row), N_NEAREST + len(resolution.words))
            best = np.argpartition(-row, n - 1)[:n]
            ordered = (vocabulary.words[i] for i in best[np.argsort(-row[best], kind="stable")])
            others = [word for word in ordered if word not in resolution.words]
            words.append(tuple(others[:N_NEAREST]))
    return words
