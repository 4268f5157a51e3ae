"""Searches of one method's images among labels, each made once, behind all protocols."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from devise_exp.core.console import track
from devise_exp.evaluation.metrics.calibrated_stacking import SearchResult, calibrate_results
from devise_exp.evaluation.metrics.checks import check_no_repeats, check_truth
from devise_exp.evaluation.metrics.retrieval import index_recall
from devise_exp.evaluation.metrics.tradeoff import Curve, top_answers, tradeoff_curve
from devise_exp.evaluation.protocols import MethodOutput, Protocol
from devise_exp.index.exact import ExactIndex
from devise_exp.index.exact_search import SCORES_WORTH_A_BAR
from devise_exp.index.protocol import Index

RECALL_AT = 10
RECALL_SAMPLE = 1 << 16  # images of a part, evenly spread, by which an index is measured
IMAGES_AT_ONCE = 1 << 14

MakeIndex = Callable[[np.ndarray], Index]


def supports(model: MethodOutput, protocol: Protocol) -> bool:
    """Tell whether a method can be evaluated in a protocol.

    Args:
        model: Output of the method.
        protocol: The protocol.

    Returns:
        Whether it has such images, a vector for each candidate, and a gamma if it needs one.
    """
    images = model.parts.get(protocol.images)
    if images is None or not model.can_name(protocol.candidates):
        return False
    if protocol.classes is not None and not np.isin(images.class_ids, protocol.classes).any():
        return False
    return protocol.calibrated_candidates is None or model.gamma is not None


class Ranker:
    """Ranks one method's images among labels, and measures the recall of its index.

    No search is made twice. Images are searched a block at a time, and ids are kept in few bytes:
    ten million images with twenty labels each fit.

    Args:
        model: Output of the method.
        make_index: Builds the index of (M, D) class vectors.
    """

    def __init__(self, model: MethodOutput, make_index: MakeIndex) -> None:
        self.model, self.make_index = model, make_index
        self.recalls: list[float] = []
        self._indexes: dict[bytes, Index] = {}
        self._results: dict[tuple[str, bytes], SearchResult] = {}

    def ranked(self, protocol: Protocol, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """Rank the images of a protocol, which the method supports.

        Args:
            protocol: The protocol.
            depth: Number of labels to rank; all candidates if there are fewer.

        Returns:
            (N, k) class ids, best first, and (N,) true class ids.

        Raises:
            InputError: The class of an image is no candidate, or the index ranks a label twice.
        """
        truth = self.model.parts[protocol.images].class_ids
        counts = slice(None) if protocol.classes is None else np.isin(truth, protocol.classes)
        depth = min(depth, len(protocol.candidates))
        if protocol.calibrated_candidates is None:
            check_truth(truth[counts], protocol.candidates)
            rankings, _ = self.among(protocol.images, protocol.candidates, depth)
        else:
            assert self.model.gamma is not None  # or the method does not support the protocol
            others = np.setdiff1d(protocol.candidates, protocol.calibrated_candidates)
            sides = (protocol.calibrated_candidates, others)
            low, high = (self.among(protocol.images, side, depth) for side in sides)
            rankings = _calibrated(low, high, self.model.gamma, depth)
        return rankings[counts], truth[counts]

    def curve(self, protocols: Sequence[Protocol]) -> Curve:
        """Compute the trade-off between seen and unseen classes, by each image's best answers.

        Args:
            protocols: all_seen and all_unseen.

        Returns:
            The curve.
        """
        both, with_images = protocols[0], self.model.seen.class_ids
        # Better known than guessed by images: a seen class may be without a test image.
        seen = np.unique(with_images if both.seen_candidates is None else both.seen_candidates)
        unseen = np.setdiff1d(both.candidates, seen)
        answers = []
        for part in ("seen", "unseen"):
            best_seen, best_unseen = (self.among(part, side, 1) for side in (seen, unseen))
            answers.append(top_answers(best_seen, best_unseen, self.model.parts[part].class_ids))
        return tradeoff_curve(*answers)

    def among(self, images: str, candidates: np.ndarray, depth: int) -> SearchResult:
        """Search a part of the images among candidates.

        Args:
            images: "seen", "unseen" or "train".
            candidates: (M,) class ids.
            depth: Number of labels to find; all candidates if there are fewer.

        Returns:
            (N, k) class ids, best first, and their similarities.

        Raises:
            InputError: The index ranks a label twice.
        """
        depth, label = min(depth, len(candidates)), candidates.tobytes()
        result = self._results.get((images, label))
        if result is None or result[0].shape[1] < depth:
            if label not in self._indexes:
                self._indexes[label] = self.make_index(self.model.class_vectors[candidates])
            queries = self.model.parts[images].vectors
            rows, similarity = _search(self._indexes[label], queries, depth, images)
            if self.make_index is not ExactIndex:  # which is what it would be measured by
                sample = slice(None, None, -(-len(queries) // RECALL_SAMPLE))
                labels, top = self.model.class_vectors[candidates], min(RECALL_AT, depth)
                exact, _ = ExactIndex(labels).search(queries[sample], top)
                self.recalls.append(index_recall(rows[sample, :top], exact))
            result = self._results[images, label] = compact(candidates)[rows], similarity
        return result[0][:, :depth], result[1][:, :depth]


def compact(ids: np.ndarray) -> np.ndarray:
    """Keep ids in fewer bytes, for a run holds those of every image.

    Args:
        ids: Ids from 0 on.

    Returns:
        The same ids as int16 or int32.
    """
    short = ids.max(initial=0) <= np.iinfo(np.int16).max
    return ids.astype(np.int16 if short else np.int32, copy=False)


def _search(
    index: Index, queries: np.ndarray, depth: int, images: str
) -> tuple[np.ndarray, np.ndarray]:
    """Compact ids (N, depth) and similarities (N, depth) of a search in blocks of images."""
    ids = np.empty((len(queries), depth), np.int16 if len(index) < 1 << 15 else np.int32)
    similarities = np.empty((len(queries), depth), np.float32)
    starts: Iterable[int] = range(0, len(queries), IMAGES_AT_ONCE)
    if len(queries) > IMAGES_AT_ONCE and len(queries) * len(index) >= SCORES_WORTH_A_BAR:
        starts = track(starts, f"labels of {images} images")
    for start in starts:
        part = slice(start, start + IMAGES_AT_ONCE)
        rows, similarities[part] = index.search(queries[part], depth)
        check_no_repeats(rows, f"labels of {images} images")
        ids[part] = rows
    return ids, similarities


def _calibrated(low: SearchResult, high: SearchResult, gamma: float, depth: int) -> np.ndarray:
    """`calibrate_results` in blocks of images."""
    rankings = np.empty((len(low[0]), depth), np.promote_types(low[0].dtype, high[0].dtype))
    for start in range(0, len(rankings), IMAGES_AT_ONCE):
        part = slice(start, start + IMAGES_AT_ONCE)
        seen, unseen = ((ids[part], similarities[part]) for ids, similarities in (low, high))
        rankings[part] = calibrate_results(seen, unseen, gamma, depth)
    return rankings
