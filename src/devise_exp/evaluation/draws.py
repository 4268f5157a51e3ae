"""Metrics of a method of several random draws: their means, with an interval over the draws.

A new draw gives every class a new vector, and what a draw reaches varies with that far more than
with the images: images of a class lie together, so all of them hit or miss. The interval is
therefore Student's t over the draws (Bouthillier et al. 2021: resample what varies). It contains
the spread over classes, as each draw pairs all of them with vectors anew; to resample classes
within the draws too would count that spread twice (experiments/random_vectors measures how often
each interval contains chance).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from devise_exp.core.vectors import normalize_rows
from devise_exp.evaluation.metrics.intervals import seed_interval
from devise_exp.evaluation.metrics.without_spread import of_equal_values
from devise_exp.evaluation.protocols import MethodOutput
from devise_exp.evaluation.records import CHANCE, MetricName, MetricRecord

CONTROLLED = MetricName("unseen", "hit", 1, "class")  # the metric that has to be at chance


def split_draws(output: MethodOutput) -> Iterator[MethodOutput]:
    """Take the draws of a method apart, one at a time: its vectors alone are copied.

    Args:
        output: Of a method; its draws are side by side in D.

    Yields:
        An output for each draw, in its space; the output itself if there is one.
    """
    if output.draws == 1:
        yield output
        return

    def cut(rows: np.ndarray, draw: int) -> np.ndarray:
        return normalize_rows(np.split(rows, output.draws, axis=1)[draw])

    for draw in range(output.draws):
        yield replace(
            output,
            class_vectors=cut(output.class_vectors, draw),
            parts={
                name: replace(images, vectors=cut(images.vectors, draw))
                for name, images in output.parts.items()
            },
            draws=1,
        )


def mean_records(of_draws: Sequence[Sequence[MetricRecord]]) -> list[MetricRecord]:
    """Average the records of several draws.

    Args:
        of_draws: For each draw its records, the same metrics in the same order.

    Returns:
        A record per metric: the mean, its interval over draws within [0, 1], which is exact if all
        draws are equal (`without_spread`), and their number.

    Raises:
        ValueError: The draws have different metrics.
    """
    means = []
    for records in zip(*of_draws, strict=True):
        if len({record.key for record in records}) > 1:
            raise ValueError(f"draws of different metrics: {records[0].key}, {records[-1].key}")
        mean, low, high = _mean_of_draws(np.array([record.value for record in records]))
        means.append(
            replace(
                records[0],
                value=mean,
                low=max(low, 0.0),
                high=min(high, 1.0),
                classes_low=None,
                classes_high=None,
                draws=len(records),
            )
        )
    return means


def _mean_of_draws(values: np.ndarray) -> tuple[float, float, float]:
    """Mean, and the bounds of its interval over draws."""
    mean, deviation, low, high = seed_interval(values)
    if deviation < 1e-12:  # what rounding leaves of equal draws
        return (mean, *of_equal_values(mean, len(values)))
    return mean, low, high


def against_chance(records: Sequence[MetricRecord]) -> dict[str, str]:
    """Say of each method of random draws whether it tells unseen classes apart.

    Args:
        records: The metrics of a run.

    Returns:
        Name of the method -> "at chance: ..." if chance lies in the interval over draws of its
        unseen hit@1, else "NOT at chance: ...".
    """
    of_chance = replace(CONTROLLED, average="image")  # both averages of chance are the same
    chances = (r.value for r in records if (r.method, r.name) == (CHANCE, of_chance))
    chance = next(chances, None)
    texts = {}
    for record in records:
        if record.name != CONTROLLED or not record.draws or chance is None:
            continue
        low, high = record.low or 0.0, 1.0 if record.high is None else record.high
        interval = f"[{100 * low:.1f}, {100 * high:.1f}]"
        draws = f"hit@1 among unseen labels over {record.draws} draws"
        if low <= chance <= high:
            texts[record.method] = f"at chance: {100 * chance:.1f} in {interval}, {draws}"
        else:
            texts[record.method] = (
                f"NOT at chance: {100 * chance:.1f} outside {interval}, {draws}: something leaks, "
                "unless more draws find it at chance (1 in 20 intervals misses)"
            )
    return texts
