"""Controls that a figure has to beat, on the same rows: softmax and ConSE.

The third, random word vectors, is a training like any other and stands in run.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import track
from torch import nn

from devise_exp.embeddings import Classifier
from devise_exp.evaluation import Embedded
from devise_exp.prepare import Prepared

LEAST_STEPS = 600


def seen_classifier(parts: Prepared, features: np.ndarray, seed: int) -> Classifier:
    """The softmax baseline of the run's seen classes, trained on its training rows."""
    split = parts.split
    return fit_softmax(features[split.train], parts.targets(split.train), len(split.seen), seed)


def softmax_and_conse(
    parts: Prepared, features: np.ndarray, classifier: Classifier
) -> tuple[Embedded, Embedded]:
    """The softmax baseline, which can name seen classes only, and ConSE on its probabilities."""
    split, ids = parts.split, parts.class_ids
    n_seen = len(split.seen)
    test, unseen = (classifier.probabilities(features[r]) for r in (split.test, split.unseen_rows))
    one_hot = np.zeros((len(split.classes), n_seen), dtype=np.float32)
    one_hot[split.seen] = np.eye(n_seen)
    none = slice(0, 0)
    seen_vectors = parts.class_vectors[split.seen]
    return (
        Embedded("softmax", one_hot, test, ids[split.test], unseen[none], ids[none]),
        Embedded(
            "conse",
            parts.class_vectors,
            conse(test, seen_vectors),
            ids[split.test],
            conse(unseen, seen_vectors),
            ids[split.unseen_rows],
        ),
    )


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


def conse(shares: np.ndarray, seen_vectors: np.ndarray, top: int = 10) -> np.ndarray:
    """ConSE (Norouzi et al. 2014): the `top` most probable classes' vectors, weighted by their
    probability; classes as probable as the last of them count too.

    shares: (N, S) probabilities; seen_vectors: (S, D) unit rows; returns (N, D) unit rows.
    """
    top = min(top, shares.shape[1])
    floor = -np.partition(-shares, top - 1, axis=1)[:, top - 1 : top]
    mixed = np.where(shares >= floor, shares, 0) @ seen_vectors
    unit: np.ndarray = mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12)
    return unit.astype(np.float32)
