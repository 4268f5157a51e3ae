"""Sweeps: the same trials with any number of workers, however they are stopped."""

from __future__ import annotations

import csv
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from helpers.sweeps import TRIALS, command, facts, in_process, spec
from optuna.trial import TrialState
from typer.testing import CliRunner

from devise_exp.core.config import compose_config
from devise_exp.core.errors import InputError
from devise_exp.pipelines.sweep import sweep
from devise_exp.pipelines.sweep import worker as worker_module
from devise_exp.pipelines.sweep.study_config import study_of
from devise_exp.pipelines.sweep.sweep import _check_first_round, run_sweep
from devise_exp.pipelines.sweep.trial_queue import TrialQueue
from devise_exp.ui.cli.main import app


def busy_workers(queue: TrialQueue) -> list[str]:
    """The workers that have a trial in hand."""
    running = [trial for trial in queue.trials() if trial.state == TrialState.RUNNING]
    return [trial.user_attrs["worker"] for trial in running if trial.user_attrs.get("worker")]


def pid_of(worker: str) -> int:
    return int(worker.rpartition(":")[2])


def test_one_worker_runs_every_trial_once(alone: TrialQueue) -> None:
    trials = alone.trials()
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert all(trial.state.is_finished() for trial in trials)
    assert any(trial.state == TrialState.COMPLETE for trial in trials)
    assert len({str(trial.params) for trial in trials}) == TRIALS
    assert all(trial.user_attrs["tries"] == 1 for trial in trials)
    for trial in trials:
        if trial.state == TrialState.COMPLETE:
            assert trial.values == [max(trial.intermediate_values.values())]


def test_a_stopped_and_a_killed_worker_are_replaced_and_the_trials_are_the_same(
    alone: TrialQueue, studies: Path, tmp_path: Path
) -> None:
    """A trial of a worker that SIGTERM stops goes back as one that nobody has tried."""
    arguments = ["study=small", f"folder={tmp_path}", "workers=2", "--config-dir", str(studies)]
    queue = TrialQueue.open(alone.study, str(tmp_path / "journal.log"))
    signals, hit = [signal.SIGTERM, signal.SIGKILL], list[str]()
    with ThreadPoolExecutor(1) as threads:
        sweeping = threads.submit(CliRunner().invoke, app, ["sweep", *arguments])
        while not sweeping.done() and len(hit) < len(signals):
            for worker in busy_workers(queue):
                if worker not in hit:
                    os.kill(pid_of(worker), signals[len(hit)])
                    hit.append(worker)
                    break
            time.sleep(0.05)
        result = sweeping.result(timeout=240)
    assert result.exit_code == 0, result.output
    assert len(hit) == len(signals)
    assert facts(queue.trials()) == facts(alone.trials())
    attempts = sorted(trial.user_attrs["tries"] for trial in queue.trials())
    assert attempts[:-1] == [1] * (TRIALS - 1)
    assert attempts[-1] in (1, 2)  # 1: it was killed between two trials
    assert "study small: " in result.output
    rows = list(csv.reader((tmp_path / "trials.csv").open()))
    assert len(rows) == TRIALS + 1
    assert (tmp_path / "history.png").is_file()
    assert (tmp_path / "summary.md").read_text().startswith("# Study small")


