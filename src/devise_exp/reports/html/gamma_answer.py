"""How sure gamma is: what chose it, what else would have been chosen, what hindsight says."""

from __future__ import annotations

import numpy as np

from devise_exp.data.class_folds import FEW_CLASSES
from devise_exp.evaluation.protocols import MODEL
from devise_exp.reports.gamma_rows import GammaRow, gamma_rows
from devise_exp.reports.html.shown_run import ShownRun


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
        f"the run {about['choices']}"
        if "choices" in about
        else f"{n_folds} class folds: trainings without some of the seen classes, which play the "
        "unseen ones"
    )
    chosen = (
        "The model finds seen classes too similar; gamma is taken off their similarity. gamma is "
        f"{row.gamma.value:.3f}, chosen by {source}. No unseen class and no test image had a part "
        "in it."
    )
    n_seen = sum(record.seen for record in run.classes)
    rule = [_rule(row, n_seen)] if row.per_fold and n_seen else []
    return [chosen, *rule, _interval(row), *_folds(row), *_hindsight(row)]


def _rule(row: GammaRow, n_seen: int) -> str:
    """How gamma follows from the folds."""
    if n_seen >= FEW_CLASSES:
        return (
            f"With {FEW_CLASSES} seen classes or more (here {n_seen}) it is the mean of the best "
            "gammas of the folds."
        )
    of_folds = float(np.median(row.per_fold))
    default = 2 * row.gamma.value - of_folds
    return (
        f"Below {FEW_CLASSES} seen classes (here {n_seen}) the folds alone say too little, so only "
        f"half of gamma is theirs: it is the middle between the median of their best gammas, "
        f"{of_folds:.3f}, and a default, {default:.3f}, which is a fixed share of how far the best "
        "seen label of a seen image lies above its best unseen one."
    )


def _interval(row: GammaRow) -> str:
    """What other seen classes would have chosen."""
    low, high, gamma = row.gamma.low, row.gamma.high, row.gamma.value
    if low is None or high is None:
        return "How far the choice of these classes moves gamma, the run has not noted."
    far = max(high - gamma, gamma - low)
    sure = (
        "so that it is hardly known"
        if high - low > abs(gamma)
        else f"so that it is known to {far:.3f} or better"
    )
    return (
        f"Its 95 % interval is {low:.3f} to {high:.3f}, {sure}: the classes of all folds were "
        "drawn anew 200 times, and gamma was chosen again by the same rule each time."
    )


def _folds(row: GammaRow) -> list[str]:
    """What the folds had, and why their range is not the interval."""
    if len(row.per_fold) < 2:
        return []
    lowest, highest = min(row.per_fold), max(row.per_fold)
    sentence = (
        f"The best gammas of the {len(row.per_fold)} folds, of each alone, are {row.folds}: a "
        f"range from {lowest:.3f} to {highest:.3f}"
    )
    low, high = row.gamma.low, row.gamma.high
    if low is None or high is None:
        return [f"{sentence}."]
    if low <= lowest and highest <= high:
        return [f"{sentence}, within the interval."]
    return [
        f"{sentence}. It goes beyond the interval, as the range says what one fold would choose by "
        "its few classes, and the interval what the rule chooses by all folds together."
    ]


def _hindsight(row: GammaRow) -> list[str]:
    """What the best gamma of the test images would have given."""
    if not row.lost:
        return []
    best = f", {row.hindsight}," if row.hindsight else ""
    low, high, where = row.gamma.low, row.gamma.high, ""
    if row.best is not None and low is not None and high is not None:
        where = f" It lies {'within' if low <= row.best <= high else 'outside'} the interval."
    return [
        f"In hindsight the best gamma of these very test images{best} has {row.lost} more H: so "
        f"much is lost by not knowing it.{where}"
    ]
