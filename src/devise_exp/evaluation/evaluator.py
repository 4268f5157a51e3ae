"""Evaluation: every method's embedded images to one EvalReport of metric records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeGuard

import numpy as np

from devise_exp.evaluation.metrics import hits as hit_metrics
from devise_exp.evaluation.metrics.calibrated_stacking import Curve, ausuc
from devise_exp.evaluation.metrics.hierarchical import chance_precision, precisions
from devise_exp.evaluation.metrics.hits import class_mean, harmonic_mean, hit_at_k, rank_of_truth
from devise_exp.evaluation.metrics.intervals import class_interval, interval
from devise_exp.evaluation.protocols import MODEL, MethodOutput, Protocol, ks_of
from devise_exp.evaluation.ranker import RECALL_AT, MakeIndex, Ranker, supports
from devise_exp.evaluation.records import CHANCE, MetricName, MetricRecord, flatten, method_key
from devise_exp.index.exact import ExactIndex
from devise_exp.text.wordnet.hierarchy import UNPLACED


@dataclass(frozen=True)
class EvalReport:
    """The metrics of a run.

    Attributes:
        records: One record per metric, method and protocol.
        about: What the metrics rest on: data, backbone, split ...
        n: Per protocol its numbers of images and candidates, or of queries and images of a search.
    """

    records: tuple[MetricRecord, ...]
    about: dict[str, str | int | float]
    n: dict[str, tuple[int, int]]

    @property
    def values(self) -> dict[str, float]:
        """The numbers of metrics.json by key."""
        return flatten(self.records)

    def with_records(
        self, records: Iterable[MetricRecord], n: Mapping[str, tuple[int, int]]
    ) -> EvalReport:
        """Add records.

        Args:
            records: Further records.
            n: Sizes of their protocols.

        Returns:
            The report with the further records after its own.
        """
        return replace(self, records=(*self.records, *records), n={**self.n, **n})


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A report, and the rankings that it was made of.

    Attributes:
        report: Every metric.
        neighbours: (N, k) ids of each image's nearest labels, best first, by
            `records.method_key(method, protocol)`.
        truth: (N,) class ids of the images, per protocol.
        curves: Trade-off between seen and unseen classes, per method.
    """

    report: EvalReport
    neighbours: dict[str, np.ndarray] = field(default_factory=dict)
    truth: dict[str, np.ndarray] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)


def evaluate(
    models: Sequence[MethodOutput],
    protocols: Sequence[Protocol],
    make_index: MakeIndex,
    ks: Sequence[int] | int | None = None,
    about: dict[str, str | int | float] | None = None,
    distances: np.ndarray | None = None,
) -> Evaluation:
    """Measure every method in every protocol that it supports.

    Args:
        models: Method outputs, that of the trained model first.
        protocols: Which images are ranked among which labels.
        make_index: Builds the index of (C, D) class vectors that the trained model is searched
            with; the other methods are searched exactly.
        ks: The ks of hit@k; None for those of protocols.KS that a protocol has candidates for.
        about: What the metrics rest on.
        distances: (C, C) hops between the classes in a hierarchy, for hierarchical precision; None
            leaves it out.

    Returns:
        The report with the rankings.

    Raises:
        InputError: A k is above the number of candidates, or an image's class is no candidate.
    """
    result = Evaluation(EvalReport((), about or {}, {}))
    asked = [(protocol, ks_of(protocol, ks)) for protocol in protocols]
    records: list[MetricRecord] = []
    recalls: list[float] = []
    for position, model in enumerate(models):
        method = MODEL if position == 0 else model.name
        # The index is a part of the trained model; the others are measured without its losses.
        ranker = Ranker(model, make_index if position == 0 else ExactIndex)
        measured: list[MetricRecord] = []
        for protocol, protocol_ks in asked:
            if supports(model, protocol):
                measured += _measure(result, ranker, method, protocol, protocol_ks, distances)
        records += [*measured, *_generalised(method, measured, model.gamma)]
        records += _tradeoff(result, ranker, method, protocols)
        recalls += ranker.recalls
    for protocol, protocol_ks in asked:  # last, as in the tables
        if protocol.name in result.truth:
            truth = result.truth[protocol.name]
            records += _chance_records(protocol, truth, protocol_ks, distances)
    recall = min(recalls, default=1.0)
    records.append(MetricRecord(protocol="index", metric="recall", k=RECALL_AT, value=recall))
    return replace(result, report=result.report.with_records(records, {}))


