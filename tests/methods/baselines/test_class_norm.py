"""Class normalisation against a second implementation in numpy: forward, loss and one step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.baselines import planted, problem, unit

from devise_exp.core.errors import InputError
from devise_exp.methods.baselines import ClassNorm
from devise_exp.methods.baselines.base import training_rows
from devise_exp.methods.baselines.class_norm import HIDDEN, PrototypeNetwork, train_prototypes

Layers = list[tuple[np.ndarray, np.ndarray]]


def layers_of(network: PrototypeNetwork) -> Layers:
    return [
        (layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy())
        for layer in (network.first, network.second, network.last)
    ]


def slow_prototypes(layers: Layers, words: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Unit by unit, each standardised by the values that the seen classes give it."""
    rows, reference = words.astype(float), seen.astype(float)
    (w1, b1), (w2, b2), (w3, b3) = layers
    rows, reference = (np.maximum(r @ w1.T + b1, 0) @ w2.T + b2 for r in (rows, reference))
    for is_last in (False, True):
        for unit_ in range(rows.shape[1]):
            mean, deviation = reference[:, unit_].mean(), np.sqrt(reference[:, unit_].var() + 1e-5)
            rows[:, unit_] = (rows[:, unit_] - mean) / deviation
            reference[:, unit_] = (reference[:, unit_] - mean) / deviation
        if not is_last:
            rows, reference = np.maximum(rows, 0), np.maximum(reference, 0)
    return np.asarray(rows @ w3.T + b3)


def slow_loss(layers: Layers, x: np.ndarray, targets: np.ndarray, seen: np.ndarray) -> float:
    prototypes = unit(slow_prototypes(layers, seen, seen))
    losses = []
    for image, target in zip(unit(x), targets, strict=True):
        logits = [25 * float(image @ p) for p in prototypes]
        losses.append(np.log(sum(np.exp(z) for z in logits)) - logits[target])
    return float(np.mean(losses))


def test_prototypes_and_the_slope_of_the_loss_are_those_of_plain_numpy() -> None:
    task = planted()
    rows = training_rows(task)
    torch.manual_seed(0)
    network = PrototypeNetwork(rows.vectors.shape[1], rows.features.shape[1])
    layers = layers_of(network)
    words, seen = torch.from_numpy(task.class_vectors), torch.from_numpy(rows.vectors)
    expected = slow_prototypes(layers, task.class_vectors, rows.vectors)
    np.testing.assert_allclose(network(words, seen).detach().numpy(), expected, atol=1e-4)
    inputs = F.normalize(torch.from_numpy(rows.features[:20]))
    logits = 25 * inputs @ F.normalize(network(seen, seen)).T
    loss = F.cross_entropy(logits, torch.from_numpy(rows.targets[:20]))
    loss.backward()
    few = rows.features[:20].astype(float), rows.targets[:20], rows.vectors
    assert loss.item() == pytest.approx(slow_loss(layers, *few), rel=1e-5)
    gradient = network.last.weight.grad
    assert gradient is not None
    for at in ((0, 0), (3, 7), (9, 100)):
        sides = []
        for sign in (1, -1):
            weight = layers[2][0].copy()
            weight[at] += sign * 1e-4
            sides.append(slow_loss([*layers[:2], (weight, layers[2][1])], *few))
        assert gradient[at].item() == pytest.approx(
            (sides[0] - sides[1]) / 2e-4, rel=1e-2, abs=1e-6
        )


def test_first_weights_have_the_variance_of_the_paper_and_images_lie_as_they_are() -> None:
    torch.manual_seed(0)
    weight = PrototypeNetwork(6, 400).last.weight.detach()
    assert float(weight.var()) == pytest.approx(1 / (HIDDEN * 400), rel=0.02)
    task, p = planted(), problem(planted())
    fitted = ClassNorm(steps=100).fit(task, {"scale": 5.0})
    rows = task.features[task.val]
    np.testing.assert_allclose(fitted.embed(rows), unit(unit(rows) - p.centre), atol=1e-5)
    network = train_prototypes(training_rows(task), 5.0, 100, task.seed)
    seen = task.class_vectors[task.seen]
    expected = unit(slow_prototypes(layers_of(network), task.class_vectors, seen))
    np.testing.assert_allclose(fitted.class_vectors, expected, atol=1e-3)


@pytest.mark.parametrize("scales", [(), (0.0,), "5"], ids=repr)
def test_wrong_scales_are_refused(scales: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="give numbers above 0"):
        ClassNorm(scales=scales)
