"""What a backbone's own classifier knows, as a prior in the space of word vectors.

The classifier of the pretraining (ImageNet's 1,000 classes) names every image among its own
classes. Those have word vectors too, so its answer is a point in the space of word vectors, without
any training (ConSE, Norouzi et al. 2014). Pretraining classes that overlap an unseen class (the
same, a kind of it, or its parent) are taken out first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.vectors import normalize_rows

BATCH_ROWS = 4096  # rows of features whose logits are held at a time


@dataclass(frozen=True, eq=False)
class PretrainedClassifier:
    """The linear classifier of a pretraining, with word vectors of its K classes.

    Attributes:
        categories: Names of the K classes.
        weight: (K, feature_dim) weights.
        bias: (K,) biases.
        vectors: (K, D) unit rows.
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
        """Classify images among the pretraining classes.

        Args:
            features: (N, feature_dim) features.
            temperature: Divides the logits.

        Returns:
            (N, K) float32 probabilities; rows sum to one.
        """
        return probabilities(features, (self.weight, self.bias), temperature)

    def without(self, categories: Collection[str]) -> PretrainedClassifier | None:
        """Leave out some categories.

        Args:
            categories: Names of those to leave out.

        Returns:
            The classifier of the others; None if fewer than two are left.
        """
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
    """A direction in word space for every image, and how far it moves a trained embedding.

    The direction is the mean of the vectors of the image's most probable pretraining classes, about
    the centre of all pretraining classes, weighted by probability. Without the centre all answers
    would share what the vectors of all classes share.

    Attributes:
        pretraining: The classifier of the pretraining.
        strength: Length of the direction beside a unit embedding; 0 changes nothing.
        temperature: Divides the classifier's logits.
        top: How many of the most probable classes count.
    """

    pretraining: PretrainedClassifier
    strength: float
    temperature: float
    top: int

    def directions(self, features: np.ndarray) -> np.ndarray:
        """Compute the directions of images.

        Args:
            features: (N, feature_dim) features.

        Returns:
            (N, D) float32 unit rows.
        """
        classifier = self.pretraining
        vectors = classifier.vectors
        away = normalize_rows(vectors - vectors.mean(axis=0))
        blocks = np.array_split(features, max(1, -(-len(features) // BATCH_ROWS)))
        return np.concatenate(
            [conse(classifier.probabilities(b, self.temperature), away, self.top) for b in blocks]
        )

    def apply(self, embeddings: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Move trained embeddings towards the prior.

        Args:
            embeddings: (N, D) unit rows.
            features: (N, feature_dim) features of the same images.

        Returns:
            (N, D) float32 unit rows.
        """
        return apply_priors([self], embeddings, features)[0]


def apply_priors(
    priors: Sequence[Prior | None], embeddings: np.ndarray, features: np.ndarray
) -> list[np.ndarray]:
    """Move trained embeddings towards each of several priors.

    Args:
        priors: None moves nothing. Those of one direction and several strengths share its work.
        embeddings: (N, D) unit rows.
        features: (N, feature_dim) features of the same images.

    Returns:
        (N, D) float32 unit rows for each prior.
    """
    directions: dict[tuple[int, float, int], np.ndarray] = {}
    moved = []
    for prior in priors:
        if prior is None or prior.strength == 0:
            moved.append(embeddings)
            continue
        direction = id(prior.pretraining), prior.temperature, prior.top
        if direction not in directions:
            directions[direction] = prior.directions(features)
        moved.append(normalize_rows(embeddings + prior.strength * directions[direction]))
    return moved


Priors = Callable[[PretrainedClassifier], tuple[Prior, ...]]


def priors(
    pretraining: PretrainedClassifier,
    weights: Sequence[float],
    temperature: float = 2.0,
    top: int = 10,
) -> tuple[Prior, ...]:
    """Make the priors to choose among, one per strength.

    Args:
        pretraining: The classifier of the pretraining.
        weights: Their strengths (prior.weights in config).
        temperature: Divides the classifier's logits.
        top: How many of the most probable classes count.

    Returns:
        One prior per strength.

    Raises:
        InputError: A strength is below 0, there is none, or temperature or top is not above 0.
    """
    strengths = [weights] if isinstance(weights, int | float | str) else list(weights)
    if not strengths or not all(_finite(strength) and strength >= 0 for strength in strengths):
        raise InputError(f"prior.weights={strengths}: give weights from 0 on, or prior=none")
    if not (_finite(temperature) and temperature > 0 and type(top) is int and top > 0):
        raise InputError(
            f"prior.temperature={temperature}, prior.top={top}: give a temperature above 0 and a "
            "whole number of classes from 1 on"
        )
    n = len(pretraining.categories)
    return tuple(Prior(pretraining, float(s), temperature, min(top, n)) for s in strengths)


def _finite(number: Any) -> bool:
    """Tell whether a value is a finite number."""
    return isinstance(number, int | float) and math.isfinite(number)


def probabilities(
    features: np.ndarray, head: tuple[np.ndarray, np.ndarray], temperature: float = 1.0
) -> np.ndarray:
    """Classify images by a linear classifier.

    Args:
        features: (N, feature_dim) features.
        head: Weight (K, feature_dim) and bias (K,) of the classifier.
        temperature: Divides the logits.

    Returns:
        (N, K) float32 probabilities; rows sum to one.
    """
    weight, bias = head
    logits = (features.astype(np.float32) @ weight.T + bias) / temperature
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def conse(shares: np.ndarray, vectors: np.ndarray, top: int = 10) -> np.ndarray:
    """Mix the vectors of the most probable classes by their probability (Norouzi et al. 2014).

    Args:
        shares: (N, K) probabilities.
        vectors: (K, D) unit rows.
        top: How many classes are mixed; those as probable as the last of them count too.

    Returns:
        (N, D) float32 unit rows.

    Example:
        >>> conse(np.array([[0.3, 0.7]]), np.eye(2), top=1)
        array([[0., 1.]], dtype=float32)
    """
    top = min(top, shares.shape[1])
    floor = -np.partition(-shares, top - 1, axis=1)[:, top - 1 : top]
    return normalize_rows(np.where(shares >= floor, shares, 0) @ vectors)


def pretrained_classifier(
    categories: Sequence[str],
    head: tuple[np.ndarray, np.ndarray],
    vectors: Sequence[np.ndarray | None],
    overlapping: Collection[str],
) -> PretrainedClassifier | None:
    """Keep the pretraining classes that have a word vector and overlap no unseen class.

    Args:
        categories: Names of the K classes.
        head: Weight (K, feature_dim) and bias (K,) of the classifier.
        vectors: Word vector (D,) of each class, None if it has none.
        overlapping: Names of the classes that overlap an unseen class.

    Returns:
        The classifier of the classes kept; None if fewer than two are left.
    """
    weight, bias = head
    kept = [
        i for i, name in enumerate(categories) if vectors[i] is not None and name not in overlapping
    ]
    if len(kept) < 2:
        return None
    rows = np.stack([v for i in kept if (v := vectors[i]) is not None])
    return PretrainedClassifier(tuple(categories[i] for i in kept), weight[kept], bias[kept], rows)