def hit_records(
    rankings: np.ndarray, truth: np.ndarray, ks: Sequence[int], method: str, protocol: str
) -> list[MetricRecord]:
    """Measure hit@k per image and as the class mean, with 95 % bootstrap intervals.

    Args:
        rankings: (N, K) class ids, best first, K >= max(ks).
        truth: (N,) class ids.
        ks: Which hit@k.
        method: Method of the records.
        protocol: Protocol of the records.

    Returns:
        Two records per k. Both have intervals over images; the class mean also one over classes.
    """
    ranks = rank_of_truth(rankings, truth)
    records = []
    for k in ks:
        hits = hit_at_k(ranks, k)
        low, high = interval(hits)
        class_low, class_high = interval(hits, truth)
        classes_low, classes_high = class_interval(hits, truth)
        of_k = partial(MetricRecord, method=method, protocol=protocol, metric="hit", k=k)
        records += [
            of_k(average="image", value=float(hits.mean()), low=low, high=high),
            of_k(
                average="class",
                value=class_mean(hits, truth),
                low=class_low,
                high=class_high,
                classes_low=classes_low,
                classes_high=classes_high,
            ),
        ]
    return records


def _measure(
    result: Evaluation,
    ranker: Ranker,
    method: str,
    protocol: Protocol,
    ks: tuple[int, ...],
    distances: np.ndarray | None,
) -> list[MetricRecord]:
    """Rank a protocol's images by one method, keep the rankings in `result`, and measure them."""
    rankings, truth = ranker.ranked(protocol, max(*ks, RECALL_AT))
    records = hit_records(rankings, truth, ks, method, protocol.name)
    if _holds(distances, protocol.candidates):
        near = precisions(rankings, truth, protocol.candidates, distances, ks)
        records += [
            MetricRecord(
                method=method, protocol=protocol.name, metric="hp", k=k, value=float(shares.mean())
            )
            for k, shares in near.items()
        ]
    # The diagnostics of the trained model may look deeper than its metrics.
    kept = rankings if method == MODEL else rankings[:, : ks[-1]]
    result.neighbours[method_key(method, protocol.name)] = _compact(kept)
    if method == MODEL:
        result.truth[protocol.name] = truth
        result.report.n[protocol.name] = len(truth), len(protocol.candidates)
    return records


def _holds(distances: np.ndarray | None, candidates: np.ndarray) -> TypeGuard[np.ndarray]:
    """Whether the hierarchy holds all candidates: further labels have no place in it."""
    return distances is not None and bool(candidates.max() < len(distances))


def _compact(ids: np.ndarray) -> np.ndarray:
    """The same ids in fewer bytes, for a run folder holds those of every method."""
    return ids.astype(np.int16 if ids.max() <= np.iinfo(np.int16).max else np.int32)


def _tradeoff(
    result: Evaluation, ranker: Ranker, method: str, protocols: Sequence[Protocol]
) -> list[MetricRecord]:
    """Keep the method's trade-off curve in `result`, and measure the area under it."""
    sides = [p for p in protocols if p.name in ("all_seen", "all_unseen")]
    if len(sides) < 2 or not all(supports(ranker.model, side) for side in sides):
        return []
    curve = ranker.curve(protocols)
    result.curves[ranker.model.name] = curve
    return [MetricRecord(method=method, protocol="all", metric="AUSUC", value=ausuc(curve))]


def _chance_records(
    protocol: Protocol, truth: np.ndarray, ks: Sequence[int], distances: np.ndarray | None
) -> list[MetricRecord]:
    """What a random ranking of the candidates is expected to reach."""
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


def _generalised(
    method: str, measured: Sequence[MetricRecord], gamma: float | None
) -> list[MetricRecord]:
    """H of the two generalised class means (Xian et al. 2018), plain and calibrated, and gamma."""
    means = {r.protocol: r.value for r in measured if r.name == _class_hit(r.protocol)}
    records = []
    for kind in ("all", "calibrated"):
        u, s = (means.get(f"{kind}_{side}") for side in ("unseen", "seen"))
        if u is None or s is None:
            continue
        of_kind = partial(MetricRecord, method=method, protocol=kind)
        records.append(of_kind(metric="H", k=1, value=harmonic_mean(u, s)))
        if kind == "calibrated" and gamma is not None:
            records.append(of_kind(metric="gamma", value=gamma))
    return records


def _class_hit(protocol: str) -> MetricName:
    """The class mean of hit@1 in a protocol."""
    return MetricName(protocol, "hit", 1, "class")
