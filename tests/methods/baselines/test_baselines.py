"""Baselines against independent solutions, on planted data, and behind the guard of a task."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise, product
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from devise_exp.core.errors import InputError
from devise_exp.data.splits import random_split
from devise_exp.methods import prior
from devise_exp.methods.baselines import ale, closed_form, seen_only
from devise_exp.methods.baselines import conse as conse_module
from devise_exp.methods.baselines import softmax as softmax_module
from devise_exp.methods.baselines.ale import RATES, ranking_slope
from devise_exp.methods.baselines.closed_form import (
    REGULARISERS,
    _ridge_to_features,
    ridge_to_features,
)
from devise_exp.methods.baselines.conse import conse_pretraining
from devise_exp.methods.baselines.softmax import fit_softmax, seen_classifier
from devise_exp.methods.prior import PretrainedClassifier
from devise_exp.methods.selection import choose_hyperparameters
from devise_exp.methods.task import (
    ClassFold,
    FittedMethod,
    GuardedFeatures,
    Method,
    SelectionError,
    Task,
    class_fold,
    make_task,
)

SEEN_ONLY: dict[str, Method] = {
    "majority": seen_only.majority,
    "prototypes": seen_only.prototypes,
    "softmax": softmax_module.softmax,
}
LEARNING: dict[str, Method] = {  # that name unseen classes by what they learn of seen ones
    "conse": conse_module.conse,
    "eszsl": closed_form.eszsl,
    "sae": closed_form.sae,
    "ridge_to_features": ridge_to_features,
    "ale": ale.ale,
}
ALL = SEEN_ONLY | LEARNING | {"conse_pretraining": conse_pretraining}
CHOOSING = ("eszsl", "sae", "ridge_to_features", "ale")
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
    place = np.array([(ids[:i] == c).sum() for i, c in enumerate(ids)])
    is_seen = np.isin(ids, seen)
    rows = {
        "train": np.flatnonzero(is_seen & (place >= 3)),
        "val": np.flatnonzero(is_seen & (place < 2)),
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
        GuardedFeatures(features.astype(np.float32), opened),
        ids,
        class_vectors.astype(np.float32),
        seen,
        np.sort(order[N_SEEN:]),
        **rows,
        seed=seed,
        pretraining=known,
    )


def folds_of(task: Task) -> list[ClassFold]:
    return [class_fold(task, task.seen[:10]), class_fold(task, task.seen[10:20])]


def unseen_hit(fitted: FittedMethod, task: Task) -> float:
    """hit@1 of unseen images among unseen labels; the bare features, which no method sees."""
    is_unseen = np.isin(task.class_ids, task.unseen)
    images = fitted.embed(task.features.features[is_unseen])
    found = task.unseen[(images @ fitted.class_vectors[task.unseen].T).argmax(axis=1)]
    return float((found == task.class_ids[is_unseen]).mean())


# What every method has in common


@pytest.mark.parametrize("name", ALL)
def test_images_and_classes_are_unit_rows_of_one_space(name: str) -> None:
    task = planted()
    fitted = ALL[name](task, folds_of(task))
    assert fitted.name == name
    images = fitted.embed(task.features[task.val].astype(np.float16))
    assert images.dtype == fitted.class_vectors.dtype == np.float32
    assert images.shape == (len(task.val), fitted.class_vectors.shape[1])
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    lengths = np.linalg.norm(fitted.class_vectors, axis=1)
    np.testing.assert_allclose(lengths[task.seen], 1, atol=1e-5)
    np.testing.assert_allclose(lengths[task.unseen], float(name not in SEEN_ONLY), atol=1e-5)
    assert fitted.embed(task.features[task.val[:0]]).shape == (0, images.shape[1])


@pytest.mark.parametrize("name", ALL)
def test_no_method_depends_on_closed_rows_or_their_classes(name: str) -> None:
    task = planted()
    closed = ~task.features.open
    spoilt_features, spoilt_ids = task.features.features.copy(), task.class_ids.copy()
    spoilt_features[closed] = np.nan
    spoilt_ids[closed] = np.roll(spoilt_ids[closed], 3)
    spoilt = replace(
        task, features=replace(task.features, features=spoilt_features), class_ids=spoilt_ids
    )
    first, second = (ALL[name](each, folds_of(each)) for each in (task, spoilt))
    assert first.hyperparameters == second.hyperparameters
    np.testing.assert_array_equal(first.class_vectors, second.class_vectors)
    rows = task.features[task.val]
    np.testing.assert_array_equal(first.embed(rows), second.embed(rows))


def test_a_method_that_looks_at_unseen_rows_is_stopped() -> None:
    task = planted()

    def looks(task: Task, folds: Sequence[ClassFold] = ()) -> FittedMethod:
        rows = np.flatnonzero(np.isin(task.class_ids, task.unseen))
        task.features[np.concatenate([task.train, rows])]
        return seen_only.prototypes(task)

    def family(task: Task) -> Callable[[float], FittedMethod]:
        return lambda weight: looks(task)

    with pytest.raises(SelectionError, match="before the final evaluation"):
        looks(task)
    with pytest.raises(SelectionError):  # held-out classes of a class fold are closed as well
        looks(folds_of(task)[0].task)
    with pytest.raises(SelectionError):
        choose_hyperparameters(family, [{"weight": 1.0}], task, folds_of(task))
    is_unseen = np.flatnonzero(np.isin(task.class_ids, task.unseen))
    forged = replace(folds_of(task)[0], unseen_rows=is_unseen)
    with pytest.raises(SelectionError):  # nor can a choice be made by truly unseen rows
        ridge_to_features(task, [forged])


@pytest.mark.parametrize("name", LEARNING)
def test_a_planted_linear_relation_is_learned_and_shuffled_labels_destroy_it(name: str) -> None:
    task = planted()
    right = unseen_hit(LEARNING[name](task, folds_of(task)), task)
    ids, opened = task.class_ids.copy(), np.flatnonzero(task.features.open)
    ids[opened] = np.random.default_rng(0).permutation(ids[opened])
    lost = replace(task, class_ids=ids)
    shuffled = unseen_hit(LEARNING[name](lost, folds_of(lost)), task)
    assert right > 0.6 > 4 / N_UNSEEN
    assert shuffled < 0.3


@pytest.mark.parametrize("name", CHOOSING)
def test_without_a_class_fold_every_hyperparameter_is_the_middle_of_its_grid(name: str) -> None:
    task = planted()
    fitted = ALL[name](task, [])
    assert fitted.hyperparameters
    assert set(fitted.hyperparameters.values()) == {3.0 if name == "ale" else 1.0}
    member = FAMILIES[name](task)(*fitted.hyperparameters.values())
    rows = task.features[task.val]
    np.testing.assert_array_equal(fitted.embed(rows), member.embed(rows))


# Those that name seen classes only


def test_majority_ranks_classes_by_their_training_rows() -> None:
    ids = np.array([2, 2, 2, 0, 4, 4, 1, 1, 1, 1])
    features = GuardedFeatures(np.ones((10, 3), dtype=np.float32), ids != 1)
    task = Task(
        features,
        ids,
        np.eye(5, dtype=np.float32),
        np.array([0, 2, 4]),
        np.array([1, 3]),
        np.array([0, 1, 3, 4, 5, 2]),
        np.array([], dtype=np.int64),
        seed=0,
    )
    fitted = seen_only.majority(task)
    cosines = fitted.embed(np.zeros((2, 3))) @ fitted.class_vectors.T
    np.testing.assert_allclose(cosines, [[1 / 3, 0, 1, 0, 2 / 3]] * 2, rtol=1e-6)
    with_ties = seen_only.majority(replace(task, train=np.array([3, 2, 4, 5])))
    np.testing.assert_allclose((with_ties.class_vectors @ [1, 0])[[0, 2, 4]], [0.5, 0.5, 1])


def test_prototypes_are_means_of_unit_features() -> None:
    features = np.array([[3, 4], [0, 2], [10, 0], [9, 9]], dtype=np.float32)
    ids = np.array([2, 2, 0, 1])
    task = Task(
        GuardedFeatures(features, ids != 1),
        ids,
        np.eye(3, dtype=np.float32),
        np.array([0, 2]),
        np.array([1]),
        np.array([0, 1, 2]),
        np.array([], dtype=np.int64),
        seed=0,
    )
    fitted = seen_only.prototypes(task)
    mean = np.array([0.6 + 0, 0.8 + 1]) / 2  # each image weighs alike, however long its feature
    expected = [[1, 0], [0, 0], mean / math.hypot(*mean)]
    np.testing.assert_allclose(fitted.class_vectors, expected, rtol=1e-6)
    np.testing.assert_allclose(fitted.embed(features[:1]), [[0.6, 0.8]], rtol=1e-6)


def test_a_classifier_keeps_no_features_alive() -> None:
    task = planted()
    seen_classifier(task)
    features = weakref.ref(task.features.features)
    del task
    gc.collect()
    assert features() is None


def test_softmax_and_conse_share_the_classifier_of_their_task() -> None:
    task = planted(noise=0.05)
    softmax, conse = softmax_module.softmax(task), conse_module.conse(task)
    classifier = seen_classifier(task)
    assert classifier is seen_classifier(task)
    inner = folds_of(task)[0].task  # one of its own, that knows fewer classes
    assert len(seen_classifier(inner).weight) == len(inner.seen) < len(classifier.weight)
    rows = task.features[task.val]
    shares = classifier.probabilities(rows)
    np.testing.assert_allclose(softmax.embed(rows), unit(shares), atol=1e-6)
    nearest = (softmax.embed(rows) @ softmax.class_vectors.T).argmax(axis=1)
    np.testing.assert_array_equal(nearest, task.seen[shares.argmax(axis=1)])
    assert (nearest == task.class_ids[task.val]).mean() > 0.5 > 10 / N_SEEN
    np.testing.assert_allclose(
        conse.embed(rows), slow_conse(shares, task.class_vectors[task.seen], 10), atol=1e-5
    )
    again = softmax_module.softmax(replace(task))  # an equal task, trained anew
    np.testing.assert_array_equal(softmax.embed(rows), again.embed(rows))


# The softmax classifier and ConSE

N, CLASSES = 240, 4


def clusters(noise: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, CLASSES, N)
    centres = 2 * rng.normal(size=(CLASSES, 6))
    features = centres[targets] + noise * rng.normal(size=(N, 6))
    return features.astype(np.float16), targets


def test_the_softmax_classifier_learns_and_its_probabilities_are_those_of_its_weights() -> None:
    features, targets = clusters()
    classifier = fit_softmax(features[:160], targets[:160], CLASSES, seed=0, epochs=200)
    shares = classifier.probabilities(features[160:])
    assert shares.shape == (80, CLASSES)
    assert shares.dtype == np.float32
    assert (shares.argmax(axis=1) == targets[160:]).mean() > 0.8 > 2 / CLASSES
    weight, bias = classifier.weight.astype(float), classifier.bias.astype(float)
    for feature, row in zip(features[160:].astype(float), shares, strict=True):
        powers = [math.exp(w @ feature + b) for w, b in zip(weight, bias, strict=True)]
        np.testing.assert_allclose(row, np.array(powers) / sum(powers), atol=1e-5)


def test_the_softmax_classifier_follows_its_seed_and_leaves_the_global_one() -> None:
    features, targets = clusters()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second, other = (
        fit_softmax(features, targets, CLASSES, seed, epochs=1) for seed in (0, 0, 1)
    )
    assert torch.equal(torch.rand(3), expected)
    np.testing.assert_array_equal(first.weight, second.weight)
    assert not np.array_equal(first.weight, other.weight)


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


@settings(deadline=None)
@given(
    st.integers(1, 6),
    st.integers(1, 8),
    st.integers(2, 5),
    st.integers(1, 12),
    st.integers(0, 10**6),
    st.booleans(),
)
def test_conse_is_what_plain_loops_give(
    n: int, classes: int, dim: int, top: int, seed: int, tied: bool
) -> None:
    rng = np.random.default_rng(seed)
    # Small whole numbers: many ties, at the boundary of the top too.
    shares = rng.integers(1, 4, (n, classes)) if tied else rng.random((n, classes)) + 0.01
    shares = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    vectors = np.abs(rng.normal(size=(classes, dim))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = prior.conse(shares, vectors, top)
    assert found.shape == (n, dim)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, slow_conse(shares, vectors, top), atol=1e-5)


def test_conse_by_hand() -> None:
    vectors = np.eye(3, dtype=np.float32)
    shares = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]], dtype=np.float32)
    one = prior.conse(shares, vectors, 1)
    np.testing.assert_allclose(one, [[1, 0, 0], [0, 0, 1]])
    both = prior.conse(shares, vectors, 2)
    np.testing.assert_allclose(both[0], np.array([5, 3, 0]) / math.sqrt(34), rtol=1e-6)
    # The other two are equally probable, so neither is left out.
    np.testing.assert_allclose(both[1], np.array([2, 2, 6]) / math.sqrt(44), rtol=1e-6)
    np.testing.assert_array_equal(
        prior.conse(shares, vectors, 3),
        prior.conse(shares, vectors, 99),
    )


def test_conse_on_pretraining_classes_by_hand() -> None:
    # Ten of twelve classes are mixed; the logits of the feature (1, 0) are ln 12, ln 11 ... ln 1.
    known = PretrainedClassifier(
        tuple("abcdefghijkl"),
        np.array([[math.log(12 - i), i] for i in range(12)], dtype=np.float32),
        np.zeros(12, dtype=np.float32),
        np.eye(12, dtype=np.float32),
    )
    task = replace(planted(), pretraining=known)
    fitted = conse_pretraining(task)
    weights = np.array([12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 0, 0])
    found = fitted.embed(np.array([[1, 0]]))
    np.testing.assert_allclose(found, [weights / math.hypot(*weights)], rtol=1e-5)
    np.testing.assert_array_equal(fitted.class_vectors, task.class_vectors)
    with pytest.raises(InputError, match="leave this method out"):
        conse_pretraining(replace(task, pretraining=None))


# Closed forms against slow solutions in double precision


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


def mean_eigenvalue(matrix: np.ndarray) -> float:
    return float(np.linalg.eigvalsh(matrix).mean())


def slow_eszsl(task: Task, gamma: float, weight: float) -> np.ndarray:
    """V (d, a): the normal equations of the objective as one Kronecker system."""
    p = problem(task)
    gram, spread = p.X.T @ p.X, p.S.T @ p.S
    gamma, weight = gamma * mean_eigenvalue(gram), weight * mean_eigenvalue(spread)
    left = gram + gamma * np.eye(len(gram))
    right = spread + weight * np.eye(len(spread))
    solved = np.linalg.solve(np.kron(left, right), (p.X.T @ p.Y @ p.S).ravel())
    return solved.reshape(len(gram), len(spread))


def slow_sae(task: Task, weight: float) -> np.ndarray:
    """W' (d, a) by a Kronecker system."""
    p = problem(task)
    a, b = p.T.T @ p.T, p.X.T @ p.X
    b, weight = _relative(a, b, weight)
    c = (1 + weight) * p.T.T @ p.X
    system = np.kron(a, np.eye(len(b))) + np.kron(np.eye(len(a)), b)
    return np.linalg.solve(system, c.ravel()).reshape(len(a), len(b)).T


