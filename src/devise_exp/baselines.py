"""Baselines that a trained model has to beat: those that name seen classes only, and ConSE.

A baseline is a method (task.Method): it learns from what a Task hands out and places images and
classes as unit vectors in one space, so that nearest neighbours by cosine evaluate them all alike.
What has hyperparameters chooses them on rehearsals, by `chosen`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import track
from torch import nn

from devise_exp import pretraining, tradeoff
from devise_exp.centring import unit
from devise_exp.embeddings import Classifier
from devise_exp.errors import InputError
from devise_exp.rehearsals import curve_on
from devise_exp.task import Fitted, Rehearsal, Task

LEAST_STEPS = 600
# What these make of a split, no seed of the training changes.
SEEDLESS = ("majority", "prototypes", "conse_pretraining", "eszsl", "sae", "ridge_to_features")
TOP = 10  # the classes that ConSE mixes, T = 10 as in the paper
_CLASSIFIERS: WeakKeyDictionary[Task, Classifier] = WeakKeyDictionary()
Family = Callable[[Task], Callable[..., Fitted]]  # a task's members, by their hyperparameters


def majority(task: Task, rehearsals: Sequence[Rehearsal] = ()) -> Fitted:
    """Ranks the seen classes by their share of the training rows, whatever the image.

    Every image lies on the first axis of a plane, and the cosine of a class to it is the class's
    count over the largest count.
    """
    counts = np.bincount(task.targets(task.train), minlength=len(task.seen))
    cosines = counts / counts.max()  # (S,)
    plane = np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1)  # (S, 2)
    vectors = _seen_only(task, plane)
    first_axis = np.array([[1, 0]], dtype=np.float32)
    return Fitted("majority", vectors, lambda x: first_axis.repeat(len(x), axis=0))


def prototypes(task: Task, rehearsals: Sequence[Rehearsal] = ()) -> Fitted:
    """Nearest class mean (Mensink et al. 2013, with cosine for their learned metric): a seen class
    is the mean of its training images' unit features. Cannot name unseen classes.
    """
    features = unit(task.features[task.train])
    means = class_means(features, task.targets(task.train), len(task.seen))
    return Fitted("prototypes", _seen_only(task, unit(means)), unit)


def softmax(task: Task, rehearsals: Sequence[Rehearsal] = ()) -> Fitted:
    """A linear softmax classifier of the seen classes, as in Frome et al. 2013, section 4; it
    cannot name unseen ones.

    One axis per seen class: the nearest class is the most probable one.
    """
    classifier = seen_classifier(task)
    one_hot = _seen_only(task, np.eye(len(task.seen)))
    return Fitted("softmax", one_hot, lambda x: unit(classifier.probabilities(x)))


def conse(task: Task, rehearsals: Sequence[Rehearsal] = ()) -> Fitted:
    """ConSE (Norouzi et al. 2014) on the softmax classifier of the task's seen classes, TOP of
    which are mixed.
    """
    classifier, seen_vectors = seen_classifier(task), task.class_vectors[task.seen]
    return Fitted(
        "conse",
        task.class_vectors,
        lambda x: pretraining.conse(classifier.probabilities(x), seen_vectors, TOP),
        {"top": TOP},
    )


def conse_pretraining(task: Task, rehearsals: Sequence[Rehearsal] = ()) -> Fitted:
    """ConSE (Norouzi et al. 2014) on the backbone's own classifier and its pretraining classes, TOP
    of which are mixed: nothing is trained.

    InputError where the backbone's classifier is unknown.
    """
    known = task.pretraining
    if known is None:
        raise InputError(
            "conse_pretraining: the classifier of the backbone's pretraining is unknown; leave "
            "this method out, or choose a backbone whose weights have one"
        )
    return Fitted(
        "conse_pretraining",
        task.class_vectors,
        lambda x: pretraining.conse(known.probabilities(x), known.vectors, TOP),
        {"top": TOP},
    )


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
    for _ in track(
        range(epochs), "softmax classifier", transient=True, console=Console(stderr=True)
    ):
        for batch in torch.randperm(len(inputs), generator=generator).split(256):
            loss = F.cross_entropy(classifier(inputs[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return Classifier(classifier.weight.detach().numpy(), classifier.bias.detach().numpy())


def chosen(
    family: Family, grid: Sequence[dict[str, float]], task: Task, rehearsals: Sequence[Rehearsal]
) -> Fitted:
    """The member of `family` for `task` with the hyperparameters out of `grid` of the largest area
    under the trade-off curve, averaged over the rehearsals, as the trained model's prior is chosen
    as well; the first of equals. `about` has them and that figure, rehearsal/AUSUC.

    Without a rehearsal there is nothing to choose by: then it is the middle of the grid.
    """
    if not rehearsals or len(grid) == 1:
        middle = grid[len(grid) // 2]
        return replace(family(task)(*middle.values()), about=dict(middle))
    areas = np.zeros(len(grid))
    for each in rehearsals:
        member = family(each.task)
        for i, hyperparameters in enumerate(grid):
            areas[i] += tradeoff.area(curve_on(member(*hyperparameters.values()), task, each))
    areas = np.round(areas / len(rehearsals), 9)  # rounding errors decide no tie
    best = int(areas.argmax())
    about = grid[best] | {"rehearsal/AUSUC": float(areas[best])}
    return replace(family(task)(*grid[best].values()), about=about)


def class_means(rows: np.ndarray, targets: np.ndarray, n_classes: int) -> np.ndarray:
    """(n_classes, d) float32: the mean of each class's rows (N, d); targets (N,) from 0 on."""
    means = [rows[targets == c].mean(axis=0, dtype=np.float64) for c in range(n_classes)]
    return np.array(means, dtype=np.float32)


def _seen_only(task: Task, vectors: np.ndarray) -> np.ndarray:
    """(C, d) float32: `vectors` (S, d) of the seen classes, zero rows for all others."""
    rows = np.zeros((len(task.class_vectors), vectors.shape[1]), dtype=np.float32)
    rows[task.seen] = vectors
    return rows
