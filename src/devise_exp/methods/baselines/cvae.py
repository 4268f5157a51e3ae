"""CVAE: features of unseen classes, generated from their vectors, train a classifier of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from devise_exp.core.console import track
from devise_exp.core.errors import InputError
from devise_exp.core.vectors import normalize_rows
from devise_exp.methods.baselines.base import TrainingRows, training_rows
from devise_exp.methods.baselines.batches import check_steps, steps_of
from devise_exp.methods.baselines.label_space import inner_product_vectors, labels_of
from devise_exp.methods.baselines.softmax import fit_softmax
from devise_exp.methods.method import FittedMethod, Hyperparameters, Method
from devise_exp.methods.task import Task

HIDDEN, BATCH, LEARNING_RATE = 256, 128, 1e-3
LATENT = 32
MOST_ROWS = 200_000  # generated in all


@dataclass(frozen=True, kw_only=True)
class CVAE(Method):
    """A conditional variational autoencoder that generates features (Mishra et al. 2018).

    The encoder q(z | x, s) and the decoder p(x | z, s) of features x, given the class vector s,
    minimise ||x - x'||^2 + weight KL(q(z | x, s) || N(0, I)) over the seen classes (their equation
    2, with the weight as the variance of p up to a factor). The decoder then gives `images`
    features of each unseen class, for z drawn from N(0, I), and a linear softmax classifier of all
    classes is trained on these and the true features of the seen classes (theirs is an SVM).

    Features are at unit length about their training mean, scaled to a mean squared length of one.

    Attributes:
        name: As of Method.
        kl_weights: Weights of the divergence to choose among on class folds.
        images: How many features are generated for each unseen class.
        steps: Steps of the optimizer of the autoencoder.
    """

    name: str = "cvae"
    kl_weights: Sequence[float] = (0.01, 0.1)
    images: int = 100
    steps: int = 1000

    def __post_init__(self) -> None:
        weights = self.kl_weights
        if isinstance(weights, str) or not weights or not all(weight > 0 for weight in weights):
            raise InputError(f"method.{self.name}.kl_weights={weights}: give numbers above 0")
        if type(self.images) is not int or self.images < 1:
            raise InputError(f"method.{self.name}.images={self.images}: give a number from 1 on")
        check_steps(self.name, self.steps)

    @property
    def param_grid(self) -> Mapping[str, Sequence[float]]:
        """The weight of the divergence."""
        return {"kl_weight": tuple(self.kl_weights)}

    def _fit(self, task: Task, hyperparameters: Hyperparameters) -> FittedMethod:
        rows, unseen = training_rows(task), task.class_vectors[task.unseen].astype(np.float32)
        model = train_cvae(rows, float(hyperparameters["kl_weight"]), self.steps, task.seed)
        n = max(1, min(self.images, MOST_ROWS // max(len(unseen), 1)))
        features, targets = [rows.features], [rows.targets]
        if len(unseen):
            features.append(generate(model, unseen, n, task.seed))
            targets.append(len(task.seen) + np.repeat(np.arange(len(unseen)), n))
        classifier = fit_softmax(
            np.concatenate(features), np.concatenate(targets), len(labels_of(task)), task.seed
        )
        weights = np.column_stack([classifier.weight, classifier.bias])

        def embed(x: np.ndarray) -> np.ndarray:
            images = rows.centred(x) / rows.scale
            return np.pad(normalize_rows(np.pad(images, ((0, 0), (0, 1)), constant_values=1)),
                          ((0, 0), (0, 1)))  # fmt: skip

        return FittedMethod(inner_product_vectors(task, weights), embed)


class ConditionalVAE(nn.Module):
    """The encoder and the decoder.

    Args:
        feature_dim: Width d of the features.
        dim: Width a of the class vectors.
    """

    def __init__(self, feature_dim: int, dim: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(feature_dim + dim, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * LATENT)
        )
        self.decoder = nn.Sequential(
            nn.Linear(LATENT + dim, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, feature_dim)
        )

    def decode(self, codes: Tensor, words: Tensor) -> Tensor:
        """Generate features.

        Args:
            codes: (n, LATENT) codes z.
            words: (n, a) class vectors.

        Returns:
            (n, d) features.
        """
        features: Tensor = self.decoder(torch.cat([codes, words], dim=1))
        return features

    def loss(self, features: Tensor, words: Tensor, noise: Tensor, kl_weight: float) -> Tensor:
        """Compute the negative evidence lower bound, up to factors.

        Args:
            features: (n, d) features.
            words: (n, a) vectors of their classes.
            noise: (n, LATENT) normal draws.
            kl_weight: Weight of the divergence.

        Returns:
            The mean over the features of the squared error plus the weighted divergence.
        """
        mean, log_variance = self.encoder(torch.cat([features, words], dim=1)).chunk(2, dim=1)
        codes = mean + noise * (log_variance / 2).exp()
        error = (features - self.decode(codes, words)).square().sum(dim=1)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1) / 2
        mean_loss: Tensor = (error + kl_weight * divergence).mean()
        return mean_loss


def train_cvae(rows: TrainingRows, kl_weight: float, steps: int, seed: int) -> ConditionalVAE:
    """Train the autoencoder by Adam on the features of the seen classes.

    Args:
        rows: The training images.
        kl_weight: Weight of the divergence.
        steps: How many.
        seed: Decides the first weights, the order of batches and the noise.

    Returns:
        The model.
    """
    inputs = torch.from_numpy(rows.features)
    words = torch.from_numpy(rows.vectors[rows.targets])
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = ConditionalVAE(inputs.shape[1], words.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    for batch in track(steps_of(steps, len(inputs), BATCH, generator), "cvae"):
        noise = torch.randn(len(batch), LATENT, generator=generator)
        loss = model.loss(inputs[batch], words[batch], noise, kl_weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def generate(model: ConditionalVAE, vectors: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Generate features of classes.

    Args:
        model: The trained autoencoder.
        vectors: (U, a) class vectors.
        n: How many features of each class.
        seed: Of the codes.

    Returns:
        (U * n, d) float32 features, class by class.
    """
    words = torch.from_numpy(vectors.repeat(n, axis=0))
    codes = torch.randn(len(words), LATENT, generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        features: np.ndarray = model.decode(codes, words).numpy()
    return features