def _relative(a: np.ndarray, b: np.ndarray, weight: float) -> tuple[np.ndarray, float]:
    weight = weight * mean_eigenvalue(a) / mean_eigenvalue(b)
    return weight * b, weight


def slow_mapped(solve: Callable[..., np.ndarray], task: Task, *weights: float) -> SimpleNamespace:
    """What the slow solution of a linear map makes of images and classes."""
    weights_of_map, centre = solve(task, *weights), problem(task).centre
    return SimpleNamespace(
        class_vectors=task.class_vectors,
        embed=lambda rows: unit((unit(rows) - centre) @ weights_of_map),
    )


def slow_ridge(task: Task, alpha: float) -> SimpleNamespace:
    """Least squares on augmented rows: the penalty as further equations, the offset as a column."""
    features, targets = unit(task.features[task.train]), task.targets(task.train)
    means = np.array([features[targets == c].mean(axis=0) for c in range(len(task.seen))])
    vectors = task.class_vectors.astype(np.float64)
    seen = vectors[task.seen]
    about = seen - seen.mean(axis=0)
    penalty = math.sqrt(alpha * mean_eigenvalue(about.T @ about)) * np.eye(seen.shape[1])
    rows = np.block([[seen, np.ones((len(seen), 1))], [penalty, np.zeros((len(penalty), 1))]])
    values = np.concatenate([means, np.zeros((len(penalty), means.shape[1]))])
    solved = np.linalg.lstsq(rows, values, rcond=None)[0]
    return SimpleNamespace(class_vectors=unit(vectors @ solved[:-1] + solved[-1]), embed=unit)


