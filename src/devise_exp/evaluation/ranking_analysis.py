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
MOST_HUBS = 10
MOST_PAIRS = 20
BINS = 10


@dataclass(frozen=True, eq=False)
class ProtocolRanking:
    """The labels that the model ranked for a protocol's images.

    truth: (N,) class ids; candidates: class ids; neighbours: (N, K) class ids, best first;
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
    """(N,) cosine of each image with its first neighbour; images (N, D) and class_vectors (C, D)
    unit rows, neighbours (N, K) class ids.
    """
    first = class_vectors[neighbours[:, 0]].astype(np.float64)
    return np.asarray(np.einsum("nd,nd->n", images.astype(np.float64), first))


def hits_by_class(ranked: ProtocolRanking | None, k: int) -> dict[int, float]:
    """hit@k of each class with images; of none where the ranking is absent or not deep enough."""
    if ranked is None or ranked.neighbours.shape[1] < min(k, len(ranked.candidates)):
        return {}
    hits = (ranked.neighbours[:, :k] == ranked.truth[:, None]).any(axis=1)
    return {c: float(hits[ranked.truth == c].mean()) for c in np.unique(ranked.truth).tolist()}


def hubness(ranked: ProtocolRanking, names: Sequence[str]) -> dict[str, Any]:
    """How unevenly labels come among the k nearest (Radovanović et al. 2010).

    N_k of a label is the number of images that have it among their k nearest; skewness is that of
    N_k over the candidates, 0 where all are alike. Hubs: the labels with the greatest N_k above the
    mean, the expected one. k is 10, less where there are fewer neighbours or under 20 candidates.
    """
    n, n_candidates = len(ranked.truth), len(ranked.candidates)
    k = min(HUB_DEPTH, ranked.neighbours.shape[1], max(1, n_candidates // 2))
    occurrences = np.bincount(ranked.neighbours[:, :k].ravel(), minlength=len(names))
    counts = occurrences[ranked.candidates]  # N_k
    away = counts - n * k / n_candidates
    sd = float(np.sqrt((away**2).mean()))
    order = np.lexsort((ranked.candidates, -counts))[:MOST_HUBS]
    return {
        "k": k,
        "skewness": float((away**3).mean()) / sd**3 if sd > 0 else 0.0,
        "hubs": [
            {
                "name": names[ranked.candidates[i]],
                "count": int(counts[i]),
                "expected": n * k / n_candidates,
            }
            for i in order
            if away[i] > 0
        ],
    }


def confusions(
    ranked: ProtocolRanking, names: Sequence[str], vectors: np.ndarray
) -> dict[str, Any]:
    """The commonest wrong first answers, and how near their words lie to the true ones.

    vectors: (C, D) unit rows. share: of the true class's images; neighbour: the answer's place
    among the other candidates by cosine to the true word, 1 the nearest. median_neighbour: over all
    wrongly answered images, None without one; expected_neighbour: that of answers at random.
    """
    answer = ranked.neighbours[:, 0]
    wrong = answer != ranked.truth
    pairs, counts = np.unique(
        np.stack([ranked.truth[wrong], answer[wrong]], axis=1), axis=0, return_counts=True
    )
    places = _places(vectors, ranked.candidates, pairs)
    images = np.bincount(ranked.truth)
    shown = np.argsort(-counts, kind="stable")[:MOST_PAIRS]
    return {
        "pairs": [
            {
                "true": names[true],
                "answer": names[given],
                "count": int(count),
                "share": float(count / images[true]),
                "cosine": float(vectors[true].astype(np.float64) @ vectors[given]),
                "neighbour": int(place),
            }
            for (true, given), count, place in zip(
                pairs[shown], counts[shown], places[shown], strict=True
            )
        ],
        "median_neighbour": float(np.median(np.repeat(places, counts))) if len(pairs) else None,
        "expected_neighbour": len(ranked.candidates) / 2,  # the median of 1 to C - 1
    }


def calibration_curve(ranked: ProtocolRanking) -> dict[str, Any]:
    """hit@1 by the similarity of the first neighbour, in up to ten bins of as many images each.

    error: the expected calibration error (Guo et al. 2017), the mean over images of how far their
    bin's hit@1 is from its mean similarity; 0 where similarity may be read as the share of right
    answers. Images of the same similarity stand in the same bin, which holds lo and, but for the
    last, not hi. Similarities are those before calibration.
    """
    similarity = ranked.similarity.astype(np.float64)
    hits = ranked.neighbours[:, 0] == ranked.truth
    # Edges are similarities of images, so that no bin is empty.
    edges = np.unique(np.quantile(similarity, np.linspace(0, 1, BINS + 1), method="inverted_cdf"))
    n_bins = max(len(edges) - 1, 1)
    own = np.minimum(np.searchsorted(edges, similarity, side="right") - 1, n_bins - 1)
    images = np.bincount(own, minlength=n_bins)
    shares = np.bincount(own, hits, n_bins) / images
    means = np.bincount(own, similarity, n_bins) / images
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


def _places(vectors: np.ndarray, candidates: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(P,) place of the second id of each pair (P, 2) among the candidates but the first, by
    cosine to the first.
    """
    places = np.zeros(len(pairs), dtype=np.int64)
    index = ExactIndex(vectors[candidates])
    for true in np.unique(pairs[:, 0]):
        found, _ = index.search(vectors[true : true + 1], len(candidates))
        others = candidates[found[0]]
        others = others[others != true]
        own = np.flatnonzero(pairs[:, 0] == true)
        place_of = np.zeros(len(vectors), dtype=np.int64)
        place_of[others] = np.arange(1, len(others) + 1)
        places[own] = place_of[pairs[own, 1]]
    return places
