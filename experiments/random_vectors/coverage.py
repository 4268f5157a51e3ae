"""How often does an interval of the control `random_vectors` contain chance, in a correct tool?

python experiments/random_vectors/coverage.py RUN [classes ...]

RUN is a finished run with the method. Its draws have embedded the unseen images; each simulated run
draws new random vectors for the unseen classes, which is all that a new run would change of what
they are compared with. Chance is then the exact expectation, so an interval of 95 % should contain
it in 95 % of the simulated runs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from devise_exp.core.vectors import normalize_rows
from devise_exp.evaluation.draws import split_draws
from devise_exp.evaluation.metrics.hits import per_class
from devise_exp.evaluation.metrics.intervals import interval, seed_interval
from devise_exp.runs.folder import RunFolder

RUNS, RESAMPLES = 500, 400
TITLES = {
    "images": "bootstrap over the images of one draw",
    "levels": "bootstrap over draws, then classes",
    "draws": "Student's t over draws",
}


def two_levels(shares: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Percentiles of the mean of (draws, classes) under draws and then classes drawn anew."""
    n_draws, n_classes = shares.shape
    rows = rng.integers(n_draws, size=(RESAMPLES, n_draws, 1))
    columns = rng.integers(n_classes, size=(RESAMPLES, n_draws, n_classes))
    low, high = np.quantile(shares[rows, columns].mean(axis=(1, 2)), [0.025, 0.975])
    return float(low), float(high)


def simulated(
    embedded: list[np.ndarray], truth: np.ndarray, n_classes: int, rng: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """The intervals of one simulated run."""
    hits = []
    for rows in embedded:
        vectors = normalize_rows(rng.normal(size=(n_classes, rows.shape[1])))
        hits.append((rows @ vectors.T).argmax(axis=1) == truth)
    shares = np.stack([per_class(of_draw, truth)[1] for of_draw in hits])
    low, high = seed_interval(shares.mean(axis=1))[2:]
    return {
        "images": interval(hits[0], truth, RESAMPLES),
        "levels": two_levels(shares, rng),
        "draws": (max(low, 0.0), min(high, 1.0)),
    }


def main() -> None:
    run = RunFolder.existing(Path(sys.argv[1]))
    draws = split_draws(run.embedded("random_vectors"))
    ids, truth = np.unique(draws[0].unseen.class_ids, return_inverse=True)
    table = Table("unseen classes", "interval", "contains chance", "half width")
    for n in map(int, sys.argv[2:] or [str(len(ids))]):
        rng = np.random.default_rng(0)
        counts = truth < n
        embedded = [draw.unseen.vectors[counts] for draw in draws]
        runs = [simulated(embedded, truth[counts], n, rng) for _ in range(RUNS)]
        for name, title in TITLES.items():
            bounds = np.array([intervals[name] for intervals in runs])
            inside = ((bounds[:, 0] <= 1 / n) & (1 / n <= bounds[:, 1])).mean()
            half = np.diff(bounds, axis=1).mean() / 2
            table.add_row(str(n), title, f"{100 * inside:.1f} %", f"{100 * half:.1f}")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
