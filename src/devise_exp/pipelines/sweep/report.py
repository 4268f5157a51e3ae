"""What a study found: all trials, the best as an experiment, which keys mattered, and figures."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from devise_exp.core.console import notify, print_content, printable
from devise_exp.core.files import atomic_path
from devise_exp.core.paths import CONF
from devise_exp.pipelines.sweep.study import Study
from devise_exp.reports.figures import style
from devise_exp.reports.figures.style import COLOURS, FAINT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 10  # trials in the tables
Trials = Sequence[FrozenTrial]


def write(study: Study, trials: Trials, folder: Path) -> None:
    """trials.csv, summary.md, experiment/NAME.yaml and figures, into the study's folder."""
    head, *rows = rows_of(study, trials)
    with atomic_path(folder / "trials.csv") as made, made.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    with atomic_path(folder / "summary.md") as made:
        made.write_text(summary(study, trials), encoding="utf-8")
    if best := ranked(study, trials):
        with atomic_path(folder / "experiment" / f"{study.name}.yaml") as made:
            made.write_text(experiment(study, best[0]), encoding="utf-8")
        for name, figure in figures(study, trials).items():
            with atomic_path(folder / f"{name}.png") as made:
                figure.savefig(made, dpi=150, facecolor="white")


def ranked(study: Study, trials: Trials) -> list[FrozenTrial]:
    """Completed trials, the best first; of two objectives those on the front of trials that none
    is better than in both, by the first.
    """
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    first, *others = study.objectives.values()
    if others and done:
        front = {trial.number for trial in study.in_memory(done).best_trials}
        done = [trial for place, trial in enumerate(done) if place in front]
    sign = -1 if first == "maximize" else 1
    return sorted(done, key=lambda trial: (sign * trial.values[0], trial.number))


def rows_of(study: Study, trials: Trials) -> list[list[Any]]:
    """A heading and a row for each trial."""
    keys = list(study.space)
    rows: list[list[Any]] = [
        ["trial", "state", *study.objectives, *keys, "seconds", "tries", "error"]
    ]
    for trial in trials:
        values = trial.values or [""] * len(study.objectives)
        notes = [trial.user_attrs.get(key, "") for key in ("seconds", "tries", "error")]
        own = [trial.params.get(key, "") for key in keys]
        rows.append([trial.number, trial.state.name.lower(), *values, *own, *notes])
    return rows


def counts(trials: Trials) -> str:
    """How many trials ended how."""
    kinds = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    names = ("complete", "pruned", "failed")
    numbers = [sum(trial.state == kind for trial in trials) for kind in kinds]
    return ", ".join(f"{n} {name}" for n, name in zip(numbers, names, strict=True) if n)


def summary(study: Study, trials: Trials) -> str:
    """The study in Markdown: the best trials, importances, errors."""
    lines = [f"# Study {study.name}", "", f"{len(trials)} trials: {counts(trials)}.", ""]
    head, rows = _best_rows(study, trials)
    lines += [_line(head), _line(["---"] * len(head)), *map(_line, rows)]
    for name, shares in importances(study, trials).items():
        lines += ["", f"## How much of the differences in {name} each key accounts for", ""]
        lines += [_line(["key", "share"]), _line(["---", "---:"])]
        lines += [_line([key, f"{100 * share:.0f} %"]) for key, share in shares.items()]
    if errors := errors_of(trials):
        lines += ["", "## Errors", "", *(f"- {error}" for error in errors)]
    return "\n".join([*lines, ""])


def errors_of(trials: Trials) -> list[str]:
    """What has failed trials, each reason once, in a line."""
    return sorted({printable(t.user_attrs["error"]) for t in trials if "error" in t.user_attrs})


def show(study: Study, trials: Trials, n_now: int, seconds: float) -> None:
    """The best trials, in the terminal; n_now: how many trials took these seconds."""
    head, rows = _best_rows(study, trials)
    pace = f"; {n_now} in {seconds:.0f} s, {60 * n_now / max(seconds, 1e-9):.0f} a minute"
    title = f"study {study.name}: {counts(trials)}{pace if n_now else ''}"
    table = Table(title=title, box=None, pad_edge=False)
    for heading in head:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*row)
    print_content(table)
    for error in errors_of(trials):
        notify(f"failed: {error}")


def experiment(study: Study, best: FrozenTrial) -> str:
    """A file for conf/experiment, with which train.py trains by the best trial's values."""
    groups, values = [], {}
    for told in OverridesParser.create().parse_overrides(study.overrides_of(best.params)):
        if (CONF / told.key_or_group).is_dir():
            groups.append({f"override /{told.key_or_group}": told.value()})
        else:
            values[told.key_or_group] = told.value()
    found = ", ".join(
        f"{name} {value:.4g}" for name, value in zip(study.objectives, best.values, strict=True)
    )
    text = f"# @package _global_\n# The best of {study.name}, trial {best.number}: {found}.\n"
    content = OmegaConf.create({"defaults": groups} if groups else {})
    for key, value in values.items():
        OmegaConf.update(content, key, value, force_add=True)
    return text + OmegaConf.to_yaml(content)


def importances(study: Study, trials: Trials) -> dict[str, dict[str, float]]:
    """Objective -> key -> its share in what makes trials good (PED-ANOVA, Watanabe et al. 2023);
    nothing where too few trials were completed.
    """
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    found: dict[str, dict[str, float]] = {}
    if len(done) < 4 or len(study.space) < 2:
        return found
    memory = study.in_memory(done)
    for i, name in enumerate(study.objectives):
        sign = 1 if study.objectives[name] == "minimize" else -1
        evaluator = PedAnovaImportanceEvaluator()

        def target(trial: FrozenTrial, i: int = i, sign: int = sign) -> float:
            return sign * float(trial.values[i])

        with warnings.catch_warnings():  # of low values being sought, and of few trials
            warnings.simplefilter("ignore", UserWarning)
            found[name] = get_param_importances(memory, evaluator=evaluator, target=target)
    return found


def figures(study: Study, trials: Trials) -> dict[str, Figure]:
    """history: the first objective by trial; slices: by the value of each key; front: two
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


def _best_rows(study: Study, trials: Trials) -> tuple[list[str], list[list[str]]]:
    head = ["trial", *study.objectives, *study.space, "seconds"]
    rows = []
    for trial in ranked(study, trials)[:SHOWN]:
        own = [trial.params[key] for key in study.space]
        seconds = trial.user_attrs.get("seconds", float("nan"))
        numbers = [*trial.values, *own, seconds]
        rows.append([str(trial.number), *map(_shown, numbers)])
    return head, rows


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
