"""Planted zero-shot data and the instances of all baselines, for the tests that hold for each."""

from __future__ import annotations

import math
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np

from devise_exp.methods.baselines import (
    ALE,
    CVAE,
    ESZSL,
    LATEM,
    SAE,
    SJE,
    ClassNorm,
    ClipZeroShot,
    ConSE,
    ConSEPretraining,
    Majority,
    PredictedClassifiers,
    Prototypes,
    RidgeToFeatures,
    Softmax,
    SynC,
    WithPrior,
)
from devise_exp.methods.joint_texts import JointTexts
from devise_exp.methods.method import FittedMethod, Method
from devise_exp.methods.prior import PretrainedClassifier
from devise_exp.methods.task import ClassFold, GuardedFeatures, Task, class_fold

ALL: dict[str, Method] = {
    method.name: method
    for method in (
        Majority(),
        Prototypes(),
        Softmax(),
        ConSE(),
        ConSEPretraining(),
        ClipZeroShot(),
        ESZSL(),
        SAE(),
        RidgeToFeatures(),
        PredictedClassifiers(),
        ALE(),
        SJE(),
        LATEM(maps=(1, 2, 3), rates=(30.0,)),
        SynC(),
        ClassNorm(scales=(3.0, 5.0), steps=150),
        CVAE(images=20, steps=150),
        WithPrior(method=RidgeToFeatures()),
    )
}
# Those that name unseen classes by what they learn of seen ones.
LEARNING = {
    n: m for n, m in ALL.items() if m.names_unseen and not m.needs_pretraining and not m.needs_texts
}
CHOOSING = {name: method for name, method in ALL.items() if method.param_grid}
N_SEEN, N_UNSEEN, DIM, FEATURE_DIM = 30, 8, 6, 16


def unit(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, dtype=np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def planted(noise: float = 0.15, seed: int = 0, images: int = 10) -> Task:
    """Features that are a linear map of the class vector, plus an offset that all share and noise.

    The last two images of a seen class are for validation, and one more, as those of unseen
    classes, is closed. Class c has `images` + c % 3 of them.
    """
    rng = np.random.default_rng(seed)
    n = N_SEEN + N_UNSEEN
    vectors = unit(rng.normal(size=(n, DIM)))
    ids = np.repeat(np.arange(n), images + np.arange(n) % 3)
    relation = rng.normal(size=(DIM, FEATURE_DIM)) / math.sqrt(FEATURE_DIM)
    features = 1 + vectors[ids] @ relation + noise * rng.normal(size=(len(ids), FEATURE_DIM))
    order = rng.permutation(n)  # class ids of seen and unseen are mixed
    ids, class_vectors = order[ids], np.empty_like(vectors)
    class_vectors[order] = vectors
    seen = np.sort(order[:N_SEEN])
    folder = np.array([(ids[:i] == c).sum() for i, c in enumerate(ids)])
    is_seen = np.isin(ids, seen)
    rows = {
        "train": np.flatnonzero(is_seen & (folder >= 3)),
        "val": np.flatnonzero(is_seen & (folder < 2)),
    }
    opened = np.zeros(len(ids), dtype=bool)
    opened[np.concatenate(list(rows.values()))] = True
    known = PretrainedClassifier(
        tuple(f"category {i}" for i in range(40)),
        rng.normal(size=(40, FEATURE_DIM)).astype(np.float32),
        rng.normal(size=40).astype(np.float32),
        unit(rng.normal(size=(40, DIM))).astype(np.float32),
    )
    return Task(
        features=GuardedFeatures(features.astype(np.float32), opened),
        class_ids=ids,
        class_vectors=class_vectors.astype(np.float32),
        seen=seen,
        unseen=np.sort(order[N_SEEN:]),
        **rows,
        seed=seed,
        pretraining=known,
        texts=planted_texts(class_vectors, relation),
    )


def planted_texts(class_vectors: np.ndarray, relation: np.ndarray) -> JointTexts:
    """Class texts in the space of the features: where the images of a class lie without noise."""

    def average(groups: Any) -> np.ndarray:
        raise AssertionError(f"the run's own class vectors are of the tower: {groups}")

    return JointTexts(
        names=tuple(f"class {c}" for c in range(len(class_vectors))),
        average=average,
        class_vectors=unit(1 + class_vectors @ relation).astype(np.float32),
    )


def folds_of(task: Task) -> list[ClassFold]:
    return [class_fold(task, task.seen[:10]), class_fold(task, task.seen[10:20])]


def unseen_hit(fitted: FittedMethod, task: Task) -> float:
    """hit@1 of unseen images among unseen labels; the bare features, which no method sees."""
    is_unseen = np.isin(task.class_ids, task.unseen)
    images = fitted.embed(task.features.features[is_unseen])
    result = task.unseen[(images @ fitted.class_vectors[task.unseen].T).argmax(axis=1)]
    return float((result == task.class_ids[is_unseen]).mean())


def slow_area(model: Any, task: Task, fold: ClassFold) -> float:
    """The area under the trade-off curve, by ranking all labels anew at every gamma."""
    seen, unseen = fold.task.seen, fold.task.unseen
    sides = []
    for rows in (fold.seen_rows, fold.unseen_rows):
        scores = (model.embed(task.features[rows]) @ model.class_vectors.T).astype(np.float64)
        truth = task.class_ids[rows]
        _, places, counts = np.unique(truth, return_inverse=True, return_counts=True)
        weights = 1 / (len(counts) * counts[places])  # the mean over classes of their shares
        sides.append((scores[:, seen], scores[:, unseen], truth, weights))
    gaps = np.unique(np.concatenate([s.max(axis=1) - u.max(axis=1) for s, u, *_ in sides]))
    gammas = [gaps[0] - 1, *((gaps[1:] + gaps[:-1]) / 2), gaps[-1] + 1]
    points = []
    for gamma in gammas:
        figures = []
        for s, u, truth, weights in sides:
            best = np.argmax(np.hstack([s - gamma, u]), axis=1)
            right = np.concatenate([seen, unseen])[best] == truth
            figures.append(weights[right].sum())
        points.append(figures)
    return sum(
        (after[1] - before[1]) * (after[0] + before[0]) / 2 for before, after in pairwise(points)
    )


def problem(task: Task) -> SimpleNamespace:
    """X (n, d) about its mean, targets (n,), S (s, a), T (n, a), Y (n, s), centre (d,)."""
    features = unit(task.features[task.train])
    targets = task.targets(task.train)
    vectors = task.class_vectors[task.seen].astype(np.float64)
    signs = np.where(targets[:, None] == np.arange(len(vectors)), 1.0, -1.0)
    centre = features.mean(axis=0)
    return SimpleNamespace(
        X=features - centre, S=vectors, T=vectors[targets], Y=signs, centre=centre, targets=targets
    )


def slow_conse(shares: np.ndarray, vectors: np.ndarray, top: int) -> list[list[float]]:
    rows = []
    for row in shares.tolist():
        smallest = sorted(row, reverse=True)[:top][-1]
        mixed = [0.0] * vectors.shape[1]
        for share, vector in zip(row, vectors.tolist(), strict=True):
            if share >= smallest:  # ties with the last of the top count
                mixed = [m + share * v for m, v in zip(mixed, vector, strict=True)]
        length = math.sqrt(sum(m * m for m in mixed))
        rows.append([m / length for m in mixed])
    return rows
