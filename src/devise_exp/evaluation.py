"""Evaluation protocols: embeddings of seen and unseen images to one EvalReport of flat hit@k."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from devise_exp import hierarchy, intervals, metrics, tradeoff
from devise_exp.errors import InputError
from devise_exp.index import ExactIndex, Index
from devise_exp.tradeoff import Curve, Found

KS = (1, 2, 3, 5, 10, 20)
RECALL_AT = 10
MODEL = "devise"

MakeIndex = Callable[[np.ndarray], Index]


@dataclass(frozen=True)
class Embedded:
    """What one method makes of the evaluated images, in its own space.

    class_vectors: (C, D) unit rows, one per class id; seen (n, D) and unseen (m, D) unit
    embeddings of seen test and unseen images, with their class ids; train likewise, where the
    training images are evaluated too. A method that cannot name a class has a zero row for it (the
    softmax baseline, for unseen classes) and is left out where that class is a candidate. factor:
    by which calibrated stacking lowers the similarity of seen labels, None where nothing chose one.
    trained_map: whether it is a map trained to the class vectors.
    """

    name: str
    class_vectors: np.ndarray
    seen: np.ndarray
    seen_truth: np.ndarray
    unseen: np.ndarray
    unseen_truth: np.ndarray
    train: np.ndarray | None = None
    train_truth: np.ndarray | None = None
    factor: float | None = None
    trained_map: bool = False

    def __post_init__(self) -> None:
        if len(self.seen) != len(self.seen_truth) or len(self.unseen) != len(self.unseen_truth):
            raise ValueError(f"{self.name}: embeddings and truths differ in number")

    def with_labels(self, vectors: np.ndarray) -> Embedded:
        """The same with further candidate labels, (E, D) unit rows, after its own."""
        return replace(self, class_vectors=np.concatenate([self.class_vectors, vectors]))


@dataclass(frozen=True, eq=False)
class Protocol:
    """`images` ("seen", "unseen" or "train") ranked among the class ids `candidates`.

    classes: only the images of these class ids, None for all. lowered: those candidates whose
    similarity a method's factor lowers (calibrated stacking), None for none.
    """

    name: str
    images: str
    candidates: np.ndarray
    classes: np.ndarray | None = None
    lowered: np.ndarray | None = None


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
    """report: every figure. neighbours: the trained model's nearest labels (N, k) per protocol,
    best first, and truth: those images' class ids (N,). curves: by method, the trade-off between
    seen and unseen classes.
    """

    report: EvalReport
    neighbours: dict[str, np.ndarray]
    truth: dict[str, np.ndarray] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)


def protocols(
    seen: np.ndarray,
    unseen: np.ndarray,
    extra: np.ndarray | None = None,
    train: bool = False,
    leaked: np.ndarray | None = None,
    calibrated: bool = False,
) -> tuple[Protocol, ...]:
    """Seen among seen, unseen among unseen, and both among all labels (generalised).

    extra: ids of labels beyond the run's classes; they give two more protocols, both among all
    labels and these. train: one more, training images among seen labels. leaked: ids of the unseen
    classes that the pretraining knew; where there are any, the images of those and of the others
    also apart. calibrated: both among all labels also by calibrated stacking.
    """
    both = np.concatenate([seen, unseen])
    rows: tuple[Protocol, ...] = (
        Protocol("seen", "seen", seen),
        Protocol("unseen", "unseen", unseen),
        Protocol("all_seen", "seen", both),
        Protocol("all_unseen", "unseen", both),
    )
    if calibrated:
        rows += (
            Protocol("calibrated_seen", "seen", both, lowered=seen),
            Protocol("calibrated_unseen", "unseen", both, lowered=seen),
        )
    if leaked is not None and len(leaked):
        for name, classes in (("clean", np.setdiff1d(unseen, leaked)), ("leaked", leaked)):
            if len(classes):
                rows += (Protocol(f"unseen_{name}", "unseen", unseen, classes),)
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
    for position, model in enumerate(models):
        start = "" if position == 0 else f"method/{model.name}/"
        searches = _Searches(model, make_index)
        for protocol in chosen:
            own_ks = ks_of(protocol, ks)
            if not answers(model, protocol):
                continue
            found, truth = searches.ranked(protocol, max(*own_ks, RECALL_AT))
            prefix = f"{start}{protocol.name}/"
            values.update({prefix + k: v for k, v in figures(found, truth, own_ks).items()})
            if distances is not None and protocol.candidates.max() < len(distances):
                near = hierarchy.precisions(found, truth, protocol.candidates, distances, own_ks)
                values.update({f"{prefix}hp@{k}": float(v.mean()) for k, v in near.items()})
            if position == 0:
                result.neighbours[protocol.name], result.truth[protocol.name] = found, truth
                result.report.n[protocol.name] = len(truth), len(protocol.candidates)
                values.update(_chance(protocol, truth, own_ks, distances))
        values.update(_generalised(values, start, model.factor))
        sides = [p for p in chosen if p.name in ("all_seen", "all_unseen")]
        if len(sides) == 2 and all(answers(model, side) for side in sides):
            result.curves[model.name] = curve = searches.curve(chosen)
            values[f"{start}all/AUSUC"] = tradeoff.area(curve)
        recalls += searches.recalls
    values[f"index/recall@{RECALL_AT}"] = min(recalls)
    return result


def figures(found: np.ndarray, truth: np.ndarray, ks: Sequence[int]) -> dict[str, float]:
    """hit@k per image and as class mean, each with its 95 % bootstrap interval over images; the
    latter also over classes (/classes_lo, /classes_hi).

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
            values[f"{name}/lo"], values[f"{name}/hi"] = intervals.interval(hits, classes)
        over_classes = intervals.class_interval(hits, truth)
        values[f"{name}/classes_lo"], values[f"{name}/classes_hi"] = over_classes
    return values


