"""The figures of a study, and its trials in order of worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from devise_exp.pipelines.sweep.study import Study
from devise_exp.reports.figures import style
from devise_exp.reports.figures.style import COLOURS, FAINT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Trials = Sequence[FrozenTrial]


def ranked(study: Study, trials: Trials) -> list[FrozenTrial]:
    """Rank the completed trials.

    Args:
        study: Its objectives say what is better.
        trials: Of the study.

    Returns:
        The trials, the best first. Of two objectives only those on the front, where no other trial
        is better in both, by the first objective.
    """
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    first, *others = study.objectives.values()
    if others and done:
        front = {trial.number for trial in study.in_memory(done).best_trials}
        done = [trial for position, trial in enumerate(done) if position in front]
    sign = -1 if first == "maximize" else 1
    return sorted(done, key=lambda trial: (sign * trial.values[0], trial.number))


def figures(study: Study, trials: Trials) -> dict[str, Figure]:
    """Draw the figures of a study.

    Args:
        study: What was searched.
        trials: All of them.

    Returns:
        history: the first objective by trial; slices: by the value of each key; front: the two
        objectives.
    """
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    drawn = {"history": _history(study, done), "slices": _slices(study, done)}
    if len(study.objectives) == 2:
        drawn["front"] = _front(study, done)
    return drawn


def _history(study: Study, done: Trials) -> Figure:
    name, direction = next(iter(study.objectives.items()))
    values = np.array([trial.values[0] for trial in done])
    best = (np.maximum if direction == "maximize" else np.minimum).accumulate(values)
    with style.new_figure(3.2) as figure:
        axes = figure.subplots()
        numbers = [trial.number for trial in done]
        axes.plot(numbers, values, "o", color=COLOURS[0], markersize=4)
        axes.step(numbers, best, where="post", color=COLOURS[1])
        style.label_axes(axes, f"{name} of each trial, and the best so far", "trial", name)
    return figure


def _slices(study: Study, done: Trials) -> Figure:
    name, keys = next(iter(study.objectives)), list(study.space)
    columns = min(3, len(keys))
    n_rows = -(-len(keys) // columns)
    with style.new_figure(2.6 * n_rows) as figure:
        panels = figure.subplots(n_rows, columns, squeeze=False, sharey=True).ravel()
        for axes, key in zip(panels, keys, strict=False):
            kind = study.space[key]
            x = [trial.params[key] for trial in done]
            shown = [str(v) for v in x] if isinstance(kind, CategoricalDistribution) else x
            axes.plot(shown, [t.values[0] for t in done], "o", color=COLOURS[0], ms=4)
            if getattr(kind, "log", False):
                axes.set_xscale("log")
            style.label_axes(axes, key, "", name if axes is panels[0] else "")
        for axes in panels[len(keys) :]:
            axes.remove()
    return figure


def _front(study: Study, done: Trials) -> Figure:
    x, y = list(study.objectives)[::-1]
    front = ranked(study, done)
    with style.new_figure(3.6) as figure:
        axes = figure.subplots()
        for which, colour in ((done, FAINT), (front, COLOURS[1])):
            points = [trial.values[::-1] for trial in which]
            axes.plot(*zip(*points, strict=True), "o", color=colour, markersize=4)
        if x.startswith("cost"):
            axes.set_xscale("log")
        style.label_axes(axes, f"{y} against {x}: no trial is better in both than the marked", x, y)
    return figure