SLOW: dict[str, Callable[..., SimpleNamespace]] = {
    "eszsl": lambda task, *weights: slow_mapped(slow_eszsl, task, *weights),
    "sae": lambda task, *weights: slow_mapped(slow_sae, task, *weights),
    "ridge_to_features": slow_ridge,
}
FAMILIES = {
    "eszsl": closed_form._eszsl,
    "sae": closed_form._sae,
    "ridge_to_features": _ridge_to_features,
    "ale": ale._ale,
}


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize("weight", [0.01, 1.0, 30.0])
def test_a_closed_form_is_what_a_slow_solution_gives(name: str, weight: float) -> None:
    task = planted(noise=0.3, seed=3)
    weights = (weight, 2.0) if name == "eszsl" else (weight,)
    fitted, slow = FAMILIES[name](task)(*weights), SLOW[name](task, *weights)
    rows = task.features[task.val]
    np.testing.assert_allclose(fitted.embed(rows), slow.embed(rows), atol=2e-4)
    np.testing.assert_allclose(fitted.class_vectors, slow.class_vectors, atol=2e-4)


def slope(objective: Callable[[np.ndarray], float], at: np.ndarray) -> np.ndarray:
    """Central differences; exact for a quadratic, up to rounding."""
    found = np.empty_like(at)
    for place in np.ndindex(*at.shape):
        step = np.zeros_like(at)
        step[place] = 1e-3
        found[place] = (objective(at + step) - objective(at - step)) / 2e-3
    return found


