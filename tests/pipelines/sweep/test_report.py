"""The report of a study: the best as an experiment, two objectives, importances."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import optuna
import pytest
from helpers.sweeps import in_process, spec
from optuna.trial import TrialState

from devise_exp.core.config import compose_config
from devise_exp.pipelines.sweep import report
from devise_exp.pipelines.sweep.results import Results
from devise_exp.pipelines.sweep.study_config import study_of


def test_the_best_trial_is_an_experiment_that_trains_to_its_value(
    alone: Results, tmp_path: Path
) -> None:
    report.write(alone.study, alone.trials(), tmp_path)
    best = max(
        (t for t in alone.trials() if t.state == TrialState.COMPLETE), key=lambda t: t.values[0]
    )
    config = compose_config(["experiment=small"], more=tmp_path)
    again = compose_config(alone.study.overrides_of(best.params))
    assert config == again


def test_two_objectives_have_a_front(studies: Path, tmp_path: Path) -> None:
    result = in_process(studies, tmp_path, "two")
    done = [trial for trial in result.trials() if trial.state == TrialState.COMPLETE]
    assert len(done) == 5, [trial.user_attrs for trial in result.trials()]
    best = {trial.number for trial in report.ranked(result.study, done)}
    for trial in done:
        beaten = any(
            other.values[0] >= trial.values[0]
            and other.values[1] <= trial.values[1]
            and other.values != trial.values
            for other in done
        )
        assert (trial.number in best) == (not beaten)
    hidden = {trial.params["projection.hidden"]: trial.values[1] for trial in done}
    assert all(weights == 1280 * h + h + 50 * h + 50 for h, weights in hidden.items())
    assert report.figures(result.study, done).keys() == {"history", "slices", "front"}


def test_importances_find_the_key_that_matters() -> None:
    study = study_of(spec(space={key: {"low": 0.0, "high": 1.0} for key in "ab"}))
    rng = np.random.default_rng(0)
    trials = [
        optuna.create_trial(
            params={"a": a, "b": b}, distributions=dict(study.space), value=1 - (a - 0.5) ** 2
        )
        for a, b in rng.random((60, 2))
    ]
    (shares,) = report.importances(study, trials).values()
    assert shares["a"] > 0.7
    assert sum(shares.values()) == pytest.approx(1)


def test_no_value_breaks_or_steers_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choices = ["a|b", "[red]=x", "=1+1"]
    study = study_of(spec(space={"labels.aliases.cat": choices}))
    trials = [
        optuna.trial.create_trial(
            params={"labels.aliases.cat": choice},
            distributions=dict(study.space),
            value=0.5,
            user_attrs={"seconds": 1.5},
        )
        for choice in choices
    ]
    trials.append(
        optuna.trial.create_trial(state=TrialState.FAIL, user_attrs={"error": "@é\x1b[31m"})
    )
    report.write(study, trials, tmp_path)
    with (tmp_path / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["labels.aliases.cat"] for row in rows] == ["a|b", "[red]=x", "'=1+1", ""]
    assert rows[-1]["error"] == "'@é\x1b[31m"
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert r"a\|b" in summary
    assert summary.startswith("# Study small\n\n4 trials: 3 complete, 1 failed.\n\n| trial | ")
    report.show(study, trials, 0, 1.0)
    printed = capsys.readouterr()
    assert "[red]=x" in printed.out
    assert "\x1b" not in printed.out + printed.err
