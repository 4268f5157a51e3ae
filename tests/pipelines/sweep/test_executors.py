"""Executors: lost processes, and those that are lost each time; the same trials on each."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.lost_jobs import (
    blocked_signals,
    lost_each_time,
    lost_once,
    out_of_memory_once,
    refused,
)
from helpers.paths import TESTS
from helpers.sweeps import facts, results_of

from devise_exp.core.errors import InputError
from devise_exp.pipelines.sweep.executors import Executor
from devise_exp.pipelines.sweep.executors.processes import Processes
from devise_exp.pipelines.sweep.executors.ray_tasks import RayTasks
from devise_exp.pipelines.sweep.executors.submitit_jobs import SubmititJobs
from devise_exp.pipelines.sweep.results import Results
from devise_exp.pipelines.sweep.sweep import run_rounds

EXECUTORS: dict[str, Callable[[Path], Executor]] = {
    "processes": lambda folder: Processes(folder=folder, workers=2),
    "submitit": lambda folder: SubmititJobs(folder=folder, cluster="local", workers=2),
}


@pytest.fixture(params=EXECUTORS)
def executor(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Executor:
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))  # where jobs find helpers
    return EXECUTORS[request.param](tmp_path)


@pytest.mark.parametrize("function", [lost_once, out_of_memory_once])
def test_a_job_whose_process_is_lost_runs_again(
    executor: Executor, function: Callable[[Path], str], tmp_path: Path
) -> None:
    jobs = [tmp_path / name for name in ("one", "two", "three")]
    for job in jobs[1:]:
        job.touch()
    with executor:
        outcomes = dict(executor.outcomes(function, jobs))
    assert outcomes == {job: job.name for job in jobs}


def test_a_job_that_loses_each_process_costs_the_others_nothing(executor: Executor) -> None:
    if isinstance(executor, SubmititJobs):
        executor.retries = 0  # it waits a quarter of a minute for the result of a lost job
    with executor:
        outcomes = dict(executor.outcomes(lost_each_time, ["a", "lost", "b"]))
    assert outcomes == {"a": "a", "b": "b", "lost": None}


def test_ctrl_c_reaches_no_worker_from_its_start_on(tmp_path: Path) -> None:
    """It would print where it was, if it were still importing."""
    with Processes(folder=tmp_path, workers=1) as executor:
        [(_, blocked)] = executor.outcomes(blocked_signals, [1])
    assert blocked is not None
    assert signal.SIGINT in blocked
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_what_a_job_raises_ends_the_sweep_with_its_line(executor: Executor) -> None:
    with pytest.raises(InputError, match=r"^the disk is full: free some space$"), executor:
        list(executor.outcomes(refused, [1]))


def test_jobs_of_submitit_give_the_same_trials(
    alone: Results, studies: Path, tmp_path: Path
) -> None:
    results = results_of(studies, tmp_path, trials=2)
    with SubmititJobs(folder=tmp_path, cluster="local", workers=2) as executor:
        run_rounds(results, executor, lambda: None)
    assert facts(results_of(studies, tmp_path).trials()) == facts(alone.trials(2))


def test_a_library_that_is_not_installed_or_finds_no_cluster_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"^executor: .*srun"):
        SubmititJobs(folder=tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)  # what Python then makes of an import
    with pytest.raises(InputError, match=r"^executor=ray needs ray: pip install 'devise-exp\[ray"):
        RayTasks(folder=tmp_path)
