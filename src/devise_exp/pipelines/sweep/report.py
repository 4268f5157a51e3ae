"""The report of a study: all trials, the best as an experiment, importances of keys, figures."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from devise_exp.core.console import notify, print_content, printable
from devise_exp.core.files import atomic_path, write_text
from devise_exp.core.paths import CONF
from devise_exp.pipelines.sweep.figures import Trials, figures, ranked
from devise_exp.pipelines.sweep.study import Study
from devise_exp.reports.table_views import to_rich
from devise_exp.reports.tables import Column, Table, escape_markdown, to_csv, to_markdown

SHOWN = 10  # trials in the tables


def write(study: Study, trials: Trials, folder: Path) -> None:
    """Write trials.csv, summary.md, experiment/NAME.yaml and the figures.

    Args:
        study: What was searched.
        trials: All of them.
        folder: Of the study.
    """
    write_text(folder / "trials.csv", to_csv(trial_table(study, trials)))
    write_text(folder / "summary.md", summary(study, trials))
    if best := ranked(study, trials):
        write_text(folder / "experiment" / f"{study.name}.yaml", experiment(study, best[0]))
        for name, figure in figures(study, trials).items():
            with atomic_path(folder / f"{name}.png") as path:
                figure.savefig(path, dpi=150, facecolor="white")


def trial_table(study: Study, trials: Trials) -> Table:
    """Make the table of all trials.

    Args:
        study: Its keys and objectives are columns.
        trials: Of the study.

    Returns:
        A row for each trial.
    """
    keys, rows = list(study.space), []
    headings = ("trial", "state", *study.objectives, *keys, "seconds", "error")
    for trial in trials:
        values = trial.values or [""] * len(study.objectives)
        notes = [trial.user_attrs.get(key, "") for key in ("seconds", "error")]
        settings = [trial.params.get(key, "") for key in keys]
        rows.append((trial.number, trial.state.name.lower(), *values, *settings, *notes))
    return Table(columns=tuple(map(Column, headings)), rows=tuple(rows))


def counts(trials: Trials) -> str:
    """Count how trials ended.

    Args:
        trials: Of the study.

    Returns:
        Such as "8 complete, 2 pruned".
    """
    kinds = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    names = ("complete", "pruned", "failed")
    numbers = [sum(trial.state == kind for trial in trials) for kind in kinds]
    return ", ".join(f"{n} {name}" for n, name in zip(numbers, names, strict=True) if n)


def summary(study: Study, trials: Trials) -> str:
    """Summarise a study in Markdown.

    Args:
        study: What was searched.
        trials: All of them.

    Returns:
        The best trials, importances and errors.
    """
    parts = [f"# Study {study.name}\n\n{len(trials)} trials: {counts(trials)}.\n"]
    parts.append(to_markdown(_best_table(study, trials, Column)))
    for name, shares in importances(study, trials).items():
        table = Table(
            columns=(Column("key"), Column("share", "right")),
            rows=tuple((key, f"{100 * share:.0f} %") for key, share in shares.items()),
            title=f"How much of the differences in {name} each key accounts for",
        )
        parts.append(to_markdown(table))
    if errors := errors_of(trials):
        parts.append("\n".join(["## Errors", "", *(f"- {escape_markdown(e)}" for e in errors), ""]))
    return "\n".join(parts)


def errors_of(trials: Trials) -> list[str]:
    """List why trials failed.

    Args:
        trials: Of the study.

    Returns:
        Each reason once, in a line.
    """
    return sorted({printable(t.user_attrs["error"]) for t in trials if "error" in t.user_attrs})


def show(study: Study, trials: Trials, n_now: int, seconds: float) -> None:
    """Print the best trials.

    Args:
        study: What was searched.
        trials: All of them.
        n_now: How many trials this command ran.
        seconds: How long it took.
    """
    pace = f"; {n_now} in {seconds:.0f} s, {60 * n_now / max(seconds, 1e-9):.0f} a minute"
    title = f"study {study.name}: {counts(trials)}{pace if n_now else ''}"
    table = _best_table(study, trials, partial(Column, align="right"))
    print_content(to_rich(replace(table, title=title)))
    for error in errors_of(trials):
        notify(f"failed: {error}")


def experiment(study: Study, best: FrozenTrial) -> str:
    """Write the best trial as a file for conf/experiment.

    Args:
        study: What was searched.
        best: Its best trial.

    Returns:
        YAML with which train.py trains by the trial's values.
    """
    groups, values = [], {}
    for override in OverridesParser.create().parse_overrides(study.overrides_of(best.params)):
        if (CONF / override.key_or_group).is_dir():
            groups.append({f"override /{override.key_or_group}": override.value()})
        else:
            values[override.key_or_group] = override.value()
    values_text = ", ".join(
        f"{name} {value:.4g}" for name, value in zip(study.objectives, best.values, strict=True)
    )
    text = f"# @package _global_\n# The best of {study.name}, trial {best.number}: {values_text}.\n"
    content = OmegaConf.create({"defaults": groups} if groups else {})
    for key, value in values.items():
        OmegaConf.update(content, key, value, force_add=True)
    return text + OmegaConf.to_yaml(content)


def importances(study: Study, trials: Trials) -> dict[str, dict[str, float]]:
    """Measure how much of the differences each key accounts for (PED-ANOVA, Watanabe et al. 2023).

    Args:
        study: What was searched.
        trials: All of them.

    Returns:
        Objective -> key -> its share; nothing if too few trials were completed.
    """
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    shares: dict[str, dict[str, float]] = {}
    if len(done) < 4 or len(study.space) < 2:
        return shares
    memory = study.in_memory(done)
    for i, name in enumerate(study.objectives):
        sign = 1 if study.objectives[name] == "minimize" else -1
        evaluator = PedAnovaImportanceEvaluator()

        def target(trial: FrozenTrial, i: int = i, sign: int = sign) -> float:
            return sign * float(trial.values[i])

        with warnings.catch_warnings():  # of low values being sought, and of few trials
            warnings.simplefilter("ignore", UserWarning)
            shares[name] = get_param_importances(memory, evaluator=evaluator, target=target)
    return shares


def _best_table(study: Study, trials: Trials, column: Callable[[str], Column]) -> Table:
    headings, rows = ("trial", *study.objectives, *study.space, "seconds"), []
    for trial in ranked(study, trials)[:SHOWN]:
        settings = [trial.params[key] for key in study.space]
        seconds = trial.user_attrs.get("seconds", float("nan"))
        numbers = [*trial.values, *settings, seconds]
        rows.append((str(trial.number), *map(_shown, numbers)))
    return Table(columns=tuple(map(column, headings)), rows=tuple(rows))


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