def test_the_slow_solutions_are_where_the_objectives_are_least() -> None:
    task = planted(noise=0.3, seed=4)
    p = problem(task)
    gram, spread = p.X.T @ p.X, p.S.T @ p.S
    gamma, weight = 0.7 * mean_eigenvalue(gram), 0.2 * mean_eigenvalue(spread)

    def eszsl(v: np.ndarray) -> float:
        loss = ((p.X @ v @ p.S.T - p.Y) ** 2).sum() + gamma * ((v @ p.S.T) ** 2).sum()
        return float(loss + weight * ((p.X @ v) ** 2).sum() + gamma * weight * (v**2).sum())

    found = slow_eszsl(task, 0.7, 0.2)
    assert np.abs(slope(eszsl, found)).max() < 1e-6 * np.abs(slope(eszsl, 0 * found)).max()

    _, decoded = _relative(p.T.T @ p.T, gram, 0.7)

    def sae(w: np.ndarray) -> float:
        return float(((p.X - p.T @ w) ** 2).sum() + decoded * ((p.X @ w.T - p.T) ** 2).sum())

    encoder = slow_sae(task, 0.7).T
    assert np.abs(slope(sae, encoder)).max() < 1e-6 * np.abs(slope(sae, 0 * encoder)).max()
    b, decoded = _relative(p.T.T @ p.T, gram, 0.7)
    sylvester = scipy.linalg.solve_sylvester(p.T.T @ p.T, b, (1 + decoded) * p.T.T @ p.X)
    np.testing.assert_allclose(encoder, sylvester, atol=1e-9)


