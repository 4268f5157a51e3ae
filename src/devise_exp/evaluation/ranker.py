"""Searches of one method's images among labels, each made once, behind all protocols."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from devise_exp.evaluation.metrics.calibrated_stacking import (
    Curve,
    SearchResult,
    calibrate_results,
    top_answers,
    tradeoff_curve,
)
from devise_exp.evaluation.metrics.checks import check_truth
from devise_exp.evaluation.metrics.retrieval import index_recall
from devise_exp.evaluation.protocols import MethodOutput, Protocol
from devise_exp.index.exact import ExactIndex
from devise_exp.index.protocol import Index

RECALL_AT = 10

MakeIndex = Callable[[np.ndarray], Index]


def supports(model: MethodOutput, protocol: Protocol) -> bool:
    """Whether the method has these images, a vector for each candidate, and the gamma it needs."""
    images = model.parts.get(protocol.images)
    if images is None or not model.can_name(protocol.candidates):
        return False
    if protocol.classes is not None and not np.isin(images.class_ids, protocol.classes).any():
        return False
    return protocol.calibrated_candidates is None or model.gamma is not None


class Ranker:
    """Searches of one method's images, with the recall of the index in each; none is made twice."""

    def __init__(self, model: MethodOutput, make_index: MakeIndex) -> None:
        self.model, self.make_index = model, make_index
        self.recalls: list[float] = []
        self._indexes: dict[bytes, Index] = {}
        self._found: dict[tuple[str, bytes], SearchResult] = {}

    def ranked(self, protocol: Protocol, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """(class ids (N, k), best first, truth (N,)) of the protocol's images; k is `depth`, or all
        candidates.
        """
        truth = self.model.parts[protocol.images].class_ids
        depth = min(depth, len(protocol.candidates))
        if protocol.calibrated_candidates is None:
            check_truth(truth, protocol.candidates)
            found, _ = self.among(protocol.images, protocol.candidates, depth)
        else:
            assert self.model.gamma is not None  # or the method does not answer
            others = np.setdiff1d(protocol.candidates, protocol.calibrated_candidates)
            low, high = (
                self.among(protocol.images, c, depth)
                for c in (protocol.calibrated_candidates, others)
            )
            found = calibrate_results(low, high, self.model.gamma, depth)
        if protocol.classes is not None:
            own = np.isin(truth, protocol.classes)
            found, truth = found[own], truth[own]
        return found, truth

    def curve(self, chosen: Sequence[Protocol]) -> Curve:
        """The trade-off between seen and unseen classes, by each image's best answers."""
        labels = {p.name: p.candidates for p in chosen}
        unseen = np.setdiff1d(labels["all_unseen"], np.unique(self.model.seen.class_ids))
        seen = np.setdiff1d(labels["all_seen"], unseen)
        sides = []
        for images in ("seen", "unseen"):
            best_seen, best_unseen = (self.among(images, side, 1) for side in (seen, unseen))
            truth = self.model.parts[images].class_ids
            sides.append(top_answers(best_seen, best_unseen, truth))
        return tradeoff_curve(*sides)

    def among(self, images: str, candidates: np.ndarray, depth: int) -> SearchResult:
        """(class ids, similarities), both (N, k), of images among candidates."""
        depth, label = min(depth, len(candidates)), candidates.tobytes()
        known = self._found.get((images, label))
        if known is None or known[0].shape[1] < depth:
            if label not in self._indexes:
                self._indexes[label] = self.make_index(self.model.class_vectors[candidates])
            queries = self.model.parts[images].vectors
            index, top = self._indexes[label], min(RECALL_AT, depth)
            found, similarity = index.search(queries, depth)
            if self.make_index is not ExactIndex:  # which is what it would be measured by
                exact, _ = ExactIndex(self.model.class_vectors[candidates]).search(queries, top)
                self.recalls.append(index_recall(found[:, :top], exact))
            known = self._found[images, label] = candidates[found], similarity
        return known[0][:, :depth], known[1][:, :depth]
