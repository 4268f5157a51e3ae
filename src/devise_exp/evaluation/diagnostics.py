"""Where a model is wrong, and why: classes, hubs, confusions, similarities and a map, as one dict.

The dict is what diagnostics.json holds: numbers, names and None only. C is the number of classes, N
that of a protocol's images, K that of the neighbours of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from devise_exp.evaluation.metrics.calibrated_stacking import Curve, ausuc, points
from devise_exp.evaluation.protocols import MethodOutput
from devise_exp.evaluation.ranking_analysis import (
    ProtocolRanking,
    calibration_curve,
    confusions,
    hits_by_class,
    hubness,
)


@dataclass(frozen=True, eq=False)
class Classes:
    """names and words: (C,) by class id, labels beyond the run's own classes after these; seen and
    unseen: class ids; overlaps: name of an unseen class to what the backbone's pretraining knew of
    it, such as "is a kind of dog" (none where the audit found none).
    """

    names: Sequence[str]
    words: Sequence[str]
    seen: np.ndarray
    unseen: np.ndarray
    overlaps: Mapping[str, str]

    def __post_init__(self) -> None:
        if len(self.words) != len(self.names):
            raise ValueError(f"{len(self.names)} names of classes but {len(self.words)} words")
        if unknown := set(self.overlaps) - set(self.names):
            raise ValueError(f"overlaps of {', '.join(sorted(unknown))}, which are no classes")


def diagnose(
    classes: Classes,
    models: Sequence[MethodOutput],
    rankings: Sequence[ProtocolRanking],
    curves: Mapping[str, Curve],
    gammas: Mapping[str, float],
) -> dict[str, Any]:
    """What diagnostics.json holds.

    models: the trained one first, which all but "methods" and "tradeoff" speak of; rankings: its
    own, one per protocol; curves and gammas: by method, the latter where calibration chose one. A
    figure of a protocol that was not ranked, or not deep enough, is None.
    """
    model, vectors = models[0], models[0].class_vectors
    return {
        "methods": [each.name for each in models],
        "classes": _class_table(classes, model, {r.protocol: r for r in rankings}),
        "tradeoff": {name: _tradeoff(c, gammas.get(name)) for name, c in curves.items()},
        "hubness": {r.protocol: hubness(r, classes.names) for r in rankings},
        "confusions": {r.protocol: confusions(r, classes.names, vectors) for r in rankings},
        "similarity": {r.protocol: calibration_curve(r) for r in rankings},
        "map": class_map(classes, model),
    }


def class_map(classes: Classes, model: MethodOutput) -> dict[str, Any]:
    """Classes in the plane: their words and the means of their images, by principal components.

    The centre is the mean of the words; the axes are the two directions in which words and image
    means lie farthest from it, each pointing so that its largest coefficient is positive.
    explained: the share of the squared distances from the centre that the plane keeps.
    """
    ids = np.sort(np.concatenate([classes.seen, classes.unseen]))
    words = model.class_vectors[ids].astype(np.float64)  # (C, D)
    images = np.concatenate([model.seen.vectors, model.unseen.vectors]).astype(np.float64)
    truth = np.concatenate([model.seen.class_ids, model.unseen.class_ids])
    has_images = np.isin(ids, truth)
    means = np.stack([images[truth == c].mean(axis=0) for c in ids[has_images]])
    points = np.concatenate([words, means]) - words.mean(axis=0)
    _, lengths, axes = np.linalg.svd(points, full_matrices=False)
    axes = axes[:2]
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    places = np.zeros((len(points), 2))
    places[:, : len(axes)] = points @ axes.T
    of_images = dict(zip(ids[has_images].tolist(), places[len(ids) :].tolist(), strict=True))
    seen = set(classes.seen.tolist())
    return {
        "classes": [
            {"name": classes.names[c], "seen": c in seen, "word": word, "images": of_images.get(c)}
            for c, word in zip(ids.tolist(), places[: len(ids)].tolist(), strict=True)
        ],
        "explained": float((lengths[:2] ** 2).sum() / max((lengths**2).sum(), 1e-12)),
    }


def _class_table(
    classes: Classes, model: MethodOutput, rankings: Mapping[str, ProtocolRanking]
) -> list[dict[str, Any]]:
    """One row per class: its images, hit@k by protocol, what the pretraining knew, its words."""
    rows = []
    for side, ids in (("seen", classes.seen), ("unseen", classes.unseen)):
        truth = model.parts[side].class_ids
        figures = {
            "hit@1": hits_by_class(rankings.get(side), 1),
            "hit@5": hits_by_class(rankings.get(side), 5),
            "all_hit@1": hits_by_class(rankings.get(f"all_{side}"), 1),
            "calibrated_hit@1": hits_by_class(rankings.get(f"calibrated_{side}"), 1),
        }
        images = np.bincount(truth, minlength=len(classes.names))
        for c in np.sort(ids).tolist():
            name = classes.names[c]
            row = {"name": name, "seen": side == "seen", "images": int(images[c])}
            row |= {figure: of_class.get(c) for figure, of_class in figures.items()}
            rows.append(row | {"leak": classes.overlaps.get(name, ""), "words": classes.words[c]})
    return rows


def _tradeoff(curve: Curve, gamma: float | None) -> dict[str, Any]:
    """The curve to be drawn, its area, and the point of the chosen gamma."""
    drawn = points(curve)
    chosen = None
    if gamma is not None:
        seen, unseen = curve.at(gamma)
        chosen = {"factor": float(gamma), "seen": seen, "unseen": unseen}
    return {
        "seen": drawn[:, 0].tolist(),
        "unseen": drawn[:, 1].tolist(),
        "ausuc": ausuc(curve),
        "chosen": chosen,
    }
