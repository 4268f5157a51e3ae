"""Evaluation: what every method makes of the images, to one EvalReport of figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from devise_exp.evaluation.metrics import calibrated_stacking, hierarchical, intervals
from devise_exp.evaluation.metrics import hits as hits_module
from devise_exp.evaluation.metrics.calibrated_stacking import Curve
from devise_exp.evaluation.metrics.hierarchical import chance_precision
from devise_exp.evaluation.metrics.hits import class_mean, harmonic_mean, hit_at_k, rank_of_truth
from devise_exp.evaluation.metrics.intervals import class_interval
from devise_exp.evaluation.protocols import MethodOutput, Protocol, ks_of
from devise_exp.evaluation.ranker import RECALL_AT, MakeIndex, Ranker, supports
from devise_exp.index.exact import ExactIndex
from devise_exp.text.wordnet.hierarchy import UNPLACED


@dataclass(frozen=True)
class EvalReport:
    """values: figure name -> share in [0, 1]; about: what the figures rest on; n: images and
    candidates per protocol, or queries and pictures of a search, for the tables.
    """

    values: dict[str, float]
    about: dict[str, str | int | float]
    n: dict[str, tuple[int, int]]

    def with_figures(self, values: dict[str, float], n: dict[str, tuple[int, int]]) -> EvalReport:
        """The same with further figures and their sizes after its own."""
        return replace(self, values=self.values | values, n=self.n | n)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """report: every figure. neighbours: each method's nearest labels (N, k) per protocol, best
    first, under what the names of its figures there start with (unseen, method/NAME/unseen), and
    truth: those images' class ids (N,) per protocol. curves: by method, the trade-off between seen
    and unseen classes.
    """

    report: EvalReport
    neighbours: dict[str, np.ndarray]
    truth: dict[str, np.ndarray] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)


def evaluate(
    models: Sequence[MethodOutput],
    chosen: Sequence[Protocol],
    make_index: MakeIndex,
    ks: Sequence[int] | int | None = None,
    about: dict[str, str | int | float] | None = None,
    distances: np.ndarray | None = None,
) -> Evaluation:
    """Figures of every method under every protocol that it can answer.

    The first method's figures have plain names (unseen/hit@1); those of the others start with
    method/NAME/. ks None: those of 1, 2, 3, 5, 10, 20 that a protocol has candidates for.
    distances: (C, C) hops between the classes in a hierarchy (hierarchy.Hierarchy), for
    hierarchical precision. InputError for a k above the number of candidates, and for an image
    whose class is not among them.
    """
    result = Evaluation(EvalReport({}, about or {}, {}), {})
    values = result.report.values
    recalls: list[float] = []
    chance: dict[str, float] = {}
    for position, model in enumerate(models):
        start = "" if position == 0 else f"method/{model.name}/"
        # The index is a part of the run's own model; what others could do is told exactly.
        searches = Ranker(model, make_index if position == 0 else ExactIndex)
        for protocol in chosen:
            own_ks = ks_of(protocol, ks)
            if not supports(model, protocol):
                continue
            found, truth = searches.ranked(protocol, max(*own_ks, RECALL_AT))
            prefix = f"{start}{protocol.name}/"
            values.update({prefix + k: v for k, v in figures(found, truth, own_ks).items()})
            if distances is not None and protocol.candidates.max() < len(distances):
                near = hierarchical.precisions(found, truth, protocol.candidates, distances, own_ks)
                values.update({f"{prefix}hp@{k}": float(v.mean()) for k, v in near.items()})
            # The diagnostics of the run's own model may look deeper than its figures.
            kept = found if position == 0 else found[:, : own_ks[-1]]
            result.neighbours[prefix.rstrip("/")] = _compact(kept)
            if position == 0:
                result.truth[protocol.name] = truth
                result.report.n[protocol.name] = len(truth), len(protocol.candidates)
                chance |= _chance(protocol, truth, own_ks, distances)
        values.update(_generalised(values, start, model.gamma))
        sides = [p for p in chosen if p.name in ("all_seen", "all_unseen")]
        if len(sides) == 2 and all(supports(model, side) for side in sides):
            result.curves[model.name] = curve = searches.curve(chosen)
            values[f"{start}all/AUSUC"] = calibrated_stacking.ausuc(curve)
        recalls += searches.recalls
    values.update(chance)  # last, as in the tables
    values[f"index/recall@{RECALL_AT}"] = min(recalls, default=1.0)
    return result


def figures(found: np.ndarray, truth: np.ndarray, ks: Sequence[int]) -> dict[str, float]:
    """hit@k per image and as class mean, each with its 95 % bootstrap interval over images; the
    latter also over classes (/classes_lo, /classes_hi).

    found: (N, K) class ids, best first, K >= max(ks); truth: (N,) class ids.
    """
    positions = rank_of_truth(found, truth)
    values: dict[str, float] = {}
    for k in ks:
        hits = hit_at_k(positions, k)
        for name, share, classes in (
            (f"hit@{k}", float(hits.mean()), None),
            (f"hit@{k}/class_mean", class_mean(hits, truth), truth),
        ):
            values[name] = share
            values[f"{name}/lo"], values[f"{name}/hi"] = intervals.interval(hits, classes)
        over_classes = class_interval(hits, truth)
        values[f"{name}/classes_lo"], values[f"{name}/classes_hi"] = over_classes
    return values


def _compact(ids: np.ndarray) -> np.ndarray:
    """The same ids in fewer bytes, for a run folder holds those of every method."""
    return ids.astype(np.int16 if ids.max() <= np.iinfo(np.int16).max else np.int32)


def _chance(
    protocol: Protocol, truth: np.ndarray, ks: Sequence[int], distances: np.ndarray | None
) -> dict[str, float]:
    """What a random ranking of the candidates is expected to reach."""
    prefix, n = f"method/chance/{protocol.name}", len(protocol.candidates)
    values = {f"{prefix}/hit@{k}": hits_module.chance(k, n) for k in ks}
    if distances is not None and protocol.candidates.max() < len(distances):
        placed = distances.diagonal() != UNPLACED
        rows = truth[placed[truth]]
        for k in ks if len(rows) else ():
            if k <= placed[protocol.candidates].sum():
                near = chance_precision(rows, protocol.candidates, distances, k)
                values[f"{prefix}/hp@{k}"] = float(near.mean())
    return values


def _generalised(values: Mapping[str, float], start: str, gamma: float | None) -> dict[str, float]:
    """H of a method's two generalised class means (Xian et al. 2018), and of the calibrated ones,
    with their gamma.
    """
    found: dict[str, float] = {}
    for kind in ("all", "calibrated"):
        u, s = (
            values.get(f"{start}{kind}_{images}/hit@1/class_mean") for images in ("unseen", "seen")
        )
        if u is not None and s is not None:
            found[f"{start}{kind}/H@1"] = harmonic_mean(u, s)
            if kind == "calibrated" and gamma is not None:
                found[f"{start}calibrated/factor"] = gamma
    return found
