"""Evaluation: every method's embedded images to one EvalReport of metric records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from devise_exp.evaluation.abstention import abstention_records
from devise_exp.evaluation.draws import mean_records, split_draws
from devise_exp.evaluation.metrics.best_gamma import best_gamma, regret
from devise_exp.evaluation.metrics.tradeoff import Curve, ausuc
from devise_exp.evaluation.named_part import nameless, without_images, without_labels
from devise_exp.evaluation.protocol_metrics import (
    chance_records,
    generalised_records,
    ranking_records,
    support_records,
)
from devise_exp.evaluation.protocol_options import ks_of
from devise_exp.evaluation.protocols import MODEL, MethodOutput, Protocol
from devise_exp.evaluation.ranker import RECALL_AT, MakeIndex, Ranker, compact, supports
from devise_exp.evaluation.records import MetricRecord, flatten, method_key
from devise_exp.index.exact import ExactIndex

Asked = tuple[Protocol, tuple[int, ...]]  # a protocol with the ks of hit@k


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """A report, and the rankings that it was made of.

    Attributes:
        report: Every metric.
        neighbours: (N, k) ids of each image's nearest labels, best first, by
            `records.method_key(method, protocol)`.
        truth: (N,) class ids of the images, per protocol.
        curves: Trade-off between seen and unseen classes, per method.
        recall: Of the trained model's index, at RECALL_AT, the least of its searches.
    """

    report: EvalReport
    neighbours: dict[str, np.ndarray] = field(default_factory=dict)
    truth: dict[str, np.ndarray] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)
    recall: float = 1.0


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
        make_index: Builds the trained model's index of (C, D) class vectors.
        ks: The ks of hit@k; None for those of KS below a protocol's number of candidates.
        about: What the metrics rest on.
        distances: (C, C) hops between classes, for hierarchical precision; None leaves it out.

    Returns:
        The report with the rankings.

    Raises:
        InputError: A k is above the number of candidates, or an image's class is no candidate.
    """
    steps = evaluations(models, protocols, make_index, ks, distances)
    return joined([step() for step in steps], protocols, ks, about, distances)


def evaluations(
    models: Sequence[MethodOutput],
    protocols: Sequence[Protocol],
    make_index: MakeIndex,
    ks: Sequence[int] | int | None = None,
    distances: np.ndarray | None = None,
) -> list[Callable[[], Evaluation]]:
    """List the evaluations that `evaluate` makes, one per method; each needs no other.

    Args:
        models: As of `evaluate`.
        protocols: As of `evaluate`.
        make_index: As of `evaluate`.
        ks: As of `evaluate`.
        distances: As of `evaluate`.

    Returns:
        Functions without arguments, in the order of `models`.
    """
    asked = _asked(protocols, ks)
    return [
        partial(_evaluate_model, model, position == 0, make_index, asked, distances)
        for position, model in enumerate(models)
    ]


def joined(
    evaluations: Sequence[Evaluation],
    protocols: Sequence[Protocol],
    ks: Sequence[int] | int | None = None,
    about: dict[str, str | int | float] | None = None,
    distances: np.ndarray | None = None,
) -> Evaluation:
    """Join the evaluations of methods, and add chance and the recall of the index.

    Args:
        evaluations: That of the trained model first.
        protocols: As of `evaluate`.
        ks: As of `evaluate`.
        about: As of `evaluate`.
        distances: As of `evaluate`.

    Returns:
        The report with the rankings.
    """
    records = [record for part in evaluations for record in part.report.records]
    truth = {name: ids for part in evaluations for name, ids in part.truth.items()}
    for protocol, protocol_ks in _asked(protocols, ks):  # last, as in the tables
        if protocol.name in truth:
            records += chance_records(protocol, truth[protocol.name], protocol_ks, distances)
    recall = min((part.recall for part in evaluations), default=1.0)
    records.append(MetricRecord(protocol="index", metric="recall", k=RECALL_AT, value=recall))
    n = {name: size for part in evaluations for name, size in part.report.n.items()}
    return Evaluation(
        report=EvalReport(tuple(records), about or {}, n),
        neighbours={key: ids for part in evaluations for key, ids in part.neighbours.items()},
        truth=truth,
        curves={name: curve for part in evaluations for name, curve in part.curves.items()},
        recall=recall,
    )


