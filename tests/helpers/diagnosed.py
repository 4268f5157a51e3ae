"""A small evaluated model, its rankings and its diagnostics, for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from devise_exp.evaluation import diagnostics
from devise_exp.evaluation.diagnostics import Classes
from devise_exp.evaluation.metrics.tradeoff import top_answers, tradeoff_curve
from devise_exp.evaluation.protocols import MethodOutput
from devise_exp.evaluation.ranking_analysis import ProtocolRanking, top_similarity
from devise_exp.index.exact import ExactIndex
from helpers.outputs import method_output

SEEN, UNSEEN = np.arange(0, 16), np.arange(16, 30)
NAMES = [f"class {c}" for c in range(30)]
CLASSES = Classes(
    names=NAMES,
    words=[f"word{c}" for c in range(30)],
    seen=SEEN,
    unseen=UNSEEN,
    overlaps={"class 20": "is wolf"},
)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def embedded(seed: int = 0) -> MethodOutput:
    """30 classes of which class 9 and class 29 have no image; images near their class vector."""
    rng = np.random.default_rng(seed)
    vectors = unit(rng.normal(size=(30, 12)))

    def images(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        truth = rng.permutation(np.repeat(ids, rng.integers(3, 20, size=len(ids))))
        return unit(vectors[truth] + 0.4 * rng.normal(size=(len(truth), 12))), truth

    return method_output("devise", vectors, *images(np.delete(SEEN, 9)), *images(UNSEEN[:-1]))


def protocol_ranking(
    protocol: str,
    truth: np.ndarray,
    candidates: np.ndarray,
    neighbours: np.ndarray,
    similarity: np.ndarray,
) -> ProtocolRanking:
    """A ranking from its arrays, in the order of the fields."""
    return ProtocolRanking(
        protocol=protocol,
        truth=truth,
        candidates=candidates,
        neighbours=neighbours,
        similarity=similarity,
    )


def ranked(model: MethodOutput, protocol: str, depth: int = 20) -> ProtocolRanking:
    """The rankings of the images of a protocol."""
    side = protocol.removeprefix("all_")
    candidates = {"seen": SEEN, "unseen": UNSEEN}.get(protocol, np.arange(30))
    images, truth = model.parts[side].vectors, model.parts[side].class_ids
    vectors = model.class_vectors
    rows, _ = ExactIndex(vectors[candidates]).search(images, min(depth, len(candidates)))
    neighbours = candidates[rows]
    similarity = top_similarity(images, vectors, neighbours)
    return protocol_ranking(protocol, truth, candidates, neighbours, similarity)


def diagnosed(protocols: tuple[str, ...] = ("seen", "unseen", "all_seen", "all_unseen")) -> Any:
    """The model, its rankings by protocol, its curve and its diagnostics."""
    model = embedded()
    best = []
    for part in (model.seen, model.unseen):
        lists = [
            (labels[ids], scores)
            for labels in (SEEN, UNSEEN)
            for ids, scores in [ExactIndex(model.class_vectors[labels]).search(part.vectors, 5)]
        ]
        best.append(top_answers(lists[0], lists[1], part.class_ids))
    curve = tradeoff_curve(*best)
    rows = [ranked(model, name) for name in protocols]
    conse = replace(model, name="conse")
    curves = {"devise": curve, "conse": curve}
    content = diagnostics.diagnose(CLASSES, [model, conse], rows, curves, {"devise": 0.1})
    return model, {r.protocol: r for r in rows}, curve, content
