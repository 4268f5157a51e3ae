"""Predictions: for every evaluated image and protocol, the rank of its class and the top labels.

They are the rankings that the metrics were computed from, so hit@k is the share of ranks up to k,
to the last digit and at ties too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from devise_exp.evaluation.metrics.hits import rank_of_truth
from devise_exp.evaluation.protocols import MODEL, MethodOutput, Protocol
from devise_exp.evaluation.records import method_key
from devise_exp.index.unit_rows import pair_dots

PART_NAMES = {"seen": "test", "unseen": "unseen", "train": "train"}  # of split.json


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """The predictions of one method in one protocol, of n images.

    Attributes:
        method: Name of the method.
        protocol: Name of the protocol.
        part: Part of the images: "seen", "unseen" or "train".
        rows: (n,) positions of the images in their part.
        truth: (n,) ids of their classes.
        ranks: (n,) ranks of the true labels, from 1; 0 for one that was not among those ranked.
        labels: (n, k) ids of the nearest labels, best first.
        similarities: (n, k) float32, what ranks them: the cosine, in a calibrated protocol less
            gamma for a seen label.
    """

    method: str
    protocol: str
    part: str
    rows: np.ndarray
    truth: np.ndarray
    ranks: np.ndarray
    labels: np.ndarray
    similarities: np.ndarray


def predictions(
    models: Sequence[MethodOutput],
    protocols: Sequence[Protocol],
    neighbours: Mapping[str, np.ndarray],
    k: int,
    max_images: int | None = None,
) -> Iterator[Predictions]:
    """Collect the predictions of methods from their rankings.

    Args:
        models: Method outputs, that of the trained model first.
        protocols: The protocols that were evaluated.
        neighbours: (N, K) ids of each image's nearest labels by `records.method_key`; a method or
            a protocol that is not there has no predictions.
        k: Number of labels, those of the protocol if there are fewer.
        max_images: The most images of a part, evenly spread; None for all.

    Yields:
        The predictions, method by method.
    """
    for position, model in enumerate(models):
        method = MODEL if position == 0 else model.name
        for protocol in protocols:
            ranked = neighbours.get(method_key(method, protocol.name))
            if ranked is not None:
                yield _of_protocol(model, method, protocol, ranked, k, max_images)


def sample_of(n: int, max_images: int | None) -> np.ndarray:
    """Choose images evenly spread over a part.

    Args:
        n: Number of images.
        max_images: The most to choose, None for all.

    Returns:
        (m,) their positions, rising.
    """
    if max_images is None or n <= max_images:
        return np.arange(n)
    rows: np.ndarray = np.linspace(0, n - 1, max_images).round().astype(np.int64)
    return rows


def _of_protocol(
    model: MethodOutput,
    method: str,
    protocol: Protocol,
    ranked: np.ndarray,
    k: int,
    max_images: int | None,
) -> Predictions:
    """The predictions of one method in one protocol."""
    images = model.parts[protocol.images]
    n = len(images.class_ids)
    counts = np.ones(n, bool)
    if protocol.classes is not None:
        counts = np.isin(images.class_ids, protocol.classes)
    rows = np.flatnonzero(counts)  # (N,) those of `ranked`
    kept = np.isin(rows, sample_of(n, max_images))
    rows, ranked = rows[kept], ranked[kept]
    truth = images.class_ids[rows]
    ranks = rank_of_truth(ranked, truth) + 1
    ranks[ranks > ranked.shape[1]] = 0
    labels = ranked[:, :k].astype(np.int64)
    pairs = np.repeat(rows, labels.shape[1]), labels.ravel()
    cosines = pair_dots(images.vectors, model.class_vectors, *pairs).reshape(labels.shape)
    similarities = cosines.astype(np.float32)
    if protocol.calibrated_candidates is not None and model.gamma is not None:
        lowered = np.isin(labels, protocol.calibrated_candidates)
        similarities = np.where(lowered, similarities - model.gamma, similarities)
    return Predictions(
        method=method,
        protocol=protocol.name,
        part=protocol.images,
        rows=rows,
        truth=truth,
        ranks=ranks,
        labels=labels,
        similarities=similarities.astype(np.float32),
    )
