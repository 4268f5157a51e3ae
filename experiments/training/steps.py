"""What more steps, and the last of equal epochs, are worth on small data.

python experiments/training/steps.py > tables.md
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from scipy.io import savemat
from torch import nn

from devise_exp.core.config import compose_config
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.splits import Split, random_split
from devise_exp.data.xlsa17.files import FEATURE_DIM
from devise_exp.methods.embedding import TrainedProjection
from devise_exp.methods.task import Task, make_task
from devise_exp.pipelines.experiment_data import ExperimentData
from devise_exp.pipelines.fit_projection import rows_of
from devise_exp.pipelines.prepare import features_of, prepare
from devise_exp.pipelines.recipe import recipe_of
from devise_exp.training.lightning import silence_lightning
from devise_exp.training.loop import train_projection

SPLITS, STEPS = 3, (50, 200)
LOSSES, PROJECTIONS = ("softmax", "cosine", "mse", "hinge_rank"), ("linear", "mlp")
# Classes, and images of each class at most.
SETS = {"10 classes, 200 images": (10, 20), "20 classes": (20, 30), "40 classes": (40, 30)}
PUBLISHED = "20 classes, published format"
Measured = Mapping[str, tuple[float, float]]  # of the first and the last of equal epochs
Data = tuple[ExperimentData, np.ndarray]  # with features (N, feature_dim)


@dataclass(frozen=True, kw_only=True, eq=False)
class SmallSet:
    """A task with the rows that it is tested on.

    Attributes:
        task: What may be learned from.
        split: Its rows.
        features: (N, feature_dim) of all rows.
    """

    task: Task
    split: Split
    features: np.ndarray

    def hits(self, projection: nn.Module) -> tuple[float, float]:
        """Class means of hit@1: unseen images among unseen labels, seen among seen ones."""
        trained, task = TrainedProjection(projection), self.task
        sides = ((self.split.unseen_rows, task.unseen), (self.split.test, task.seen))
        shares = []
        for rows, classes in sides:
            scores = trained(self.features[rows]) @ task.class_vectors[classes].T
            right = classes[scores.argmax(axis=1)] == task.class_ids[rows]
            shares.append(mean(right[task.class_ids[rows] == c].mean() for c in classes))
        return shares[0], shares[1]


def drawn(data: ExperimentData, n: int, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw n seen classes of the default split, whose unseen classes decide nothing here.

    Returns their ids, and a label from 0 on for each row: -1 beyond `most` images of a class.
    """
    rng = np.random.default_rng([seed, n])
    chosen = np.sort(rng.choice(data.split.seen, n, replace=False))
    labels = np.full(len(data.dataset.rows), -1)
    for label, c in enumerate(chosen):
        labels[rng.permutation(np.flatnonzero(data.class_ids == c))[:most]] = label
    return chosen, labels


def small_set(source: Data, n: int, most: int, seed: int) -> SmallSet:
    """Make a set of n classes, a fifth of them unseen."""
    data, features = source
    chosen, labels = drawn(data, n, most, seed)
    names = [data.split.classes[c] for c in chosen]
    rows = LabelledRows(classes=names, labels=labels, rows=data.dataset.rows)
    split = random_split(rows, seed=seed)
    task = make_task(split, labels, data.class_vectors[chosen], features, seed)
    return SmallSet(task=task, split=split, features=features)


