"""A linear softmax classifier of the seen classes."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from devise_exp.core.console import track
from devise_exp.core.vectors import normalize_rows
from devise_exp.methods.baselines.base import LEAST_STEPS, seen_only_vectors
from devise_exp.methods.embedding import Classifier
from devise_exp.methods.task import ClassFold, FittedMethod, Task

_CLASSIFIERS: WeakKeyDictionary[Task, Classifier] = WeakKeyDictionary()


def softmax(task: Task, folds: Sequence[ClassFold] = ()) -> FittedMethod:
    """A linear softmax classifier of the seen classes, as in Frome et al. 2013, section 4; it
    cannot name unseen ones.

    One axis per seen class: the nearest class is the most probable one.
    """
    classifier = seen_classifier(task)
    one_hot = seen_only_vectors(task, np.eye(len(task.seen)))
    return FittedMethod("softmax", one_hot, lambda x: normalize_rows(classifier.probabilities(x)))


def seen_classifier(task: Task) -> Classifier:
    """The softmax classifier of the task's seen classes, trained on its training rows; once for all
    that ask for it, as long as the task is in use.
    """
    if task not in _CLASSIFIERS:
        inputs, targets = task.features[task.train], task.targets(task.train)
        _CLASSIFIERS[task] = fit_softmax(inputs, targets, len(task.seen), task.seed)
    return _CLASSIFIERS[task]


def fit_softmax(
    features: np.ndarray, targets: np.ndarray, n_classes: int, seed: int, epochs: int = 30
) -> Classifier:
    """A linear softmax classifier of the seen classes: features (N, feature_dim), targets (N,) in
    [0, n_classes). At least `epochs`, and on small data more: too few steps would make softmax and
    ConSE easy to beat.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.from_numpy(features.astype(np.float32))
    labels = torch.from_numpy(targets)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = nn.Linear(inputs.shape[1], n_classes)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=1e-3, weight_decay=1e-2)
    epochs = max(epochs, LEAST_STEPS // -(-len(inputs) // 256))
    for _ in track(range(epochs), "softmax classifier"):
        for batch in torch.randperm(len(inputs), generator=generator).split(256):
            loss = F.cross_entropy(classifier(inputs[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return Classifier(classifier.weight.detach().numpy(), classifier.bias.detach().numpy())