def test_a_stopped_study_goes_on_to_the_same_trials(
    alone: TrialQueue, studies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, runs = worker_module.run_trial, []

    def interrupted(*arguments: Any) -> dict[str, float]:
        runs.append(1)
        if len(runs) == 5:  # Ctrl-C, at a moment that is the same each time
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(worker_module, "run_trial", interrupted)
        with pytest.raises(KeyboardInterrupt):
            in_process(studies, tmp_path)
    first = TrialQueue.open(alone.study, str(tmp_path / "journal.log")).trials()
    assert [trial.state for trial in first][4:] == [TrialState.WAITING]
    assert facts(in_process(studies, tmp_path).trials()) == facts(alone.trials())


def test_sigterm_of_the_sweep_loses_nothing(
    alone: TrialQueue, studies: Path, tmp_path: Path
) -> None:
    arguments = ["study=small", f"folder={tmp_path}", "workers=2", "--config-dir", str(studies)]
    process = command(*arguments)
    queue = TrialQueue.open(alone.study, str(tmp_path / "journal.log"))
    while not busy_workers(queue):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    line = printed.strip().splitlines()[-1]
    assert line == "terminated: the sweep is not finished; the same command goes on"
    assert not [t for t in queue.trials() if t.state == TrialState.RUNNING]
    process = command(*arguments)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0, printed
    assert facts(queue.trials()) == facts(alone.trials())
    assert {trial.user_attrs["tries"] for trial in queue.trials()} == {1}


def test_no_fewer_trials_than_are_done(alone: TrialQueue, studies: Path, tmp_path: Path) -> None:
    storage = f"storage={alone.location}"
    overrides = ["study=small", storage, f"folder={tmp_path}", "--config-dir", str(studies)]
    done = CliRunner().invoke(app, ["sweep", *overrides, "study.trials=1"])
    assert done.exit_code == 2
    assert "study.trials=1: " in done.output
    assert "done already: give as many or more" in done.output


def test_more_trials_join_a_finished_study(
    alone: TrialQueue, studies: Path, tmp_path: Path
) -> None:
    in_process(studies, tmp_path, trials=4)
    assert facts(in_process(studies, tmp_path).trials()) == facts(alone.trials())


def test_processors_are_counted_where_the_system_has_no_affinity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert 1 <= sweep.processors() <= (os.cpu_count() or 1)
    monkeypatch.delattr(os, "sched_getaffinity")
    assert sweep.processors() == (os.cpu_count() or 1)


def test_a_password_is_in_no_file(studies: Path, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/secret.db"
    given = ["study=small", "study.trials=1", f"folder={tmp_path / 'f'}", f"storage={storage}"]
    queue = TrialQueue.open(study_of(compose_config(given, "sweep", studies).study), storage)
    claimed = queue.claim()
    assert claimed is not None
    queue.finish(claimed, [0.5], {})  # so that no worker has to start
    run_sweep(given, studies)
    text = (tmp_path / "f" / "study.yaml").read_text()
    assert "secret" not in text
    assert "sqlite://..." in text


def test_a_study_whose_first_trials_all_fail_ends_with_their_error(
    studies: Path, tmp_path: Path
) -> None:
    study = study_of(spec(trials=9))
    queue = TrialQueue.open(study, str(tmp_path / "log"))
    for _ in range(3):
        claimed = queue.claim()
        assert claimed is not None
        queue.finish(claimed, None, {"error": "no such pictures"})
    with pytest.raises(InputError, match=r"every trial of the first round failed.*no such"):
        _check_first_round(study, queue.trials())


def test_a_folder_may_be_a_number_and_null_is_none(
    studies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_sweep(["study=small", "folder=2026_11_27", "study.trials=1", "workers=1"], studies)
    assert (tmp_path / "2026_11_27/trials.csv").is_file()
    with pytest.raises(InputError, match=r"^folder=null: give a path"):
        run_sweep(["study=small", "folder=null"], studies)
    with pytest.raises(InputError, match=r"^study=null: choose an option of conf/study"):
        run_sweep(["study=null"], studies)


def test_wrong_input_is_told_before_anything_is_written(
    studies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").touch()
    with pytest.raises(InputError, match=r"^mine: holds thesis\.tex, which no run has written"):
        run_sweep(["study=small", "folder=mine"], studies)
    space = "study.space={optimizer.lr: {low: 0.1, high: 2000}}"
    with pytest.raises(InputError, match=r"^optimizer\.lr=2000.*: give a number from 1e-10 to 10"):
        run_sweep(["study=small", space], studies)
    with pytest.raises(InputError, match=r"^seed=4294967296: give a whole number"):
        run_sweep(["study=small", "++study.space.seed=[1,4294967296]"], studies)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
