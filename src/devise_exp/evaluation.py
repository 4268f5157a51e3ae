"""Evaluation protocols: embeddings of seen and unseen images to one EvalReport of flat hit@k."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from devise_exp import metrics
from devise_exp.errors import InputError
from devise_exp.index import ExactIndex, Index

KS = (1, 2, 3, 5, 10, 20)
RECALL_AT = 10
MODEL = "devise"
TRAINED_MAPS = (MODEL, "frozen_backbone", "random_vectors")
CONTROLS = ("frozen_backbone", "softmax", "conse", "random_vectors")


@dataclass(frozen=True)
class Embedded:
    """What one model makes of the evaluated images, in its own space.

    class_vectors: (C, D) unit rows, one per class id; seen (n, D) and unseen (m, D) unit
    embeddings of seen test and unseen images, with their class ids; train likewise, where the
    training images are evaluated too. A model that cannot name a class has a zero row for it (the
    softmax baseline, for unseen classes) and is left out where that class is a candidate.
    """

    name: str
    class_vectors: np.ndarray
    seen: np.ndarray
    seen_truth: np.ndarray
    unseen: np.ndarray
    unseen_truth: np.ndarray
    train: np.ndarray | None = None
    train_truth: np.ndarray | None = None

    def __post_init__(self) -> None:
        if len(self.seen) != len(self.seen_truth) or len(self.unseen) != len(self.unseen_truth):
            raise ValueError(f"{self.name}: embeddings and truths differ in number")

    def with_labels(self, vectors: np.ndarray) -> Embedded:
        """The same with further candidate labels, (E, D) unit rows, after its own."""
        return replace(self, class_vectors=np.concatenate([self.class_vectors, vectors]))


@dataclass(frozen=True)
class Protocol:
    """`images` ("seen", "unseen" or "train") ranked among the class ids `candidates`."""

    name: str
    images: str
    candidates: np.ndarray


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


def protocols(
    seen: np.ndarray, unseen: np.ndarray, extra: np.ndarray | None = None, train: bool = False
) -> tuple[Protocol, ...]:
    """Seen among seen, unseen among unseen, and both among all labels (generalised).

    extra: ids of labels beyond the run's classes; they give two more protocols, both among all
    labels and these. train: one more, training images among seen labels.
    """
    both = np.concatenate([seen, unseen])
    rows: tuple[Protocol, ...] = (
        Protocol("seen", "seen", seen),
        Protocol("unseen", "unseen", unseen),
        Protocol("all_seen", "seen", both),
        Protocol("all_unseen", "unseen", both),
    )
    if extra is not None and len(extra):
        wide = np.concatenate([both, extra])
        rows += (Protocol("extra_seen", "seen", wide), Protocol("extra_unseen", "unseen", wide))
    if train:
        rows += (Protocol("train", "train", seen),)
    return rows


def select(
    available: Sequence[Protocol], names: Sequence[str] | str | None
) -> tuple[Protocol, ...]:
    """The protocols of these names, or of this one; all where names is None."""
    known = [protocol.name for protocol in available]
    if isinstance(names, str):
        names = [names]
    if names is not None and (not names or not set(names) <= set(known)):
        raise InputError(f"protocols={list(names)}: choose among {', '.join(known)}")
    return tuple(p for p in available if names is None or p.name in names)


def evaluate(
    models: Sequence[Embedded],
    chosen: Sequence[Protocol],
    make_index: Callable[[np.ndarray], Index],
    ks: Sequence[int] | int | None = None,
    about: dict[str, str | int | float] | None = None,
) -> tuple[EvalReport, dict[str, np.ndarray]]:
    """Figures of every model under every protocol, and the model's neighbours (class ids, best
    first).

    The first model's figures have plain names (unseen/hit@1); those of the others, the controls,
    start with method/NAME/. ks None: those of 1, 2, 3, 5, 10, 20 that a protocol has candidates
    for. InputError for a k above the number of candidates, and for an image whose class is not
    among them.
    """
    values: dict[str, float] = {}
    neighbours: dict[str, np.ndarray] = {}
    sizes: dict[str, tuple[int, int]] = {}
    recalls: list[float] = []
    for protocol in chosen:
        own_ks = ks_of(protocol, ks)
        for position, model in enumerate(models):
            if _rows(model, protocol)[0] is None or not names_all(model, protocol.candidates):
                continue
            found, truth, recall = _search(model, protocol, make_index, max(own_ks))
            prefix = (
                f"{protocol.name}/" if position == 0 else f"method/{model.name}/{protocol.name}/"
            )
            values |= {prefix + k: v for k, v in figures(found, truth, own_ks).items()}
            recalls.append(recall)
            if position == 0:
                neighbours[protocol.name] = found
                sizes[protocol.name] = (len(truth), len(protocol.candidates))
        for k in own_ks:
            values[f"method/chance/{protocol.name}/hit@{k}"] = metrics.chance(
                k, len(protocol.candidates)
            )
    values |= _harmonic(values)
    values[f"index/recall@{RECALL_AT}"] = min(recalls)
    return EvalReport(values, about or {}, sizes), neighbours


def figures(found: np.ndarray, truth: np.ndarray, ks: Sequence[int]) -> dict[str, float]:
    """hit@k per image and as class mean, each with its 95 % bootstrap interval.

    found: (N, K) class ids, best first, K >= max(ks); truth: (N,) class ids.
    """
    positions = metrics.rank_of_truth(found, truth)
    values: dict[str, float] = {}
    for k in ks:
        hits = metrics.hit_at_k(positions, k)
        for name, share, classes in (
            (f"hit@{k}", float(hits.mean()), None),
            (f"hit@{k}/class_mean", metrics.class_mean(hits, truth), truth),
        ):
            values[name] = share
            values[f"{name}/lo"], values[f"{name}/hi"] = metrics.interval(hits, classes)
    return values


def names_all(model: Embedded, candidates: np.ndarray) -> bool:
    """Whether the model has a vector for each of these class ids."""
    known = candidates.max() < len(model.class_vectors)
    return known and bool(model.class_vectors[candidates].any(axis=1).all())


def _rows(model: Embedded, protocol: Protocol) -> tuple[Any, Any]:
    """Embeddings and class ids of the protocol's images, None where the model has none."""
    return getattr(model, protocol.images), getattr(model, f"{protocol.images}_truth")


