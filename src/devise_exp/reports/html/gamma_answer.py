"""How sure gamma is: what chose it, what else would have been chosen, what hindsight says."""

from __future__ import annotations

import numpy as np

from devise_exp.data.class_folds import FEW_CLASSES
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import MetricName
from devise_exp.reports.gamma_rows import GammaRow, gamma_rows
from devise_exp.reports.html.shown_run import ShownRun
from devise_exp.reports.numbers import to_precision

_CALIBRATED_H = MetricName("calibrated", "H", 1)


def gamma_answer(run: ShownRun) -> list[str]:
    """Say how sure the gamma of the trained model is.

    Args:
        run: The run.

    Returns:
        Sentences; none without a gamma.
    """
    row = gamma_rows(run.results.records).get(MODEL)
    if row is None:
        return []
    about, n_folds = run.details.about, run.details.about.get("rehearsals")
    source = (
        f"It was taken from the run {about['choices']}."
        if "choices" in about
        else f"It was chosen on {n_folds} class folds. A class fold is a training that leaves out "
        "some seen classes and then treats them as unseen."
    )
    chosen = (
        "Among all labels, the model rates seen classes too high. So gamma is subtracted from the "
        f"similarity of every seen class. Here gamma is {row.gamma.value:.3f}. {source} No unseen "
        "class and no test image took part in the choice."
    )
    n_seen = sum(record.seen for record in run.classes)
    rule = [_rule(row, n_seen)] if row.per_fold and n_seen else []
    return [chosen, *rule, _interval(row), *_folds(row), *_hindsight(row, run)]


def _rule(row: GammaRow, n_seen: int) -> str:
    """How gamma follows from the folds."""
    if n_seen >= FEW_CLASSES:
        return (
            f"With {FEW_CLASSES} seen classes or more (here {n_seen}), gamma is the mean of the "
            "best gammas of the folds."
        )
    of_folds = float(np.median(row.per_fold))
    default = 2 * row.gamma.value - of_folds
    return (
        f"With fewer than {FEW_CLASSES} seen classes (here {n_seen}), the folds alone are too "
        f"uncertain. So gamma is the mean of two values: {of_folds:.3f}, the median of the best "
        f"gammas of the folds, and {default:.3f}, a default. The default is a fixed share of the "
        "mean gap of seen images. The gap of an image is the similarity of its best seen label "
        "minus that of its best unseen label."
    )


def _interval(row: GammaRow) -> str:
    """What other seen classes would have chosen."""
    low, high, gamma = row.gamma.low, row.gamma.high, row.gamma.value
    if low is None or high is None:
        return "The run has not noted an interval of gamma."
    sure = (
        "That is wider than gamma itself, so gamma is hardly known."
        if high - low > abs(gamma)
        else "It covers only the draw of the classes of the folds, not other images or another "
        "training, so the true error may be larger."
    )
    return (
        f"The 95 % interval of gamma is {low:.3f} to {high:.3f}. {sure} The interval comes from "
        "200 repetitions. Each one draws the classes of all folds anew and chooses gamma again by "
        "the same rule."
    )


def _folds(row: GammaRow) -> list[str]:
    """What the folds had, and why their range is not the interval."""
    if len(row.per_fold) < 2:
        return []
    lowest, highest = min(row.per_fold), max(row.per_fold)
    sentence = (
        f"The best gammas of the {len(row.per_fold)} single folds are {row.folds}. They range from "
        f"{lowest:.3f} to {highest:.3f}"
    )
    low, high = row.gamma.low, row.gamma.high
    if low is None or high is None:
        return [f"{sentence}."]
    if low <= lowest and highest <= high:
        return [f"{sentence}, within the interval."]
    return [
        f"{sentence}. Single folds scatter more than the interval, for a fold has few classes, and "
        "the interval is that of a choice by all folds together."
    ]


def _hindsight(row: GammaRow, run: ShownRun) -> list[str]:
    """What the best gamma of the test images would have given."""
    if not row.lost:
        return []
    best = f" is {row.hindsight} and" if row.hindsight else ""
    low, high, where = row.gamma.low, row.gamma.high, ""
    if row.best is not None and low is not None and high is not None:
        side = "inside" if low <= row.best <= high else "outside"
        where = f" The value {row.best:.3f} lies {side} the interval."
    score = run.results.value(MODEL, _CALIBRATED_H)
    base = "" if score is None else f" of {to_precision(score)}"
    return [
        f"In hindsight, the best gamma for the test images{best} would add {row.lost} to the "
        f"calibrated H{base}. That is the regret: what the run loses by not knowing it.{where} "
        "Calibrated H is the harmonic mean of hit@1 of seen and of unseen images among all labels, "
        "with gamma."
    ]
