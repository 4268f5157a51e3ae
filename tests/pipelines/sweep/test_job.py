"""Trials as jobs: full disks and trials that fail."""

from __future__ import annotations

import csv
import errno
import resource
from pathlib import Path
from typing import Any

import pytest
from helpers.sweeps import facts, in_process, results_of
from hydra.errors import InstantiationException
from omegaconf import OmegaConf
from optuna.trial import TrialState

from devise_exp.core.errors import InputError
from devise_exp.pipelines.sweep import report, trial
from devise_exp.pipelines.sweep.results import Results


@pytest.mark.parametrize("full", ["journal", "sqlite", "the trial's disk"])
def test_a_disk_that_is_full_in_the_middle_of_a_trial(
    full: str, alone: Results, studies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, no trial fails of it, and the same study goes on to the same trials."""
    real, runs, limits = trial.run_trial, [], resource.getrlimit(resource.RLIMIT_FSIZE)
    file = tmp_path / "study.db" if full == "sqlite" else tmp_path / "journal.log"
    storage = f"sqlite:///{file}" if full == "sqlite" else str(file)

    def short(*arguments: Any) -> dict[str, float]:
        runs.append(1)
        if len(runs) == 5:
            if full == "the trial's disk":
                full_disk = OSError(errno.ENOSPC, "No space left on device", "some/bank")
                raise InstantiationException("Error in call to target") from full_disk
            # Of the journal, some of the next line; of the database, not one page.
            size = 1000 if full == "sqlite" else file.stat().st_size + 20
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(trial, "run_trial", short)
        try:
            with pytest.raises(InputError) as raised:
                in_process(studies, tmp_path, storage=storage)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    line = str(raised.value)
    if full == "the trial's disk":
        assert line.startswith("some/bank: No space left on device: free some space")
    else:
        assert line.startswith("storage=")
        assert "no longer answers (" in line
        assert line.endswith("and the same command goes on")
    first = results_of(studies, tmp_path, storage=storage).trials()
    assert [item.number for item in first] == [0, 1, 2, 3]
    assert facts(in_process(studies, tmp_path, storage=storage).trials()) == facts(alone.trials())


def test_a_trial_that_fails_is_a_row_and_the_others_go_on(studies: Path, tmp_path: Path) -> None:
    rates = {"optimizer.lr": [1e30, 0.01], "loss": ["mse"], "optimizer": ["sgd"]}
    created = OmegaConf.load(studies / "study" / "small.yaml")
    created.merge_with({"name": "failing", "trials": 6, "pruner": None})
    created.space = rates
    OmegaConf.save(created, studies / "study" / "failing.yaml")
    result = in_process(studies, tmp_path, "failing")
    states = {trial.params["optimizer.lr"]: trial.state for trial in result.trials()}
    assert states == {1e30: TrialState.FAIL, 0.01: TrialState.COMPLETE}
    report.write(result.study, result.trials(), tmp_path)
    rows = list(csv.DictReader((tmp_path / "trials.csv").open()))
    errors = {row["optimizer.lr"]: row["error"] for row in rows}
    assert "optimizer.lr=1e+30: give a number" in errors["1e+30"]
    assert errors["0.01"] == ""
    assert "optimizer.lr=1e+30: give a number" in (tmp_path / "summary.md").read_text()
