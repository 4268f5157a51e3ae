"""A model's errors and their causes: classes, hubs, confusions, similarities, a plot, as one dict.

The dict is what diagnostics.json holds: numbers, names and None only. C is the number of classes, N
that of a protocol's images, K that of the neighbours of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from devise_exp.evaluation.metrics.tradeoff import Curve, ausuc, points
from devise_exp.evaluation.protocols import MethodOutput
from devise_exp.evaluation.ranking_analysis import (
    ProtocolRanking,
    calibration_curve,
    confusions,
    hits_by_class,
    hubness,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Classes:
    """The classes of a run, and what is known of them.

    Attributes:
        names: (C,) names by class id, labels beyond the run's classes last.
        words: (C,) the words of each, in the same order.
        seen: Ids of the seen classes.
        unseen: Ids of the unseen classes.
        overlaps: Name of an unseen class -> how the backbone's pretraining knew it, such as "is a
            kind of dog"; classes without an overlap are left out.
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
            raise ValueError(f"overlaps of {', '.join(sorted(unknown))}, which are not classes")


def diagnose(
    classes: Classes,
    models: Sequence[MethodOutput],
    rankings: Sequence[ProtocolRanking],
    curves: Mapping[str, Curve],
    gammas: Mapping[str, float],
) -> dict[str, Any]:
    """Diagnose the trained model.

    Args:
        classes: The classes of the run.
        models: Method outputs, that of the trained model first: all but "methods" and "tradeoff" is
            about it.
        rankings: Its rankings, one per protocol.
        curves: Trade-off between seen and unseen classes, by method.
        gammas: Gamma by method, of those that have one.

    Returns:
        The content of diagnostics.json. A metric of a protocol without a ranking, or with one that
        is not deep enough, is None.
    """
    model, vectors = models[0], models[0].class_vectors
    return {
        "methods": [output.name for output in models],
        "classes": _class_table(classes, model, {r.protocol: r for r in rankings}),
        "tradeoff": {name: _tradeoff(c, gammas.get(name)) for name, c in curves.items()},
        "hubness": {r.protocol: hubness(r, classes.names) for r in rankings},
        "confusions": {r.protocol: confusions(r, classes.names, vectors) for r in rankings},
        "similarity": {r.protocol: calibration_curve(r) for r in rankings},
        "map": class_map(classes, model),
    }


def class_map(classes: Classes, model: MethodOutput) -> dict[str, Any]:
    """Place classes in the plane, their words and the means of their images, by components.

    The centre is the mean of the words. The axes are the two directions in which words and image
    means lie farthest from it, each pointing so that its largest coefficient is positive.

    Args:
        classes: The classes of the run.
        model: Output of the trained model.

    Returns:
        "classes" with the coordinates of each word and, if it has images, of their mean;
        "explained", the share of the squared distances from the centre that the plane keeps.
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
    coordinates = np.zeros((len(points), 2))
    coordinates[:, : len(axes)] = points @ axes.T
    of_images = dict(zip(ids[has_images].tolist(), coordinates[len(ids) :].tolist(), strict=True))
    seen = set(classes.seen.tolist())
    return {
        "classes": [
            {"name": classes.names[c], "seen": c in seen, "word": word, "images": of_images.get(c)}
            for c, word in zip(ids.tolist(), coordinates[: len(ids)].tolist(), strict=True)
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
        metrics = {
            "hit@1": hits_by_class(rankings.get(side), 1),
            "hit@5": hits_by_class(rankings.get(side), 5),
            "all_hit@1": hits_by_class(rankings.get(f"all_{side}"), 1),
            "calibrated_hit@1": hits_by_class(rankings.get(f"calibrated_{side}"), 1),
        }
        images = np.bincount(truth, minlength=len(classes.names))
        for c in np.sort(ids).tolist():
            name = classes.names[c]
            row = {"name": name, "seen": side == "seen", "images": int(images[c])}
            row |= {metric: of_class.get(c) for metric, of_class in metrics.items()}
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