def names_all(model: Embedded, candidates: np.ndarray) -> bool:
    """Whether the model has a vector for each of these class ids."""
    known = candidates.max() < len(model.class_vectors)
    return known and bool(model.class_vectors[candidates].any(axis=1).all())


def answers(model: Embedded, protocol: Protocol) -> bool:
    """Whether the method has these images, a vector for each candidate, and the factor it needs."""
    rows, truth = _rows(model, protocol.images)
    if rows is None or not names_all(model, protocol.candidates):
        return False
    if protocol.classes is not None and not np.isin(truth, protocol.classes).any():
        return False
    return protocol.lowered is None or model.factor is not None


def _rows(model: Embedded, images: str) -> tuple[Any, Any]:
    """Embeddings and class ids of images, None where the method has none."""
    return getattr(model, images), getattr(model, f"{images}_truth")


class _Searches:
    """Searches of one method's images, each made once, with the recall of the index in each."""

    def __init__(self, model: Embedded, make_index: MakeIndex) -> None:
        self.model, self.make_index = model, make_index
        self.recalls: list[float] = []
        self._indexes: dict[bytes, tuple[Index, ExactIndex]] = {}
        self._found: dict[tuple[str, bytes, int], Found] = {}

    def ranked(self, protocol: Protocol, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """(class ids (N, k), best first, truth (N,)) of the protocol's images; k is `depth`, or all
        candidates.
        """
        _, truth = _rows(self.model, protocol.images)
        depth = min(depth, len(protocol.candidates))
        if protocol.lowered is None or self.model.factor is None:
            metrics.check_truth(truth, protocol.candidates)
            found, _ = self.among(protocol.images, protocol.candidates, depth)
        else:
            others = np.setdiff1d(protocol.candidates, protocol.lowered)
            sides = [self.among(protocol.images, c, depth) for c in (protocol.lowered, others)]
            found = tradeoff.calibrated(*sides, self.model.factor, depth)
        if protocol.classes is not None:
            own = np.isin(truth, protocol.classes)
            found, truth = found[own], truth[own]
        return found, truth

    def curve(self, chosen: Sequence[Protocol]) -> Curve:
        """The trade-off between seen and unseen classes, by each image's best answers."""
        labels = {p.name: p.candidates for p in chosen}
        unseen = np.setdiff1d(labels["all_unseen"], np.unique(self.model.seen_truth))
        seen = np.setdiff1d(labels["all_seen"], unseen)
        sides = []
        for images in ("seen", "unseen"):
            found = [self.among(images, side, 1) for side in (seen, unseen)]
            sides.append(tradeoff.best_answers(*found, _rows(self.model, images)[1]))
        return tradeoff.curve(*sides)

    def among(self, images: str, candidates: np.ndarray, depth: int) -> Found:
        """(class ids, similarities), both (N, k), of images among candidates."""
        depth, label = min(depth, len(candidates)), candidates.tobytes()
        key = (images, label, depth)
        if key not in self._found:
            if label not in self._indexes:
                vectors = self.model.class_vectors[candidates]
                self._indexes[label] = self.make_index(vectors), ExactIndex(vectors)
            queries, _ = _rows(self.model, images)
            index, oracle = self._indexes[label]
            found, similarity = index.search(queries, depth)
            exact, _ = oracle.search(queries, depth)
            top = min(RECALL_AT, depth)
            self.recalls.append(metrics.index_recall(found[:, :top], exact[:, :top]))
            self._found[key] = candidates[found], similarity
        return self._found[key]


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


def _chance(
    protocol: Protocol, truth: np.ndarray, ks: Sequence[int], distances: np.ndarray | None
) -> dict[str, float]:
    """What a random ranking of the candidates is expected to reach."""
    prefix, n = f"method/chance/{protocol.name}", len(protocol.candidates)
    values = {f"{prefix}/hit@{k}": metrics.chance(k, n) for k in ks}
    if distances is not None and protocol.candidates.max() < len(distances):
        placed = distances.diagonal() != hierarchy.UNPLACED
        rows = truth[placed[truth]]
        for k in ks if len(rows) else ():
            if k <= placed[protocol.candidates].sum():
                near = hierarchy.chance_precision(rows, protocol.candidates, distances, k)
                values[f"{prefix}/hp@{k}"] = float(near.mean())
    return values


def _generalised(values: Mapping[str, float], start: str, factor: float | None) -> dict[str, float]:
    """H of a method's two generalised class means (Xian et al. 2018), and of the calibrated ones,
    with their factor.
    """
    found: dict[str, float] = {}
    for kind in ("all", "calibrated"):
        u, s = (
            values.get(f"{start}{kind}_{images}/hit@1/class_mean") for images in ("unseen", "seen")
        )
        if u is not None and s is not None:
            found[f"{start}{kind}/H@1"] = metrics.harmonic_mean(u, s)
            if kind == "calibrated" and factor is not None:
                found[f"{start}calibrated/factor"] = factor
    return found
