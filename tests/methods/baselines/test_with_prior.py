"""Methods with the prior: the mean of two cosines in plain loops, and a weight chosen on folds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.baselines import folds_of, planted, unit

from devise_exp.core.errors import InputError
from devise_exp.core.row_shards import Rows
from devise_exp.evaluation.metrics.tradeoff import ausuc
from devise_exp.methods.baselines import ESZSL, ConSE, Prototypes, RidgeToFeatures, WithPrior
from devise_exp.methods.method import FittedMethod
from devise_exp.methods.prior import PretrainedClassifier
from devise_exp.methods.selection import calibrate, choose_hyperparameters, fit_method, fold_curve
from devise_exp.methods.task import Task


def informed() -> Task:
    """A task whose pretraining knows the unseen classes, so that its opinion is worth a lot."""
    task = planted(noise=0.6)
    rng = np.random.default_rng(3)
    means = np.stack(
        [
            task.features.features[task.class_ids == c].mean(axis=0)
            for c in range(len(task.class_vectors))
        ]
    )
    means -= means.mean(axis=0)
    vectors = unit(task.class_vectors + 0.1 * rng.normal(size=task.class_vectors.shape))
    names = tuple(f"category {c}" for c in range(len(means)))
    bias = -20 * (means**2).sum(axis=1)
    known = PretrainedClassifier(names, 40 * means, bias, vectors.astype(np.float32))
    return replace(task, pretraining=known)


def slow_direction(task: Task, feature: np.ndarray, top: int) -> np.ndarray:
    known = task.pretraining
    assert known is not None
    logits = [float(w @ feature + b) / 2 for w, b in zip(known.weight, known.bias, strict=True)]
    shares = np.exp(np.array(logits) - max(logits))
    shares /= shares.sum()
    centre = sum(known.vectors) / len(known.vectors)
    mixed = np.zeros(known.vectors.shape[1])
    for c in np.argsort(-shares)[:top]:
        away = known.vectors[c] - centre
        mixed += shares[c] * away / np.linalg.norm(away)
    return np.asarray(mixed / np.linalg.norm(mixed))


def cosines(fitted: FittedMethod, rows: Rows | np.ndarray) -> np.ndarray:
    return np.asarray(fitted.embed(np.asarray(rows)) @ fitted.class_vectors.T, dtype=np.float64)


@pytest.mark.parametrize("method", [ESZSL(), RidgeToFeatures()], ids=lambda m: m.name)
def test_a_similarity_is_the_weighted_mean_of_two_cosines(method: ESZSL | RidgeToFeatures) -> None:
    task = informed()
    chosen = choose_hyperparameters(method, task, folds_of(task))
    alone = method.fit(task, chosen)
    both = WithPrior(method=method, top=5).fit(task, {**chosen, "prior/weight": 0.5})
    rows = task.features[task.val]
    of_method = cosines(alone, rows)
    of_prior = np.stack([slow_direction(task, row, 5) for row in rows]) @ task.class_vectors.T
    wide, narrow = (
        np.sqrt(np.mean([row[task.seen].var() for row in sides])) for sides in (of_method, of_prior)
    )
    first, second = 1 / wide, 0.5 / narrow
    expected = (first * of_method + second * of_prior) / (first + second)
    np.testing.assert_allclose(cosines(both, rows), expected, atol=1e-5)


def test_the_weight_is_that_of_the_largest_area_which_keeps_the_seen_classes() -> None:
    task = informed()
    folds, method = folds_of(task), WithPrior(method=ESZSL())
    fitted = fit_method(method, task, folds)
    alone = fit_method(ESZSL(), task, folds)
    weights = (0.0, *method.weights)
    areas, seen = [], []
    for weight in weights:
        chosen = {**alone.hyperparameters, "prior/weight": weight}
        curves = [fold_curve(method.fit(f.task, chosen), task, f) for f in folds]
        areas.append(np.mean([ausuc(curve) for curve in curves]))
        seen.append(np.mean([curve.seen[0] for curve in curves]))
    allowed = [i for i in range(len(weights)) if seen[i] >= seen[0] - 0.02]
    best = max(allowed, key=lambda i: areas[i])
    assert fitted.hyperparameters["prior/weight"] == weights[best] > 0
    assert fitted.hyperparameters["rehearsal/AUSUC"] == pytest.approx(areas[best])
    again = method.fit(task, fitted.hyperparameters)
    rows = task.features[task.val]
    np.testing.assert_array_equal(again.embed(rows), fitted.embed(rows))
    assert calibrate(method, task, folds).gamma is not None


def test_without_folds_or_pretraining_the_method_is_left_as_it_is() -> None:
    task, method = informed(), WithPrior(method=RidgeToFeatures())
    rows = task.features[task.val]
    for blind, folds in ((task, []), (replace(task, pretraining=None), folds_of(task))):
        folds = [replace(f, task=replace(f.task, pretraining=blind.pretraining)) for f in folds]
        result = fit_method(method, blind, folds)
        plain = fit_method(RidgeToFeatures(), blind, folds)
        np.testing.assert_array_equal(result.embed(rows), plain.embed(rows))
        assert result.hyperparameters["prior/weight"] == 0


def test_a_method_with_prior_keeps_the_traits_of_the_method() -> None:
    assert WithPrior(method=ConSE()).uses_seed is ConSE.uses_seed is True
    assert WithPrior(method=ESZSL()).uses_seed is ESZSL.uses_seed is False
    assert WithPrior(method=ConSE()).reports_search
    assert WithPrior(method=ESZSL()).uses_pretraining
    assert not ESZSL().uses_pretraining
    assert WithPrior(method=ESZSL()).name == "eszsl_prior"
    with pytest.raises(InputError, match="it names no unseen class: give a method"):
        WithPrior(method=Prototypes())
