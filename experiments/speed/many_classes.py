"""How long do classes and splits take at the size of ImageNet-21k?

python experiments/speed/many_classes.py [--classes 21841] [--rows 200000]

Made-up names and rows, no images. To compare with another commit, run this file in its checkout.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from rich.console import Console
from rich.table import Table

from devise_exp.core.errors import InputError
from devise_exp.data.class_folds import draw_class_folds
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.splits import named_split, random_split
from devise_exp.evaluation import leakage
from devise_exp.evaluation.metrics.tradeoff import TopAnswers
from devise_exp.methods.gamma import FoldAnswers, choose_gamma
from devise_exp.text.labels import merge_classes, resolve
from devise_exp.text.word_vectors import random_word_vectors

TIMES = 3


def named_classes(n: int) -> list[str]:
    """Names of one or two words."""
    rng = np.random.default_rng(0)
    words = ["".join(map(chr, rng.integers(97, 123, rng.integers(4, 12)))) for _ in range(n)]
    return sorted({f"{word}_{i}" if i % 2 else f"{word}{i}" for i, word in enumerate(words)})


def seconds(call: Callable[[], object]) -> float:
    """The quickest of several calls on one core; wrong input is timed up to its message."""
    best = float("inf")
    for _ in range(TIMES):
        start = time.process_time()
        with suppress(InputError):
            call()
        best = min(best, time.process_time() - start)
    return best


def fold_answers(seed: int, images: int = 50_000, classes: int = 1000) -> FoldAnswers:
    """Made-up answers to the images of a class fold, a fifth of whose classes are held out."""
    rng = np.random.default_rng(seed)
    held_out = np.arange(classes // 5) + seed * classes // 5
    sides = []
    for ids, middle in ((np.setdiff1d(np.arange(classes), held_out), 0.3), (held_out, 0.1)):
        n = images * len(ids) // classes
        gap = (middle + 0.1 * rng.normal(size=n)).astype(np.float32)
        right, truth = rng.random(n) < 0.6, rng.choice(ids, n)
        sides.append(TopAnswers(gap, np.zeros(n, np.float32), right, truth))
    return FoldAnswers(*sides)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--classes", type=int, default=21_841)
    parser.add_argument("--rows", type=int, default=200_000)
    options = parser.parse_args()
    names = named_classes(options.classes)
    labels = np.sort(np.arange(options.rows) % len(names))
    rows = tuple(f"{names[label]}/{i:06}.jpg" for i, label in enumerate(labels))
    data = LabelledRows(classes=names, labels=labels, rows=rows)
    split, vectors = random_split(data), random_word_vectors()
    categories = names[::20]
    cases = {
        "split.random": lambda: random_split(data),
        "split.random, n_seen": lambda: random_split(data, n_seen=len(names) // 2),
        "split.named, 1,000 names": lambda: named_split(data, names[:1000]),
        "split.named, all names unknown": lambda: named_split(data, [f"{name}?" for name in names]),
        "class folds": lambda: draw_class_folds(split, split.seen, 3),
        "labels.merges of all": lambda: merge_classes(names, dict.fromkeys(names[1:], names[0])),
        "labels.resolve": lambda: resolve(names, vectors),
        "labels.resolve, an alias each": lambda: resolve(names, vectors, {n: n for n in names}),
        "overlap audit": lambda: leakage.audit({name: name for name in names}, categories),
        "gamma of two folds of 50,000 images in 1,000 classes": lambda: choose_gamma(
            [fold_answers(0), fold_answers(1)], 1000
        ),
    }
    table = Table(f"{len(names):,} classes, {options.rows:,} rows", "seconds of the processor")
    for name, call in cases.items():
        table.add_row(name, f"{seconds(call):.2f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
