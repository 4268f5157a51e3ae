"""The candidate sets of the DeViSE paper: unseen images among labels that are near in WordNet.

Frome et al. 2013 (section 4.3, tables 2 and 3) rank images of unseen labels among all labels within
so many hops of the training labels, and among all of ImageNet-21K, with and without the training
labels themselves. C is the number of the run's classes, E that of the labels beyond them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from devise_exp.evaluation.metrics.hierarchical import nearest_sets
from devise_exp.evaluation.protocols import Protocol
from devise_exp.evaluation.records import CHANCE, MetricRecord
from devise_exp.text.wordnet.hierarchy import UNPLACED
from devise_exp.text.wordnet.hypernyms import Hypernyms, distances_to

_CLASSES_AT_ONCE = 256  # that distances are counted from: 256 x 21,841 are 22 MB


@dataclass(frozen=True, kw_only=True, eq=False)
class PlacedLabels:
    """The run's classes and further labels, with their places in WordNet.

    Attributes:
        nodes: C + E senses; None for a class without one.
        hypernyms: Those of all senses and of everything above.
        sets: Name of a candidate set -> ids of its E labels and of the classes that belong to it.
    """

    nodes: Sequence[str | None]
    hypernyms: Hypernyms
    sets: Mapping[str, np.ndarray]


def candidate_protocols(
    labels: PlacedLabels, seen: np.ndarray, unseen: np.ndarray
) -> tuple[Protocol, ...]:
    """Make two protocols of every candidate set that holds an unseen class.

    Args:
        labels: The labels and their sets.
        seen: Ids of the seen classes.
        unseen: Ids of the unseen classes.

    Returns:
        Images of the unseen classes of the set, among its labels without seen ones
        (NAME_unseen), and among these and all seen classes (NAME_all_unseen).
    """
    protocols = []
    for name, ids in labels.sets.items():
        classes = np.intersect1d(unseen, ids)
        if not len(classes):
            continue
        others = np.setdiff1d(ids, seen)
        both = np.union1d(others, seen)
        of_set = partial(Protocol, images="unseen", classes=classes)
        protocols.append(of_set(name=f"{name}_unseen", candidates=others))
        protocols.append(of_set(name=f"{name}_all_unseen", candidates=both))
    return tuple(protocols)


def hierarchical_records(
    method: str,
    protocol: Protocol,
    neighbours: np.ndarray,
    truth: np.ndarray,
    ks: Sequence[int],
    labels: PlacedLabels,
) -> list[MetricRecord]:
    """Measure hierarchical precision@k among many labels (Frome et al. 2013, appendix B).

    The same as `metrics.hierarchical`, without the distances between all pairs of labels.

    Args:
        method: Name of the method.
        protocol: The protocol that was ranked.
        neighbours: (N, K) ids of candidates, best first.
        truth: (N,) ids of the true classes, which have a place in WordNet.
        ks: The ks, K at most; those above the number of candidates with a place are left out.
        labels: The labels.

    Returns:
        hp@k of the method and of a random ranking, and the classes and images they rest on.
    """
    candidates = np.sort(protocol.candidates)
    nodes = [labels.nodes[i] for i in candidates.tolist()]
    n_placed = sum(node is not None for node in nodes)
    ks = [k for k in ks if k <= min(n_placed, neighbours.shape[1])]
    of_method = {k: np.empty(len(truth)) for k in ks}
    of_chance = {k: np.empty(len(truth)) for k in ks}
    classes = np.unique(truth)
    for start in range(0, len(classes), _CLASSES_AT_ONCE):
        block = classes[start : start + _CLASSES_AT_ONCE]
        hops = _hops(block, candidates, nodes, labels)  # (B, M)
        images = np.flatnonzero(np.isin(truth, block))
        row = np.searchsorted(block, truth[images])
        column = np.searchsorted(candidates, neighbours[images])  # (n, K)
        for k in ks:
            right = nearest_sets(hops, k)
            of_method[k][images] = right[row[:, None], column[:, :k]].mean(axis=1)
            of_chance[k][images] = right.mean(axis=1)[row]
    record = partial(MetricRecord, protocol=protocol.name)
    counts = {"hp_classes": len(classes), "hp_images": len(truth)}
    return [
        *(record(method=method, metric="hp", k=k, value=float(of_method[k].mean())) for k in ks),
        *(record(method=method, metric=name, value=float(n)) for name, n in counts.items()),
        *(record(method=CHANCE, metric="hp", k=k, value=float(of_chance[k].mean())) for k in ks),
    ]


def _hops(
    classes: np.ndarray, candidates: np.ndarray, nodes: Sequence[str | None], labels: PlacedLabels
) -> np.ndarray:
    """(B, M) hops from classes to candidates; 0 to itself alone, UNPLACED without a place."""
    placed = np.array([node is not None for node in nodes])
    senses = [str(labels.nodes[i]) for i in classes.tolist()]
    others = [node for node in nodes if node is not None]
    hops = np.full((len(classes), len(nodes)), UNPLACED, dtype=np.int32)
    hops[:, placed] = distances_to(senses, others, labels.hypernyms, UNPLACED)
    hops[(hops == 0) & (candidates != classes[:, None])] = 1
    return hops
