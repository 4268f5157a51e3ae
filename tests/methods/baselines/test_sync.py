"""SynC against the objective of the paper, minimised over the phantom classifiers themselves."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from helpers.baselines import planted, problem, unit

from devise_exp.core.errors import InputError
from devise_exp.methods.baselines import SynC
from devise_exp.methods.baselines.sync import shares


def slow_shares(vectors: np.ndarray, phantoms: np.ndarray, width: float) -> np.ndarray:
    rows = []
    for a in vectors:
        weights = [np.exp(-sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / width)
                   for b in phantoms]  # fmt: skip
        rows.append([w / sum(weights) for w in weights])
    return np.array(rows)


def slow_unit(vectors: np.ndarray) -> float:
    nearest = [
        min(float(((a - b) ** 2).sum()) for j, b in enumerate(vectors) if i != j)
        for i, a in enumerate(vectors)
    ]
    return float(np.median(nearest))


def slow_phantoms(
    x: np.ndarray, targets: np.ndarray, mixing: np.ndarray, strength: float
) -> np.ndarray:
    """Minimise the paper's objective over V, the classifiers of the phantom classes."""
    n_classes, d = mixing.shape[0], x.shape[1]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        phantoms = flat.reshape(mixing.shape[1], d)
        weights = mixing @ phantoms
        total, slope = 0.0, np.zeros_like(weights)
        for c in range(n_classes):
            signs = np.where(targets == c, 1.0, -1.0)
            short = np.maximum(0, 1 - signs * (x @ weights[c]))
            total += (short**2).mean() + strength / 2 * weights[c] @ weights[c]
            slope[c] = -2 * (signs * short) @ x / len(x) + strength * weights[c]
        return total, (mixing.T @ slope).ravel()

    start = np.zeros(mixing.shape[1] * d)
    options = {"maxiter": 5000, "maxfun": 10**6, "ftol": 1e-15, "gtol": 1e-9}
    result = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    return np.asarray(result.x.reshape(mixing.shape[1], d))


def test_shares_are_those_of_plain_loops_and_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    vectors, phantoms = unit(rng.normal(size=(6, 3))), unit(rng.normal(size=(4, 3)))
    result = shares(vectors, phantoms, 0.3)
    np.testing.assert_allclose(result, slow_shares(vectors, phantoms, 0.3), atol=1e-12)
    np.testing.assert_allclose(result.sum(axis=1), 1)
    assert np.isfinite(shares(vectors, phantoms, 1e-6)).all()  # exp of it is 0 in plain loops


def test_the_classifiers_are_those_of_the_minimum_over_the_phantom_classes() -> None:
    task, p = planted(noise=0.3), problem(planted(noise=0.3))
    x = p.X / np.sqrt((p.X**2).sum(axis=1).mean())
    width = 0.2 * slow_unit(p.S)
    mixing = slow_shares(p.S, p.S, width)
    phantoms = slow_phantoms(x, p.targets, mixing, 1e-2)
    labels = np.concatenate([task.seen, task.unseen])
    weights = slow_shares(task.class_vectors[labels].astype(float), p.S, width) @ phantoms
    fitted = SynC().fit(task, {"strength": 1e-2, "width": 0.2})
    rows = task.features[task.val]
    images = unit(unit(rows) - p.centre)
    expected = images @ weights.T / np.linalg.norm(weights, axis=1).max()
    result = fitted.embed(rows) @ fitted.class_vectors[labels].T
    np.testing.assert_allclose(result, expected, atol=2e-3)


@pytest.mark.parametrize("option", ["strengths", "widths"])
@pytest.mark.parametrize("values", [(), (0.0,), "1"], ids=repr)
def test_wrong_values_are_refused(option: str, values: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=f"method.sync.{option}=.*give numbers above 0"):
        SynC(**{option: values})
