"""Are classes whose names are near each other taken for one another? From finished runs.

python experiments/near_names/measure.py RUN [RUN ...]
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from devise_exp.core.command import command
from devise_exp.runs.folder import RunFolder

BOUNDS = (-1.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1.01)
MANY = 0.2  # of the images of one class that are named as the other


def pairs_of(run: Path) -> list[tuple[str, float, float]]:
    """Names, cosine of the word vectors and larger share of images, of pairs of unseen classes."""
    folder = RunFolder.existing(run)
    ids = {record.name: i for i, record in enumerate(folder.classes())}
    counts = np.zeros((len(ids), len(ids)))
    with (run / "predictions.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["protocol"] == "unseen" and row["method"] == "devise":
                counts[ids[row["class"]], ids[row["label_1"]]] += 1
    unseen = np.flatnonzero(counts.any(axis=1))
    shares = counts[np.ix_(unseen, unseen)] / counts[unseen].sum(axis=1, keepdims=True)
    vectors = folder.class_vectors()[unseen]
    cosines, worst = vectors @ vectors.T, np.maximum(shares, shares.T)
    classes = np.array(list(ids))[unseen]
    rows, columns = np.triu_indices(len(unseen), 1)
    return [
        (f"{classes[i]} {classes[j]}", float(cosines[i, j]), float(worst[i, j]))
        for i, j in zip(rows, columns, strict=True)
    ]


@command
def main(runs: Sequence[Path]) -> None:
    pairs = [pair for run in runs for pair in pairs_of(run)]
    table = Table(
        "cosine",
        "pairs in all runs",
        "different pairs",
        "mean share",
        f"pairs with more than {MANY:.0%}",
    )
    for low, high in pairwise(BOUNDS):
        within = [(names, share) for names, cosine, share in pairs if low <= cosine < high]
        if within:
            shares = np.array([share for _, share in within])
            bound = f"{low:.1f} to {min(high, 1):.1f}"
            counts = f"{len(within):,}", f"{len({names for names, _ in within}):,}"
            table.add_row(bound, *counts, f"{shares.mean():.1%}", f"{(shares > MANY).mean():.0%}")
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Confusions by the cosine of class names.")
    parser.add_argument("runs", type=Path, nargs="+", help="run folders with predictions.csv")
    main(parser.parse_args().runs)
