"""The generating method: its loss in plain numpy, what it generates, and the classifier of all."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers.baselines import folds_of, planted, problem, unit, unseen_hit

from devise_exp.core.errors import InputError
from devise_exp.methods.baselines import CVAE
from devise_exp.methods.baselines.base import training_rows
from devise_exp.methods.baselines.cvae import LATENT, ConditionalVAE, generate, train_cvae
from devise_exp.methods.baselines.softmax import fit_softmax


def layers_of(part: torch.nn.Sequential) -> list[np.ndarray]:
    return [p.detach().double().numpy() for p in part.parameters()]


def through(part: torch.nn.Sequential, row: np.ndarray) -> np.ndarray:
    w1, b1, w2, b2 = layers_of(part)
    return np.asarray(w2 @ np.maximum(w1 @ row + b1, 0) + b2)


def slow_loss(
    model: ConditionalVAE, x: np.ndarray, s: np.ndarray, noise: np.ndarray, weight: float
) -> float:
    total = 0.0
    for image, word, draw in zip(x.tolist(), s.tolist(), noise.tolist(), strict=True):
        mean, log_variance = np.split(through(model.encoder, np.array([*image, *word])), 2)
        code = [m + e * math.exp(v / 2) for m, v, e in zip(mean, log_variance, draw, strict=True)]
        back = through(model.decoder, np.array([*code, *word]))
        error = sum((a - b) ** 2 for a, b in zip(image, back, strict=True))
        # KL of normal variables with means m and variances exp(v) from standard ones
        kl = sum(0.5 * (math.exp(v) + m * m - 1 - v)
                 for m, v in zip(mean, log_variance, strict=True))  # fmt: skip
        total += error + weight * kl
    return total / len(x)


def test_the_loss_is_that_of_plain_loops() -> None:
    torch.manual_seed(0)
    model, rng = ConditionalVAE(16, 6), np.random.default_rng(0)
    x, s, noise = (
        rng.normal(size=(8, 16)),
        unit(rng.normal(size=(8, 6))),
        rng.normal(size=(8, LATENT)),
    )
    result = model.loss(*(torch.tensor(a, dtype=torch.float32) for a in (x, s, noise)), 0.3)
    assert result.item() == pytest.approx(slow_loss(model, x, s, noise, 0.3), rel=1e-5)


def test_it_generates_features_near_those_of_unseen_classes() -> None:
    task, p = planted(noise=0.1), problem(planted(noise=0.1))
    rows = training_rows(task)
    model = train_cvae(rows, 0.1, 300, task.seed)
    features = generate(model, task.class_vectors[task.unseen].astype(np.float32), 20, 0)
    means = features.reshape(len(task.unseen), 20, -1).mean(axis=1)
    truth = np.stack(  # the bare features, which no method sees
        [
            (unit(task.features.features[task.class_ids == c]) - p.centre).mean(axis=0)
            for c in task.unseen
        ]
    )
    nearest = (unit(truth) @ unit(means).T).argmax(axis=1)
    assert (nearest == np.arange(len(task.unseen))).mean() > 0.6
    assert features.reshape(len(task.unseen), 20, -1).std(axis=1).mean() > 0.01  # not one point


def test_a_cosine_is_the_logit_over_lengths_so_images_are_ranked_as_by_the_classifier() -> None:
    task, p = planted(), problem(planted())
    method = CVAE(images=15, steps=300)
    fitted = method.fit(task, {"kl_weight": 0.1})
    rows = training_rows(task)
    model = train_cvae(rows, 0.1, 300, task.seed)
    unseen = generate(model, task.class_vectors[task.unseen].astype(np.float32), 15, task.seed)
    targets = [*p.targets, *(len(task.seen) + np.repeat(np.arange(len(task.unseen)), 15))]
    both = np.concatenate([rows.features, unseen])
    classifier = fit_softmax(both, np.array(targets), len(task.class_vectors), task.seed)
    weights = np.column_stack([classifier.weight, classifier.bias]).astype(float)
    images = (unit(task.features[task.val]) - p.centre) / np.sqrt((p.X**2).sum(axis=1).mean())
    images = unit(np.column_stack([images, np.ones(len(images))]))
    expected = images @ weights.T / np.linalg.norm(weights, axis=1).max()
    labels = np.concatenate([task.seen, task.unseen])
    result = fitted.embed(task.features[task.val]) @ fitted.class_vectors[labels].T
    np.testing.assert_allclose(result, expected, atol=1e-3)
    assert unseen_hit(fitted, task) > 0.5
    assert not method.fit(folds_of(task)[0].task).class_vectors[task.unseen].any()


@pytest.mark.parametrize(
    "options", [{"kl_weights": ()}, {"kl_weights": (0.0,)}, {"images": 0}, {"steps": 0}], ids=str
)
def test_wrong_options_are_refused(options: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(InputError, match=r"method.cvae.*give"):
        CVAE(**options)  # type: ignore[arg-type]
