"""What a protocol's rankings show: hits by class, hubs, confusions, and what a similarity is worth.

N is the number of images, K that of the neighbours of each. Results are dicts of numbers, names and
None only, as diagnostics.json holds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from devise_exp.index.exact import ExactIndex

HUB_DEPTH = 10
MAX_HUBS = 10
MAX_PAIRS = 20
BINS = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class ProtocolRanking:
    """The labels that the trained model ranks for a protocol's images.

    Attributes:
        protocol: Name of the protocol.
        truth: (N,) class ids.
        candidates: (M,) class ids.
        neighbours: (N, K) class ids, best first.
        similarity: (N,) cosine of each image with its first neighbour.
    """

    protocol: str
    truth: np.ndarray
    candidates: np.ndarray
    neighbours: np.ndarray
    similarity: np.ndarray

    def __post_init__(self) -> None:
        lengths = {len(self.truth), len(self.neighbours), len(self.similarity)}
        if len(lengths) > 1 or lengths == {0}:
            raise ValueError(f"{self.protocol}: rankings of {sorted(lengths)} images")


def top_similarity(
    images: np.ndarray, class_vectors: np.ndarray, neighbours: np.ndarray
) -> np.ndarray:
    """Compute the cosine of each image with its first neighbour.

    Args:
        images: (N, D) unit rows.
        class_vectors: (C, D) unit rows.
        neighbours: (N, K) class ids.

    Returns:
        (N,) cosines in float64.
    """
    first = class_vectors[neighbours[:, 0]].astype(np.float64)
    return np.asarray(np.einsum("nd,nd->n", images.astype(np.float64), first))


def hits_by_class(ranking: ProtocolRanking | None, k: int) -> dict[int, float]:
    """Compute hit@k of each class that has images.

    Args:
        ranking: The ranking, None if the protocol was not evaluated.
        k: Number of labels that count.

    Returns:
        Class id -> share of hits; empty without a ranking, or with one that is not deep enough.
    """
    if ranking is None or ranking.neighbours.shape[1] < min(k, len(ranking.candidates)):
        return {}
    hits = (ranking.neighbours[:, :k] == ranking.truth[:, None]).any(axis=1)
    return {c: float(hits[ranking.truth == c].mean()) for c in np.unique(ranking.truth).tolist()}


def hubness(ranking: ProtocolRanking, names: Sequence[str]) -> dict[str, Any]:
    """Measure how unevenly labels come among the k nearest (Radovanović et al. 2010).

    N_k of a label is the number of images that have it among their k nearest. k is 10, less if
    there are fewer neighbours or under 20 candidates.

    Args:
        ranking: The ranking.
        names: (C,) class names by id.

    Returns:
        "k"; "skewness" of N_k over the candidates, 0 if all are alike; "hubs", the labels with the
        greatest N_k above the mean, which is the expected one.
    """
    n, n_candidates = len(ranking.truth), len(ranking.candidates)
    k = min(HUB_DEPTH, ranking.neighbours.shape[1], max(1, n_candidates // 2))
    occurrences = np.bincount(ranking.neighbours[:, :k].ravel(), minlength=len(names))
    counts = occurrences[ranking.candidates]  # N_k
    away = counts - n * k / n_candidates
    sd = float(np.sqrt((away**2).mean()))
    order = np.lexsort((ranking.candidates, -counts))[:MAX_HUBS]
    return {
        "k": k,
        "skewness": float((away**3).mean()) / sd**3 if sd > 0 else 0.0,
        "hubs": [
            {
                "name": names[ranking.candidates[i]],
                "count": int(counts[i]),
                "expected": n * k / n_candidates,
            }
            for i in order
            if away[i] > 0
        ],
    }


def confusions(
    ranking: ProtocolRanking, names: Sequence[str], vectors: np.ndarray
) -> dict[str, Any]:
    """List the commonest wrong first answers, and how near their words lie to the true ones.

    Args:
        ranking: The ranking.
        names: (C,) class names by id.
        vectors: (C, D) unit rows of the class vectors.

    Returns:
        "pairs" with the "share" of the true class's images and the "neighbour" rank of the answer
        among the other candidates by cosine to the true word, 1 the nearest; "median_neighbour"
        over all wrongly answered images, None without one; "expected_neighbour" of random answers.
    """
    answer = ranking.neighbours[:, 0]
    wrong = answer != ranking.truth
    pairs, counts = np.unique(
        np.stack([ranking.truth[wrong], answer[wrong]], axis=1), axis=0, return_counts=True
    )
    ranks = _neighbour_ranks(vectors, ranking.candidates, pairs)
    images = np.bincount(ranking.truth)
    shown = np.argsort(-counts, kind="stable")[:MAX_PAIRS]
    return {
        "pairs": [
            {
                "true": names[true],
                "answer": names[answered],
                "count": int(count),
                "share": float(count / images[true]),
                "cosine": float(vectors[true].astype(np.float64) @ vectors[answered]),
                "neighbour": int(rank),
            }
            for (true, answered), count, rank in zip(
                pairs[shown], counts[shown], ranks[shown], strict=True
            )
        ],
        "median_neighbour": float(np.median(np.repeat(ranks, counts))) if len(pairs) else None,
        "expected_neighbour": len(ranking.candidates) / 2,  # the median of 1 to C - 1
    }


def calibration_curve(ranking: ProtocolRanking) -> dict[str, Any]:
    """Compute hit@1 by the similarity of the first neighbour, in up to ten bins of as many images.

    Images of the same similarity stand in the same bin. Similarities are those before calibration.

    Args:
        ranking: The ranking.

    Returns:
        "bins", each from "lo" to "hi", which only the last one holds; "error", the expected
        calibration error (Guo et al. 2017): the mean over images of how far the hit@1 of their bin
        is from its mean similarity, 0 if similarity may be read as the share of right answers.
    """
    similarity = ranking.similarity.astype(np.float64)
    hits = ranking.neighbours[:, 0] == ranking.truth
    # Edges are similarities of images, so that no bin is empty.
    edges = np.unique(np.quantile(similarity, np.linspace(0, 1, BINS + 1), method="inverted_cdf"))
    n_bins = max(len(edges) - 1, 1)
    bins = np.minimum(np.searchsorted(edges, similarity, side="right") - 1, n_bins - 1)  # (N,)
    images = np.bincount(bins, minlength=n_bins)
    shares = np.bincount(bins, hits, n_bins) / images
    means = np.bincount(bins, similarity, n_bins) / images
    return {
        "bins": [
            {
                "lo": float(edges[i]),
                "hi": float(edges[min(i + 1, len(edges) - 1)]),
                "images": int(images[i]),
                "hit@1": float(shares[i]),
            }
            for i in range(n_bins)
        ],
        "error": float((images * np.abs(shares - means)).sum() / len(hits)),
    }


def _neighbour_ranks(vectors: np.ndarray, candidates: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Rank the second id of each pair (P, 2) among the candidates by cosine to the first."""
    ranks = np.zeros(len(pairs), dtype=np.int64)
    index = ExactIndex(vectors[candidates])
    for true in np.unique(pairs[:, 0]):
        rows, _ = index.search(vectors[true : true + 1], len(candidates))
        others = candidates[rows[0]]
        others = others[others != true]
        rank_of = np.zeros(len(vectors), dtype=np.int64)
        rank_of[others] = np.arange(1, len(others) + 1)
        of_true = np.flatnonzero(pairs[:, 0] == true)
        ranks[of_true] = rank_of[pairs[of_true, 1]]
    return ranks
