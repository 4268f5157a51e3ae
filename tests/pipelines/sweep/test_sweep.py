"""Sweeps: the same trials with any number of workers, however they are stopped."""

from __future__ import annotations

import csv
import multiprocessing
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.sweeps import TRIALS, command, facts, in_process, results_of
from omegaconf import OmegaConf
from optuna.trial import TrialState
from typer.testing import CliRunner

from devise_exp.core.config import compose_config
from devise_exp.core.errors import InputError
from devise_exp.core.machine import processors
from devise_exp.pipelines.sweep.job import TrialJob
from devise_exp.pipelines.sweep.results import Results
from devise_exp.pipelines.sweep.study_config import study_of
from devise_exp.pipelines.sweep.sweep import run_sweep
from devise_exp.ui.cli.main import app


def options_of(studies: Path, folder: Path, workers: int) -> list[str]:
    return ["study=small", f"folder={folder}", f"workers={workers}", "--config-dir", str(studies)]


def begun(studies: Path, folder: Path) -> subprocess.Popen:
    """The command with two workers, once it has kept a trial; others are in hand."""
    process = command(*options_of(studies, folder, 2))
    while not (folder / "journal.log").is_file() or not results_of(studies, folder).by_number:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    return process


def test_one_worker_runs_every_trial(alone: Results) -> None:
    trials = alone.trials()
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert all(trial.state.is_finished() for trial in trials)
    assert any(trial.state == TrialState.COMPLETE for trial in trials)
    assert len({str(trial.params) for trial in trials}) == TRIALS
    for trial in trials:
        if trial.state == TrialState.COMPLETE:
            assert trial.values == [max(trial.intermediate_values.values())]


def test_a_killed_worker_is_replaced_and_the_trials_are_the_same(
    alone: Results, studies: Path, tmp_path: Path
) -> None:
    arguments, journal = options_of(studies, tmp_path, 2), tmp_path / "journal.log"
    before = set(multiprocessing.active_children())
    with ThreadPoolExecutor(1) as threads:
        sweeping = threads.submit(CliRunner().invoke, app, ["sweep", *arguments])
        while not journal.is_file() or not results_of(studies, tmp_path).by_number:
            assert not sweeping.done(), sweeping.result().output
            time.sleep(0.05)
        worker = next(iter(set(multiprocessing.active_children()) - before))
        os.kill(worker.pid, signal.SIGKILL)
        result = sweeping.result(timeout=240)
    assert result.exit_code == 0, result.output
    assert "a worker was lost (out of memory?): " in result.output
    assert facts(results_of(studies, tmp_path).trials()) == facts(alone.trials())
    assert "study small: " in result.output
    rows = list(csv.reader((tmp_path / "trials.csv").open()))
    assert len(rows) == TRIALS + 1
    assert (tmp_path / "history.png").is_file()
    assert (tmp_path / "summary.md").read_text().startswith("# Study small")


def test_sigterm_stops_with_a_line_and_the_study_goes_on(
    alone: Results, studies: Path, tmp_path: Path
) -> None:
    process = begun(studies, tmp_path)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    line = printed.strip().splitlines()[-1]
    assert line == "terminated: the sweep is not finished; the same command goes on"
    assert facts(in_process(studies, tmp_path).trials()) == facts(alone.trials())


def test_a_second_command_is_refused_until_the_first_is_killed_and_then_goes_on(
    alone: Results, studies: Path, tmp_path: Path
) -> None:
    process = begun(studies, tmp_path)
    process.send_signal(signal.SIGSTOP)  # so that it cannot end meanwhile
    again = ["sweep", *options_of(studies, tmp_path, 3)]
    second = CliRunner().invoke(app, again)
    assert second.exit_code == 2
    assert second.output.startswith(f"error: storage={tmp_path}/journal.log: another command works")
    assert second.output.count("\n") == 1
    process.kill()
    process.communicate(timeout=60)  # the pipe ends with the last worker, which ends by itself
    kept = facts(results_of(studies, tmp_path).trials())
    assert 0 < len(kept) < TRIALS
    result = CliRunner().invoke(app, again)
    assert result.exit_code == 0, result.output
    trials = facts(results_of(studies, tmp_path).trials())
    assert trials == facts(alone.trials())
    assert all(fact in trials for fact in kept)


def test_no_fewer_trials_than_are_done(alone: Results, studies: Path, tmp_path: Path) -> None:
    storage = f"storage={alone.location}"
    overrides = ["study=small", storage, f"folder={tmp_path}", "--config-dir", str(studies)]
    done = CliRunner().invoke(app, ["sweep", *overrides, "study.trials=1"])
    assert done.exit_code == 2
    assert "study.trials=1: " in done.output
    assert "done already: give as many or more" in done.output


def test_more_trials_join_a_finished_study(alone: Results, studies: Path, tmp_path: Path) -> None:
    in_process(studies, tmp_path, trials=4)
    assert facts(in_process(studies, tmp_path).trials()) == facts(alone.trials())


def test_processors_are_counted_where_the_system_has_no_affinity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert 1 <= processors() <= (os.cpu_count() or 1)
    monkeypatch.delattr(os, "sched_getaffinity")
    assert processors() == (os.cpu_count() or 1)


def test_a_password_is_in_no_file(studies: Path, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/secret.db"
    given = ["study=small", "study.trials=1", f"folder={tmp_path / 'f'}", f"storage={storage}"]
    study = study_of(compose_config(given, "sweep", studies).study)
    job = TrialJob(study=study, number=0, values=study.plan([], 0)[0], known=())
    Results.open(study, storage).add(job.finished([0.5]))  # so that no worker has to start
    run_sweep(given, studies)
    text = (tmp_path / "f" / "study.yaml").read_text()
    assert "secret" not in text
    assert "sqlite://..." in text


def test_a_study_whose_first_trials_all_fail_ends_with_their_error(
    studies: Path, tmp_path: Path
) -> None:
    wrong = ["data.root=no such pictures"]
    with pytest.raises(InputError, match=r"every trial of the first round failed.*no such pict"):
        in_process(studies, tmp_path, overrides=["data=image_folder", *wrong])
    assert len(results_of(studies, tmp_path, overrides=["data=image_folder", *wrong]).trials()) == 3


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


def changed_study(studies: Path, folder: Path, *overrides: str, trials: int = TRIALS) -> Path:
    """A folder of studies with one, `other`, that has further overrides than `small`."""
    config = OmegaConf.load(studies / "study/small.yaml")
    config.overrides = [*config.overrides, *overrides]
    config.trials = trials
    (folder / "study").mkdir(parents=True)
    OmegaConf.save(config, folder / "study/other.yaml")
    return folder


def test_data_of_too_few_classes_end_a_sweep_before_anything_is_written(
    studies: Path, tmp_path: Path
) -> None:
    changed = changed_study(studies, tmp_path / "studies", "split.n_unseen=1")
    with pytest.raises(InputError, match=r"11 seen and 1 unseen classes, too few"):
        run_sweep(["study=other", f"folder={tmp_path / 'few'}"], changed)
    assert not (tmp_path / "few").exists()


def test_trials_draw_unseen_classes_that_pass_the_audit(studies: Path, tmp_path: Path) -> None:
    changed = changed_study(
        studies, tmp_path / "studies", "split=clean", "split.n_unseen=2", trials=3
    )
    folder = run_sweep(["study=other", f"folder={tmp_path / 'clean'}", "workers=1"], changed)
    with (folder / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["complete"] * 3, rows