def _asked(protocols: Sequence[Protocol], ks: Sequence[int] | int | None) -> list[Asked]:
    """The protocols with the ks of each, without those that have none."""
    pairs = [(protocol, ks_of(protocol, ks)) for protocol in protocols]
    return [(protocol, of_protocol) for protocol, of_protocol in pairs if of_protocol]


def _evaluate_model(
    model: MethodOutput,
    is_first: bool,
    make_index: MakeIndex,
    asked: Sequence[Asked],
    distances: np.ndarray | None,
) -> Evaluation:
    """Measure one method; the index is a part of the first, and the others are searched exactly."""
    result = Evaluation(report=EvalReport((), {}, {}))
    if model.draws > 1:
        return _with_records(result, _evaluate_draws(model, asked, distances))
    if len(gone := nameless(model)):
        rest = replace(result, neighbours={}, truth={})  # of fewer images than those of others
        ranker = Ranker(without_images(model, gone), ExactIndex)
        named = without_labels(asked, gone)
        records = _evaluate_method(rest, ranker, model.name, named, distances)
        return _with_records(result, records)
    ranker = Ranker(model, make_index if is_first else ExactIndex)
    method = MODEL if is_first else model.name
    records = _evaluate_method(result, ranker, method, asked, distances)
    return replace(_with_records(result, records), recall=min(ranker.recalls, default=1.0))


def _with_records(result: Evaluation, records: Iterable[MetricRecord]) -> Evaluation:
    return replace(result, report=result.report.with_records(records, {}))


def _evaluate_method(
    result: Evaluation,
    ranker: Ranker,
    method: str,
    asked: Sequence[Asked],
    distances: np.ndarray | None,
    intervals: bool = True,
) -> list[MetricRecord]:
    """Measure one method, and keep its rankings and its curve in `result`."""
    model, records = ranker.model, []
    for protocol, ks in asked:
        if not supports(model, protocol):
            continue
        rankings, truth = ranker.ranked(protocol, max(*ks, RECALL_AT))
        records += ranking_records(method, protocol, rankings, truth, ks, distances, intervals)
        # The diagnostics of the trained model may look deeper than its metrics.
        kept = rankings if method == MODEL else rankings[:, : ks[-1]]
        result.neighbours[method_key(method, protocol.name)] = compact(kept)
        if method == MODEL:
            records += support_records(method, protocol, truth, distances)
            result.truth[protocol.name] = truth
            result.report.n[protocol.name] = len(truth), len(protocol.candidates)
    records += generalised_records(method, records, model.gamma, model.gamma_spread)
    sides = [p for p, _ in asked if p.name in ("all_seen", "all_unseen")]
    if len(sides) == 2 and all(supports(model, side) for side in sides):
        result.curves[model.name] = curve = ranker.curve(sides)
        area = ausuc(curve)
        records.append(MetricRecord(method=method, protocol="all", metric="AUSUC", value=area))
        records += abstention_records(ranker, method, sides)
        if model.gamma is not None:
            of_gamma = partial(MetricRecord, method=method, protocol="calibrated")
            records.append(of_gamma(metric="best_gamma", value=best_gamma(curve)))
            records.append(of_gamma(metric="regret", value=regret(curve, model.gamma)))
    return records


def _evaluate_draws(
    model: MethodOutput,
    asked: Sequence[Asked],
    distances: np.ndarray | None,
) -> list[MetricRecord]:
    """Measure a method of random draws; no one of its rankings or curves stands for all."""
    of_draws = []
    for draw in split_draws(model):
        alone = Evaluation(report=EvalReport((), {}, {}))
        ranker = Ranker(draw, ExactIndex)
        of_draws.append(_evaluate_method(alone, ranker, model.name, asked, distances, False))
    return mean_records(of_draws)
