"""Features to unit vectors in the spaces that images are compared in.

devise: the trained space of word vectors, about its centre, with the prior. backbone: the features
themselves. classifier: features times the weights of the most probable seen class of the softmax
baseline. pretraining: the words of the backbone's own classifier (methods.pretraining_words).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from devise_exp.core.vectors import centre_rows, normalize_rows
from devise_exp.evaluation.protocols import MODEL
from devise_exp.methods.pretraining_words import PRETRAINING
from devise_exp.methods.prior import Prior
from devise_exp.methods.word_classifiers import ClassifierShare


@dataclass(frozen=True)
class Classifier:
    """A linear softmax classifier of the S seen classes.

    Attributes:
        weight: (S, feature_dim) weights.
        bias: (S,) biases.
    """

    weight: np.ndarray
    bias: np.ndarray

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Classify images among the seen classes.

        Args:
            features: (N, feature_dim) features.

        Returns:
            (N, S) float32 probabilities; rows sum to one.
        """
        logits = torch.from_numpy(features.astype(np.float32) @ self.weight.T + self.bias)
        shares: np.ndarray = logits.softmax(dim=1).numpy()
        return shares


@dataclass(frozen=True, eq=False)
class TrainedProjection:
    """Maps features (N, feature_dim) and word vectors (n, D) to unit rows of one space.

    Attributes:
        projection: The trained module.
        prior: Moves the projected rows; None for no prior.
        classifiers: Predicted classifiers, whose rows stand beside those of the projection; None:
            the space is that of the word vectors.
    """

    projection: nn.Module
    prior: Prior | None = None
    classifiers: ClassifierShare | None = None

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Embed features (N, feature_dim) as (N, D) unit rows, (N, D + d) with classifiers."""
        rows = embed(self.projection, features)
        if self.prior is not None:
            rows = self.prior.apply(rows, features)
        return rows if self.classifiers is None else self.classifiers.images(rows, features)

    def words(self, vectors: np.ndarray) -> np.ndarray:
        """Put words in the space of the images.

        Args:
            vectors: (n, D) unit word vectors.

        Returns:
            (n, D) unit rows, (n, D + d) with classifiers.
        """
        return vectors if self.classifiers is None else self.classifiers.words(vectors)


def embed(projection: nn.Module, features: np.ndarray, batch_size: int = 4096) -> np.ndarray:
    """Project features on the CPU.

    Args:
        projection: A module (B, feature_dim) -> (B, D).
        features: (N, feature_dim) features.
        batch_size: Most rows that are projected at a time.

    Returns:
        (N, D) float32 unit rows, in the order of `features`.
    """
    was_training = projection.training
    projection.eval().cpu()
    with torch.inference_mode():
        parts = [
            F.normalize(projection(torch.from_numpy(np.array(part, dtype=np.float32)))).numpy()
            for part in np.array_split(features, max(1, -(-len(features) // batch_size)))
        ]
    projection.train(was_training)
    return np.concatenate(parts)


def embed_spaces(
    spaces: tuple[str, ...],
    trained: TrainedProjection,
    centre: np.ndarray,
    classifier: Classifier | None,
    features: np.ndarray,
    pretraining: Callable[[np.ndarray], np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Embed images in several spaces.

    Args:
        spaces: Names of the spaces.
        trained: The trained projection with what was added to it.
        centre: (D,) centre of the trained space.
        classifier: Softmax classifier of the seen classes, for the space "classifier".
        features: (N, feature_dim) features.
        pretraining: Features to rows of the space "pretraining".

    Returns:
        By space, (N, D or feature_dim) float32 unit rows.
    """
    rows: dict[str, np.ndarray] = {}
    for space in spaces:
        if space == MODEL:
            rows[space] = centre_rows(trained(features), centre)
        elif space == "backbone":
            rows[space] = normalize_rows(features)
        elif space == PRETRAINING and pretraining is not None:
            rows[space] = pretraining(features)
        elif space == "classifier" and classifier is not None:
            best = classifier.probabilities(features).argmax(axis=1)  # (N,)
            rows[space] = normalize_rows(features.astype(np.float32) * classifier.weight[best])
    return rows
