"""Searches of one method's images among labels, each made once, behind all protocols."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from devise_exp.evaluation.metrics.calibrated_stacking import SearchResult, calibrate_results
from devise_exp.evaluation.metrics.checks import check_no_repeats, check_truth
from devise_exp.evaluation.metrics.retrieval import index_recall
from devise_exp.evaluation.metrics.tradeoff import Curve, top_answers, tradeoff_curve
from devise_exp.evaluation.protocols import MethodOutput, Protocol
from devise_exp.index.exact import ExactIndex
from devise_exp.index.protocol import Index

RECALL_AT = 10

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

    No search is made twice.

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
        depth = min(depth, len(protocol.candidates))
        if protocol.calibrated_candidates is None:
            check_truth(truth, protocol.candidates)
            rankings, _ = self.among(protocol.images, protocol.candidates, depth)
        else:
            assert self.model.gamma is not None  # or the method does not support the protocol
            others = np.setdiff1d(protocol.candidates, protocol.calibrated_candidates)
            sides = (protocol.calibrated_candidates, others)
            low, high = (self.among(protocol.images, side, depth) for side in sides)
            rankings = calibrate_results(low, high, self.model.gamma, depth)
        if protocol.classes is not None:
            counts = np.isin(truth, protocol.classes)
            rankings, truth = rankings[counts], truth[counts]
        return rankings, truth

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
            index, top = self._indexes[label], min(RECALL_AT, depth)
            rows, similarity = index.search(queries, depth)
            check_no_repeats(rows, f"labels of {images} images")
            if self.make_index is not ExactIndex:  # which is what it would be measured by
                exact, _ = ExactIndex(self.model.class_vectors[candidates]).search(queries, top)
                self.recalls.append(index_recall(rows[:, :top], exact))
            result = self._results[images, label] = candidates[rows], similarity
        return result[0][:, :depth], result[1][:, :depth]
