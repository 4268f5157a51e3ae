"""Class normalisation: a network from class vectors to prototypes, standardised over classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from devise_exp.core.console import track
from devise_exp.core.errors import InputError
from devise_exp.core.vectors import normalize_rows
from devise_exp.methods.baselines.base import TrainingRows, training_rows
from devise_exp.methods.baselines.batches import check_steps, steps_of
from devise_exp.methods.baselines.label_space import labels_of
from devise_exp.methods.method import FittedMethod, Hyperparameters, Method
from devise_exp.methods.task import Task

HIDDEN, BATCH = 512, 256
LEARNING_RATE, WEIGHT_DECAY = 5e-4, 1e-4
EPSILON = 1e-5


@dataclass(frozen=True, kw_only=True)
class ClassNorm(Method):
    """Class normalization for zero-shot learning (Skorokhodov and Elhoseiny 2021).

    A network gives each class a prototype p in the space of features:
    p(s) = W3 N(relu(N(W2 relu(W1 s)))), each layer with its bias, where N takes every hidden unit
    to mean 0 and variance 1 over the seen classes (their equation 9). W3 begins uniform with
    variance 1 / (H d) for H hidden units, which keeps the variance of the logits (section 3.4).
    An image x has the logits scale^2 cos(x, p(s)) ("normalize and scale", equation 4), and the
    network is trained by cross-entropy over the seen classes.

    Class vectors are unit rows, their "attribute normalization". Features are at unit length about
    their training mean, so prototypes may be negative: the network does not end in a ReLU, as
    theirs does on features from a ReLU. At the end N has the statistics of the seen classes
    themselves, not a running average.

    Attributes:
        name: As of Method.
        scales: Scales of the logits to choose among on class folds.
        steps: Steps of the optimizer.
    """

    name: str = "class_norm"
    scales: Sequence[float] = (3.0, 5.0, 8.0)
    steps: int = 1000

    def __post_init__(self) -> None:
        scales = self.scales
        if isinstance(scales, str) or not scales or not all(scale > 0 for scale in scales):
            raise InputError(f"method.{self.name}.scales={scales}: give numbers above 0")
        check_steps(self.name, self.steps)

    @property
    def param_grid(self) -> Mapping[str, Sequence[float]]:
        """The scale of the logits."""
        return {"scale": tuple(self.scales)}

    def _fit(self, task: Task, hyperparameters: Hyperparameters) -> FittedMethod:
        rows, labels = training_rows(task), labels_of(task)
        network = train_prototypes(rows, float(hyperparameters["scale"]), self.steps, task.seed)
        words = torch.from_numpy(task.class_vectors[labels].astype(np.float32))
        with torch.inference_mode():
            prototypes = network(words, torch.from_numpy(rows.vectors)).numpy()
        vectors = np.zeros((len(task.class_vectors), prototypes.shape[1]), dtype=np.float32)
        vectors[labels] = normalize_rows(prototypes)
        return FittedMethod(vectors, lambda x: normalize_rows(rows.centred(x)))


class PrototypeNetwork(nn.Module):
    """Class vectors to prototypes.

    Args:
        dim: Width a of the class vectors.
        feature_dim: Width d of the features.
    """

    def __init__(self, dim: int, feature_dim: int) -> None:
        super().__init__()
        self.first = nn.Linear(dim, HIDDEN)
        self.second = nn.Linear(HIDDEN, HIDDEN)
        self.last = nn.Linear(HIDDEN, feature_dim)
        bound = (3 / (HIDDEN * feature_dim)) ** 0.5  # of a uniform variable of that variance
        nn.init.uniform_(self.last.weight, -bound, bound)

    def forward(self, words: Tensor, seen: Tensor) -> Tensor:
        """Give classes their prototypes.

        Args:
            words: (n, a) class vectors.
            seen: (S, a) those of the seen classes, over which hidden units are standardised.

        Returns:
            (n, d) prototypes.
        """
        hidden, reference = (self.second(F.relu(self.first(rows))) for rows in (words, seen))
        hidden, reference = (
            F.relu(_standardised(hidden, reference)),
            F.relu(_standardised(reference)),
        )
        prototypes: Tensor = self.last(_standardised(hidden, reference))
        return prototypes


def _standardised(rows: Tensor, reference: Tensor | None = None) -> Tensor:
    """Rows (n, H) about the mean of reference rows (S, H), in units of their deviation."""
    reference = rows if reference is None else reference
    variance = reference.var(dim=0, unbiased=False)
    return (rows - reference.mean(dim=0)) / (variance + EPSILON).sqrt()


def train_prototypes(rows: TrainingRows, scale: float, steps: int, seed: int) -> PrototypeNetwork:
    """Train the network by Adam.

    Args:
        rows: The training images.
        scale: Its square times a cosine is a logit.
        steps: How many.
        seed: Decides the first weights and the order of batches.

    Returns:
        The network.
    """
    inputs, targets = (
        torch.from_numpy(normalize_rows(rows.features)),
        torch.from_numpy(rows.targets),
    )
    words = torch.from_numpy(rows.vectors)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = PrototypeNetwork(words.shape[1], inputs.shape[1])
    optimizer = torch.optim.Adam(
        network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True
    )
    for batch in track(steps_of(steps, len(inputs), BATCH, generator), "class_norm"):
        prototypes = F.normalize(network(words, words))
        loss = F.cross_entropy(scale**2 * inputs[batch] @ prototypes.T, targets[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network