def test_the_autoencoder_has_a_small_solution_with_fewer_classes_and_images_than_dimensions() -> (
    None
):
    task = planted()
    few = task.seen[:4]
    rows = task.train[np.isin(task.class_ids[task.train], few)][:12]
    small = replace(task, seen=np.unique(task.class_ids[rows]), train=rows)
    assert (closed_form._moments(small).spectrum >= 0).all()  # whatever rounding makes of zeros
    fitted = closed_form._sae(small)(1.0)
    # Both matrices are singular; of all solutions the least one, by singular values.
    p = problem(small)
    a, (b, weight) = p.T.T @ p.T, _relative(p.T.T @ p.T, p.X.T @ p.X, 1.0)
    system = np.kron(a, np.eye(len(b))) + np.kron(np.eye(len(a)), b)
    right = ((1 + weight) * p.T.T @ p.X).ravel()
    least = np.linalg.lstsq(system, right, rcond=1e-8)[0].reshape(len(a), len(b)).T
    features = task.features[task.val]
    expected = unit((unit(features) - p.centre) @ least)
    np.testing.assert_allclose(fitted.embed(features), expected, atol=2e-3)


@pytest.mark.parametrize("name", SLOW)
def test_the_choice_is_what_a_brute_force_grid_gives(name: str) -> None:
    task = planted(noise=0.5, seed=5)
    folds = folds_of(task)
    fitted = ALL[name](task, folds)
    figure = fitted.hyperparameters.pop("rehearsal/AUSUC")
    grid = list(product(REGULARISERS, repeat=len(fitted.hyperparameters)))
    figures = [np.mean([slow_area(SLOW[name](r.task, *g), task, r) for r in folds]) for g in grid]
    best = int(np.round(figures, 9).argmax())
    assert tuple(fitted.hyperparameters.values()) == grid[best]
    assert figure == pytest.approx(figures[best])
    assert figures[best] > 1.05 * min(figures)  # there is something to choose
    rows = task.features[task.val]
    expected = SLOW[name](task, *grid[best])  # and the choice is then learned from all seen classes
    np.testing.assert_allclose(fitted.embed(rows), expected.embed(rows), atol=1e-3)


