"""What a backbone's own classifier knows: its classes by words, and their weights.

The classifier of the pretraining (ImageNet's 1,000 classes) names every picture among its own
classes. Those have word vectors as well, so its answer is a point in the space of word vectors that
needs no training at all (ConSE, Norouzi et al. 2014). Classes that the leak audit finds to be the
same as, a kind of, or a parent of an unseen class are taken out first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Pretraining:
    """K pretraining classes: the classifier's weight (K, feature_dim) and bias (K,), and the
    classes' vectors (K, D), unit rows. Classes without a word vector, and those that an unseen
    class leaks by, are left out.
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
        """(N, feature_dim) -> (N, K), rows sum to one."""
        logits = (features.astype(np.float32) @ self.weight.T + self.bias) / temperature
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))
