"""Whether a model knows what it does not know: the score by which "none of these" is said.

The score of an image is its largest cosine with a label, before any gamma (the largest logit of
Hendrycks et al. 2022). Two questions are asked of it. Seen against unseen: is it higher, among the
seen labels, for images of seen classes? Known against unknown: is it higher if the image's class is
among the labels than if that label is taken away? Every image is asked both ways, so that no
further images are needed. A search is asked the same: is the best image nearer to the name of a
class if the gallery has images of it?
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from devise_exp.core.vectors import centre_of, centre_rows
from devise_exp.evaluation.metrics.auroc import auroc
from devise_exp.evaluation.metrics.calibrated_stacking import SearchResult
from devise_exp.evaluation.protocols import MODEL, MethodOutput, Protocol
from devise_exp.evaluation.ranker import Ranker
from devise_exp.evaluation.records import MetricRecord

SEEN_UNSEEN, KNOWN_UNKNOWN = "seen_vs_unseen", "known_vs_unknown"
NUMBERS_AT_ONCE = 1 << 24


@dataclass(frozen=True, eq=False)
class KnownScores:
    """The scores of N images, with and without the label of their class.

    Attributes:
        known: (N,) largest cosine with a label.
        unknown: (N,) the same without the label of the image's class.
    """

    known: np.ndarray
    unknown: np.ndarray


def known_scores(top_two: SearchResult, truth: np.ndarray) -> KnownScores:
    """Take the scores from a search among labels that include the true ones.

    Args:
        top_two: (N, 2) ids of the two nearest labels and their cosines.
        truth: (N,) class ids.

    Returns:
        The scores.
    """
    ids, cosines = top_two
    second = np.where(ids[:, 0] == truth, cosines[:, 1], cosines[:, 0])
    return KnownScores(cosines[:, 0], second)


def abstention_records(
    ranker: Ranker, method: str, sides: Sequence[Protocol]
) -> list[MetricRecord]:
    """Measure both questions for a method, and the threshold if one was chosen.

    Args:
        ranker: Of the method.
        method: Its name.
        sides: The protocols all_seen and all_unseen.

    Returns:
        AUROC of both questions, of known against unknown also for each side; with a threshold also
        the threshold, the share of known images at or above it and of unknown ones below it.
    """
    seen, candidates = sides[0].seen_candidates, sides[0].candidates
    if seen is None or len(candidates) < 2:
        return []
    best = [ranker.among(side.images, seen, 1)[1][:, 0] for side in sides]
    record = partial(MetricRecord, method=method, metric="AUROC")
    records = [record(protocol=SEEN_UNSEEN, value=auroc(*best))]
    of_sides = []
    for side in sides:
        truth = ranker.model.parts[side.images].class_ids
        of_sides.append(known_scores(ranker.among(side.images, candidates, 2), truth))
    known = np.concatenate([scores.known for scores in of_sides])
    both = KnownScores(known, np.concatenate([scores.unknown for scores in of_sides]))
    threshold = ranker.model.none_threshold
    for ending, scores in zip(("", "_seen", "_unseen"), (both, *of_sides), strict=True):
        protocol = f"{KNOWN_UNKNOWN}{ending}"
        records.append(record(protocol=protocol, value=auroc(scores.known, scores.unknown)))
        if threshold is not None:
            records += _threshold_records(method, protocol, scores, threshold)
    return records


def _threshold_records(
    method: str, protocol: str, scores: KnownScores, threshold: float
) -> list[MetricRecord]:
    """The threshold, and how many images are on the right side of it."""
    record = partial(MetricRecord, method=method, protocol=protocol)
    return [
        record(metric="threshold", value=threshold),
        record(metric="kept", value=float((scores.known >= threshold).mean())),
        record(metric="rejected", value=float((scores.unknown < threshold).mean())),
    ]


def search_abstention_records(
    models: Sequence[MethodOutput], seen: np.ndarray
) -> list[MetricRecord]:
    """Measure, for searches by class names, whether the best hit tells that nothing is there.

    Args:
        models: Method outputs whose searches are measured, that of the trained model first.
        seen: Ids of the seen classes, about whose centre projections are searched.

    Returns:
        An AUROC for each method that can name all classes: the largest similarity of the images to
        a class's name, against the same without the images of that class.
    """
    records = []
    for position, model in enumerate(models):
        truth = np.concatenate([model.seen.class_ids, model.unseen.class_ids])
        classes = np.unique(truth)
        if model.draws > 1 or len(classes) < 2 or not model.can_name(classes):
            continue
        best = list(_best_images(model, truth, classes, seen))
        value = auroc(*(np.array(scores) for scores in zip(*best, strict=True)))
        method = MODEL if position == 0 else model.name
        protocol = f"search/{KNOWN_UNKNOWN}"
        records.append(MetricRecord(method=method, protocol=protocol, metric="AUROC", value=value))
    return records


def _best_images(
    model: MethodOutput, truth: np.ndarray, classes: np.ndarray, seen: np.ndarray
) -> Iterator[tuple[float, float]]:
    """The largest similarity to each class's name: of all images, and of those of others."""
    words, images = model.class_vectors, np.concatenate([model.seen.vectors, model.unseen.vectors])
    if model.is_projection:
        centre = centre_of(words, seen)
        words, images = centre_rows(words, centre), centre_rows(images, centre)
    step = max(1, NUMBERS_AT_ONCE // len(images))
    for start in range(0, len(classes), step):
        block = classes[start : start + step]
        similarities = words[block] @ images.T  # (step, N)
        for c, row in zip(block, similarities, strict=True):
            yield float(row.max()), float(row[truth != c].max())
