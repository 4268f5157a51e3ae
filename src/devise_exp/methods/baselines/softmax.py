"""A linear softmax classifier of the seen classes."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from devise_exp.core.console import track
from devise_exp.core.vectors import normalize_rows
from devise_exp.methods.baselines.base import MIN_STEPS, seen_only_vectors
from devise_exp.methods.embedding import Classifier
from devise_exp.methods.method import FittedMethod, Hyperparameters, Method
from devise_exp.methods.task import Task

_CLASSIFIERS: WeakKeyDictionary[Task, Classifier] = WeakKeyDictionary()
_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class Softmax(Method):
    """A linear softmax classifier of the seen classes (Frome et al. 2013, section 4).

    Each seen class has an axis of its own, so the nearest class is the most probable one.

    Attributes:
        name: As of Method.
    """

    name: str = "softmax"
    names_unseen = False
    reports_search = True

    def _fit(self, task: Task, hyperparameters: Hyperparameters) -> FittedMethod:
        classifier = seen_classifier(task)
        one_hot = seen_only_vectors(task, np.eye(len(task.seen)))
        return FittedMethod(one_hot, lambda x: normalize_rows(classifier.probabilities(x)))


def seen_classifier(task: Task) -> Classifier:
    """Train a softmax classifier on the training rows of a task, once as long as the task lives.

    Args:
        task: What may be learned from.

    Returns:
        The classifier of the task's S seen classes.
    """
    if task not in _CLASSIFIERS:
        inputs, targets = task.features[task.train], task.targets(task.train)
        _CLASSIFIERS[task] = fit_softmax(inputs, targets, len(task.seen), task.seed)
    return _CLASSIFIERS[task]


def remember_classifier(task: Task, classifier: Classifier) -> None:
    """Let `seen_classifier` give a classifier that another process has trained.

    Args:
        task: The task.
        classifier: What `seen_classifier` returned for it there.
    """
    _CLASSIFIERS[task] = classifier


def fit_softmax(
    features: np.ndarray, targets: np.ndarray, n_classes: int, seed: int, epochs: int = 30
) -> Classifier:
    """Train a linear softmax classifier by AdamW.

    Args:
        features: (N, feature_dim) inputs.
        targets: (N,) classes, from 0 on.
        n_classes: Number of classes.
        seed: Decides the first weights and the order of batches.
        epochs: Number of epochs; on small data more, so that there are about MIN_STEPS steps.

    Returns:
        The classifier after the last epoch.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.from_numpy(features.astype(np.float32))
    labels = torch.from_numpy(targets)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = nn.Linear(inputs.shape[1], n_classes)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=1e-3, weight_decay=1e-2, fused=True)
    epochs = max(epochs, MIN_STEPS // -(-len(inputs) // _BATCH))
    for _ in track(range(epochs), "softmax classifier"):
        for batch in torch.randperm(len(inputs), generator=generator).split(_BATCH):
            loss = F.cross_entropy(classifier(inputs[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return Classifier(classifier.weight.detach().numpy(), classifier.bias.detach().numpy())