def slow_area(model: SimpleNamespace, task: Task, fold: ClassFold) -> float:
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


@pytest.mark.parametrize("name", SLOW)
def test_a_regulariser_weighs_the_same_at_any_scale_and_on_any_number_of_images(name: str) -> None:
    task = planted(noise=0.3)
    scaled = replace(task, features=replace(task.features, features=50 * task.features.features))
    doubled = replace(task, train=np.concatenate([task.train, task.train]))
    weights = (1.0, 1.0) if name == "eszsl" else (1.0,)
    rows = task.features[task.val]
    expected = FAMILIES[name](task)(*weights)
    for other in (scaled, doubled):
        found = FAMILIES[name](other)(*weights)
        np.testing.assert_allclose(found.embed(rows), expected.embed(rows), atol=1e-4)
        np.testing.assert_allclose(found.class_vectors, expected.class_vectors, atol=1e-4)


# ALE


def slow_ranking_loss(scores: np.ndarray, targets: np.ndarray) -> float:
    total = 0.0
    for row, target in zip(scores.tolist(), targets.tolist(), strict=True):
        terms = [1 + s - row[target] for y, s in enumerate(row) if y != target]
        positive = [term for term in terms if term > 0]
        if positive:
            rank = len(positive)
            total += sum(1 / j for j in range(1, rank + 1)) / rank * sum(positive)
    return total


