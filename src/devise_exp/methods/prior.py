"""What a backbone's own classifier knows, as a prior in the space of word vectors.

The classifier of the pretraining (ImageNet's 1,000 classes) names every picture among its own
classes. Those have word vectors as well, so its answer is a point in the space of word vectors that
no training was needed for (ConSE, Norouzi et al. 2014). Classes that the overlap audit finds to
be the same as, a kind of, or a parent of an unseen class are taken out first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from devise_exp.core.errors import InputError

AT_ONCE = 4096  # rows of features whose logits are held at a time


@dataclass(frozen=True, eq=False)
class PretrainedClassifier:
    """K pretraining classes: the classifier's weight (K, feature_dim) and bias (K,), and the
    classes' vectors (K, D), unit rows.
    """

    categories: tuple[str, ...]
    weight: np.ndarray
    bias: np.ndarray
    vectors: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.categories)
        if not n == len(self.weight) == len(self.bias) == len(self.vectors):
            raise ValueError("a pretraining class lacks its weight, bias or vector")

    def probabilities(self, features: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        """(N, feature_dim) -> (N, K) float32, rows sum to one; the logits over `temperature`."""
        logits = (features.astype(np.float32) @ self.weight.T + self.bias) / temperature
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))

    def without(self, categories: Collection[str]) -> PretrainedClassifier | None:
        """The same without the categories of these names, None where fewer than two are left."""
        kept = [i for i, name in enumerate(self.categories) if name not in categories]
        if len(kept) < 2:
            return None
        return PretrainedClassifier(
            tuple(self.categories[i] for i in kept),
            self.weight[kept],
            self.bias[kept],
            self.vectors[kept],
        )


@dataclass(frozen=True, eq=False)
class Prior:
    """The direction in word space that the pretraining's answer gives a picture, and how far a
    trained embedding is moved that way.

    A picture's prior is the mean of the vectors of its `top` most probable pretraining classes,
    taken from the centre of all of them and weighted by probability at `temperature`. Without the
    centre all answers would have in common what the vectors of all classes have in common.
    """

    pretraining: PretrainedClassifier
    strength: float
    temperature: float
    top: int

    def directions(self, features: np.ndarray) -> np.ndarray:
        """(N, feature_dim) -> (N, D) float32 unit rows."""
        known = self.pretraining
        away = known.vectors - known.vectors.mean(axis=0)
        away = away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-12)
        blocks = np.array_split(features, max(1, -(-len(features) // AT_ONCE)))
        return np.concatenate(
            [conse(known.probabilities(b, self.temperature), away, self.top) for b in blocks]
        )

    def apply(self, embeddings: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Unit embeddings (N, D) of features (N, feature_dim) -> unit rows nearer to the prior."""
        if self.strength == 0:
            return embeddings
        both = embeddings + self.strength * self.directions(features)
        length = np.linalg.norm(both, axis=1, keepdims=True)
        return np.asarray(both / np.maximum(length, 1e-12), dtype=np.float32)


Priors = Callable[[PretrainedClassifier], tuple[Prior, ...]]


def priors(
    pretraining: PretrainedClassifier,
    weights: Sequence[float],
    temperature: float = 2.0,
    top: int = 10,
) -> tuple[Prior, ...]:
    """The priors of these pretraining classes to choose among, one per weight.

    InputError for weights below 0, none at all, and a temperature or `top` of 0 or less.
    """
    given = [weights] if isinstance(weights, int | float | str) else list(weights)
    if not given or not all(_finite(weight) and weight >= 0 for weight in given):
        raise InputError(f"prior.weights={given}: give weights from 0 on, or prior=none")
    if not (_finite(temperature) and temperature > 0 and type(top) is int and top > 0):
        raise InputError(
            f"prior.temperature={temperature}, prior.top={top}: give a temperature above 0 and a "
            "whole number of classes from 1 on"
        )
    n = len(pretraining.categories)
    return tuple(Prior(pretraining, float(w), temperature, min(top, n)) for w in given)


def _finite(number: Any) -> bool:
    return isinstance(number, int | float) and math.isfinite(number)


def conse(shares: np.ndarray, vectors: np.ndarray, top: int = 10) -> np.ndarray:
    """ConSE (Norouzi et al. 2014): the `top` most probable classes' vectors, weighted by their
    probability; classes as probable as the last of them count too.

    shares: (N, K) probabilities; vectors: (K, D) unit rows; returns (N, D) unit rows.
    """
    top = min(top, shares.shape[1])
    floor = -np.partition(-shares, top - 1, axis=1)[:, top - 1 : top]
    mixed = np.where(shares >= floor, shares, 0) @ vectors
    unit: np.ndarray = mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12)
    return unit.astype(np.float32)


def pretrained_classifier(
    categories: Sequence[str],
    head: tuple[np.ndarray, np.ndarray],
    vectors: Sequence[np.ndarray | None],
    overlapping: Collection[str],
) -> PretrainedClassifier | None:
    """The pretraining classes that may be used: those with a word vector (D,), by which no unseen
    class overlaps; None where fewer than two are left.

    head: weight (K, feature_dim) and bias (K,) of the classifier; overlapping: names of categories.
    """
    weight, bias = head
    kept = [
        i for i, name in enumerate(categories) if vectors[i] is not None and name not in overlapping
    ]
    if len(kept) < 2:
        return None
    rows = np.stack([v for i in kept if (v := vectors[i]) is not None])
    return PretrainedClassifier(tuple(categories[i] for i in kept), weight[kept], bias[kept], rows)
