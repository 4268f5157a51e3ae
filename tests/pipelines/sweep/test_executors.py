"""Executors: lost processes, and those that are lost each time."""

from __future__ import annotations

from pathlib import Path

from helpers.lost_jobs import lost_each_time, lost_once

from devise_exp.pipelines.sweep.executors.processes import Processes


def test_a_job_whose_process_is_lost_runs_again(tmp_path: Path) -> None:
    jobs = [tmp_path / name for name in ("one", "two", "three")]
    (tmp_path / "two").touch()
    with Processes(folder=tmp_path, workers=2) as executor:
        outcomes = dict(executor.outcomes(lost_once, jobs))
    assert outcomes == {job: job.name for job in jobs}


def test_a_job_that_loses_each_process_costs_the_others_nothing(tmp_path: Path) -> None:
    with Processes(folder=tmp_path, workers=2) as executor:
        outcomes = dict(executor.outcomes(lost_each_time, ["a", "lost", "b", "c"]))
    assert outcomes == {"a": "a", "b": "b", "c": "c", "lost": None}