def published_set(source: Data, root: Path, n: int, most: int, seed: int) -> SmallSet:
    """Write a set as files of Xian et al. 2018, and read it as data=xlsa17 does.

    The attributes of a class are how near it is in WordNet to each class that is not drawn, and its
    word vector, which tells classes of one kind apart.
    """
    data, features = source
    chosen, labels = drawn(data, n, most, seed)
    others = np.setdiff1d(np.arange(len(data.class_vectors)), chosen)
    kinship = np.exp(-data.hierarchy().distances[np.ix_(others, chosen)] / 4)
    att = np.vstack([kinship, data.class_vectors[chosen].T])
    rows, rng = np.flatnonzero(labels >= 0), np.random.default_rng(seed)
    labels = labels[rows]
    is_unseen = np.isin(labels, rng.choice(n, n // 5, replace=False))
    is_test = ~is_unseen & (rng.random(len(rows)) < 0.2)
    names = [data.split.classes[c] for c in chosen]
    wide = np.zeros((FEATURE_DIM, len(rows)))
    wide[: features.shape[1]] = features[rows].T
    folder = root / str(seed) / "AWA2"
    folder.mkdir(parents=True)
    files = [f"/{names[label]}/{row:05d}.jpg" for label, row in zip(labels, rows, strict=True)]
    images = {"features": wide, "labels": labels[:, None] + 1.0, "image_files": cells(files)}
    parts = {
        "trainval_loc": numbers(~is_unseen & ~is_test),
        "test_seen_loc": numbers(is_test),
        "test_unseen_loc": numbers(is_unseen),
    }
    savemat(folder / "res101.mat", images)
    att = att / np.linalg.norm(att, axis=0)
    savemat(folder / "att_splits.mat", {"allclasses_names": cells(names), "att": att, **parts})
    config = compose_config(["data=xlsa17", f"data.root={folder.parent}", "data.name=AWA2"])
    read = prepare(config)
    bank = features_of(config, read)
    return SmallSet(task=read.task(bank, seed), split=read.split, features=bank)


def cells(texts: Sequence[str]) -> np.ndarray:
    """A MATLAB cell array (n, 1) of texts."""
    array = np.empty((len(texts), 1), object)
    array[:, 0] = texts
    return array


def numbers(is_there: np.ndarray) -> np.ndarray:
    """Rows as MATLAB counts them."""
    return np.flatnonzero(is_there)[:, None] + 1.0


def measured(small: SmallSet, loss: str, projection: str, steps: int | None) -> Measured:
    """Unseen and seen hit@1 after so many steps, or after ten epochs.

    Of the epochs with the highest hit@1 of seen validation images the first and the last are
    measured.
    """
    task = small.task
    length = "trainer.max_epochs=10" if steps is None else f"training.min_steps={steps}"
    options = [f"loss={loss}", f"projection={projection}", length, "training.min_epochs=1"]
    recipe = recipe_of(compose_config(options), len(task.train))
    vectors = torch.from_numpy(task.class_vectors[task.seen])
    network = recipe.new_projection(task.features.dim, vectors.shape[1])
    best, states = -1.0, {}

    def report(epoch: int, score: float) -> None:
        nonlocal best
        if score >= best:
            states["last"] = {name: v.clone() for name, v in network.state_dict().items()}
        if score > best:
            states["first"], best = states["last"], score

    settings = recipe.plain_settings()
    train_projection(network, vectors, settings, *rows_of(task), recipe.seed, report)
    hits = {}
    for rule, state in states.items():
        network.load_state_dict(state)
        hits[rule] = small.hits(network)
    return hits


def sets(root: Path) -> Iterator[tuple[str, list[SmallSet]]]:
    """Yield the small sets, each with its splits."""
    config = compose_config([])
    data = prepare(config)
    source = data, features_of(config, data)
    for name, (n, most) in SETS.items():
        yield name, [small_set(source, n, most, seed) for seed in range(SPLITS)]
    yield PUBLISHED, [published_set(source, root, 20, 30, seed) for seed in range(SPLITS)]


def print_table(name: str, smalls: Sequence[SmallSet]) -> None:
    """Print a row for each loss and projection, over the splits of a set."""
    train, val = (
        mean(len(rows) for rows in part)
        for part in zip(*((s.task.train, s.task.val) for s in smalls), strict=True)
    )
    print(f"\n## {name}: {train:.0f} training images, {val:.0f} of validation\n")
    lengths = (None, *STEPS)
    heads = ("10 epochs", *(f"{steps} steps" for steps in STEPS))
    columns = [f"{head}, {rule}" for head in heads for rule in ("first", "last")]
    print(f"| loss, projection | {' | '.join(columns)} |\n|{' --- |' * (len(columns) + 1)}")
    kinds = list(product(LOSSES, PROJECTIONS))
    for loss, projection in track(kinds, name, console=Console(stderr=True)):
        texts = []
        for steps in lengths:
            results = [measured(small, loss, projection, steps) for small in smalls]
            for rule in ("first", "last"):
                sides = zip(*(result[rule] for result in results), strict=True)
                texts.append(" / ".join(f"{100 * mean(side):.1f}" for side in sides))
        print(f"| {loss}, {projection} | {' | '.join(texts)} |", flush=True)


def main() -> None:
    """Print a table for each set."""
    silence_lightning()
    with TemporaryDirectory() as root:
        for name, smalls in sets(Path(root)):
            print_table(name, smalls)


if __name__ == "__main__":
    main()