def test_the_ranking_slope_is_that_of_the_loss_in_plain_loops() -> None:
    rng = np.random.default_rng(0)
    scores, targets = rng.normal(size=(20, 7)), rng.integers(0, 7, 20)
    scores[0, targets[0]] = 10  # nothing to mend
    found = ranking_slope(scores, targets)
    expected = np.empty_like(scores)
    for place in np.ndindex(*scores.shape):
        step = np.zeros_like(scores)
        step[place] = 1e-6
        up, down = (slow_ranking_loss(scores + sign * step, targets) for sign in (1, -1))
        expected[place] = (up - down) / 2e-6
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not found[0].any()


def test_ale_learns_from_unit_features_about_their_mean_and_places_images_alike() -> None:
    task = planted(noise=0.3)
    p = problem(task)
    inputs = p.X / math.sqrt((p.X**2).sum(axis=1).mean())
    weights = ale._descend(
        inputs.astype(np.float32), p.targets, p.S.astype(np.float32), rate=1.0, seed=0
    )
    rows = task.features[task.val]
    expected = unit((unit(rows) - p.centre) @ weights)
    np.testing.assert_allclose(ale._ale(task)(1.0).embed(rows), expected, atol=1e-2)


def test_ale_follows_its_seed_and_chooses_its_rate_by_the_class_folds() -> None:
    task = planted(noise=0.5)
    folds = folds_of(task)
    first, second, other = (ale.ale(each, folds) for each in (task, task, replace(task, seed=9)))
    rows = task.features[task.val]
    np.testing.assert_array_equal(first.embed(rows), second.embed(rows))
    assert not np.array_equal(first.embed(rows), other.embed(rows))
    figures = [
        np.mean([slow_area(ale._ale(r.task)(rate), task, r) for r in folds]) for rate in RATES
    ]
    assert first.hyperparameters["rate"] == RATES[int(np.round(figures, 9).argmax())]
    assert first.hyperparameters["rehearsal/AUSUC"] == pytest.approx(max(figures))


# On a split as a run makes it


def test_methods_take_the_task_of_a_split() -> None:
    names = [f"class {c}" for c in range(12)]
    ids = np.repeat(np.arange(12), 9)
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(12, 5))).astype(np.float32)
    features = vectors[ids] @ rng.normal(size=(5, 9)) + 0.1 * rng.normal(size=(len(ids), 9))
    split = random_split(names, ids, [f"{i}.png" for i in range(len(ids))], n_unseen=4)
    task = make_task(split, ids, vectors, features.astype(np.float32), seed=0)
    classifier = seen_classifier(task)
    softmax, conse = softmax_module.softmax(task), conse_module.conse(task)
    # One dimension per seen class: the nearest candidate is the most probable class.
    assert not softmax.class_vectors[split.unseen].any()
    test = softmax.embed(features[split.test])
    found = split.seen[test.argmax(axis=1)]
    np.testing.assert_array_equal((test @ softmax.class_vectors.T).argmax(axis=1), found)
    assert (found == ids[split.test]).mean() > 2 / len(split.seen)  # twice chance
    # ConSE lives in the space of word vectors and sees the unseen images as well.
    np.testing.assert_array_equal(conse.class_vectors, vectors)
    shares = classifier.probabilities(features[split.unseen_rows])
    np.testing.assert_allclose(
        conse.embed(features[split.unseen_rows]),
        slow_conse(shares, vectors[split.seen], 10),
        atol=1e-5,
    )
    folds = [class_fold(task, split.seen[:3])]
    for name in CHOOSING:
        fitted = ALL[name](task, folds)
        assert fitted.embed(features[split.test]).shape[1] == fitted.class_vectors.shape[1]
        assert 0 <= fitted.hyperparameters["rehearsal/AUSUC"] <= 1
        assert unseen_hit(fitted, task) > 1 / len(split.unseen)
