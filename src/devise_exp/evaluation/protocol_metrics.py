"""The metric records of one protocol: of a method's rankings, and of a random ranking."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TypeGuard

import numpy as np

from devise_exp.evaluation.gamma_spread import GammaSpread
from devise_exp.evaluation.metrics import hits as hit_metrics
from devise_exp.evaluation.metrics.hierarchical import chance_precision, precisions, support
from devise_exp.evaluation.metrics.hits import class_mean, harmonic_mean, hit_at_k, rank_of_truth
from devise_exp.evaluation.metrics.intervals import class_interval, interval
from devise_exp.evaluation.protocols import Protocol
from devise_exp.evaluation.records import CHANCE, MetricName, MetricRecord
from devise_exp.text.wordnet.hierarchy import UNPLACED


def ranking_records(
    method: str,
    protocol: Protocol,
    rankings: np.ndarray,
    truth: np.ndarray,
    ks: Sequence[int],
    distances: np.ndarray | None,
    intervals: bool = True,
) -> list[MetricRecord]:
    """Measure a method's rankings.

    Args:
        method: Name of the method.
        protocol: The protocol that was ranked.
        rankings: (N, K) class ids, best first, K >= max(ks).
        truth: (N,) class ids.
        ks: Which hit@k.
        distances: (C, C) hops between classes, None to leave out hierarchical precision.
        intervals: Whether hit@k has intervals over images and classes.

    Returns:
        Records of hit@k, and of hierarchical precision if the hierarchy holds all candidates.
    """
    records = hit_records(method, protocol.name, rankings, truth, ks, intervals)
    if not _holds(distances, protocol.candidates):
        return records
    near = precisions(rankings, truth, protocol.candidates, distances, ks)
    of_method = partial(MetricRecord, method=method, protocol=protocol.name, metric="hp")
    return records + [of_method(k=k, value=float(shares.mean())) for k, shares in near.items()]


def hit_records(
    method: str,
    protocol: str,
    rankings: np.ndarray,
    truth: np.ndarray,
    ks: Sequence[int],
    intervals: bool = True,
) -> list[MetricRecord]:
    """Measure hit@k per image and as the class mean, with 95 % bootstrap intervals.

    Args:
        method: Name of the method.
        protocol: Name of the protocol.
        rankings: (N, K) class ids, best first, K >= max(ks).
        truth: (N,) class ids.
        ks: Which hit@k.
        intervals: Whether they have intervals.

    Returns:
        Two records per k. Both have intervals over images, the class mean also one over classes.
    """
    ranks = rank_of_truth(rankings, truth)
    records = []
    for k in ks:
        hits = hit_at_k(ranks, k)
        of_k = partial(MetricRecord, method=method, protocol=protocol, metric="hit", k=k)
        if not intervals:
            of_images, of_classes = float(hits.mean()), class_mean(hits, truth)
            records += [of_k(average="image", value=of_images)]
            records += [of_k(average="class", value=of_classes)]
            continue
        low, high = interval(hits)
        records.append(of_k(average="image", value=float(hits.mean()), low=low, high=high))
        low, high = interval(hits, truth)
        classes_low, classes_high = class_interval(hits, truth)
        records.append(
            of_k(
                average="class",
                value=class_mean(hits, truth),
                low=low,
                high=high,
                classes_low=classes_low,
                classes_high=classes_high,
            )
        )
    return records


def support_records(
    method: str, protocol: Protocol, truth: np.ndarray, distances: np.ndarray | None
) -> list[MetricRecord]:
    """Count the classes and images that hierarchical precision rests on.

    Args:
        method: Name of the method; the counts are the same for each.
        protocol: The protocol.
        truth: (N,) class ids of its images.
        distances: (C, C) hops between classes, None without a hierarchy.

    Returns:
        The two counts; nothing if the hierarchy does not hold all candidates.
    """
    if not _holds(distances, protocol.candidates):
        return []
    of_protocol = partial(MetricRecord, method=method, protocol=protocol.name)
    classes, images = support(truth, distances)
    return [
        of_protocol(metric="hp_classes", value=float(classes)),
        of_protocol(metric="hp_images", value=float(images)),
    ]


def chance_records(
    protocol: Protocol, truth: np.ndarray, ks: Sequence[int], distances: np.ndarray | None
) -> list[MetricRecord]:
    """Compute the metrics that a random ranking of the candidates is expected to reach.

    Args:
        protocol: The protocol.
        truth: (N,) class ids of its images.
        ks: Which hit@k.
        distances: (C, C) hops between classes, None to leave out hierarchical precision.

    Returns:
        The records of CHANCE.
    """
    n = len(protocol.candidates)
    of_chance = partial(MetricRecord, method=CHANCE, protocol=protocol.name)
    records = [
        of_chance(metric="hit", k=k, average="image", value=hit_metrics.chance(k, n)) for k in ks
    ]
    if _holds(distances, protocol.candidates):
        has_place = distances.diagonal() != UNPLACED  # (C,)
        rows = truth[has_place[truth]]
        n_placed = has_place[protocol.candidates].sum()
        for k in (k for k in ks if len(rows) and k <= n_placed):
            near = chance_precision(rows, protocol.candidates, distances, k)
            records.append(of_chance(metric="hp", k=k, value=float(near.mean())))
    return records


def generalised_records(
    method: str,
    records: Sequence[MetricRecord],
    gamma: float | None,
    spread: GammaSpread | None = None,
) -> list[MetricRecord]:
    """Combine a method's seen and unseen metrics among all labels (Xian et al. 2018).

    Args:
        method: Name of the method.
        records: Its records of all protocols.
        gamma: Its gamma of calibrated stacking, None without one.
        spread: How sure gamma is, None if that is unknown.

    Returns:
        H of the two generalised class means of hit@1, plain and calibrated; gamma with its
        interval, and the best gamma of each class fold.
    """
    means = {r.name: r.value for r in records if (r.metric, r.k, r.average) == ("hit", 1, "class")}
    combined = []
    for kind in ("all", "calibrated"):
        u, s = (
            means.get(MetricName(f"{kind}_{side}", "hit", 1, "class"))
            for side in ("unseen", "seen")
        )
        if u is None or s is None:
            continue
        record = MetricRecord(
            method=method, protocol=kind, metric="H", k=1, value=harmonic_mean(u, s)
        )
        combined.append(record)
        if kind == "calibrated" and gamma is not None:
            combined += _gamma_records(method, gamma, spread)
    return combined


def _gamma_records(method: str, gamma: float, spread: GammaSpread | None) -> list[MetricRecord]:
    """Gamma, its interval and those of the class folds."""
    of_gamma = partial(MetricRecord, method=method, protocol="calibrated")
    if spread is None:
        return [of_gamma(metric="gamma", value=gamma)]
    return [
        of_gamma(metric="gamma", value=gamma, low=spread.low, high=spread.high),
        *(
            of_gamma(metric="fold_gamma", k=fold, value=value)
            for fold, value in enumerate(spread.per_fold, start=1)
        ),
    ]


def _holds(distances: np.ndarray | None, candidates: np.ndarray) -> TypeGuard[np.ndarray]:
    """Whether the hierarchy holds all candidates: labels beyond the run's classes have no place."""
    return distances is not None and bool(candidates.max() < len(distances))