def _search(
    model: Embedded, protocol: Protocol, make_index: Callable[[np.ndarray], Index], k: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """(class ids (N, k), truth (N,), recall of the index against exact search)."""
    queries, truth = _rows(model, protocol)
    metrics.check_truth(truth, protocol.candidates)
    vectors = model.class_vectors[protocol.candidates]
    depth = min(max(k, RECALL_AT), len(vectors))
    found, _ = make_index(vectors).search(queries, depth)
    exact, _ = ExactIndex(vectors).search(queries, depth)
    top = min(RECALL_AT, depth)
    return (
        protocol.candidates[found[:, :k]],
        truth,
        metrics.index_recall(found[:, :top], exact[:, :top]),
    )


def ks_of(protocol: Protocol, ks: Sequence[int] | int | None) -> tuple[int, ...]:
    """The ks to report: those given, sorted; None: those of KS that `protocol` has candidates for.

    InputError for one that is no whole number from 1 to the number of candidates.
    """
    n = len(protocol.candidates)
    if ks is None:
        return tuple(k for k in KS if k <= n)
    given = [ks] if isinstance(ks, int | float | str) else list(ks)
    wrong = [k for k in given if type(k) is not int or not 0 < k <= n]
    if wrong or not given:
        asked = f": hit@{wrong[0]} cannot be asked" if wrong else " asks nothing"
        raise InputError(
            f"ks={given}{asked} of the {n} candidates of {protocol.name}: give ks between 1 and {n}"
        )
    return tuple(sorted(set(given)))


def _harmonic(values: dict[str, float]) -> dict[str, float]:
    """H of the two generalised class means, for the model and each control that has both (Xian et
    al. 2018).
    """
    seen_key, unseen_key = (f"all_{images}/hit@1/class_mean" for images in ("seen", "unseen"))
    starts = [key.removesuffix(unseen_key) for key in values if key.endswith(unseen_key)]
    return {
        f"{start}all/H@1": metrics.harmonic_mean(
            values[start + unseen_key], values[start + seen_key]
        )
        for start in starts
        if start + seen_key in values
    }
