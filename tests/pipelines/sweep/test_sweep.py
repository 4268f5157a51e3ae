"""Sweeps: the same trials with any number of workers, whatever befalls them; and their report."""

from __future__ import annotations

import csv
import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from helpers.images import draw
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import InstantiationException
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from optuna.trial import TrialState
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from devise_exp.core.config import compose_config
from devise_exp.core.errors import InputError, Terminated, user_message
from devise_exp.pipelines.sweep import report, sweep, trial_queue
from devise_exp.pipelines.sweep import worker as worker_module
from devise_exp.pipelines.sweep.storage import (
    StorageError,
    first_cause,
    open_storage,
    storage_errors,
)
from devise_exp.pipelines.sweep.study import study_of
from devise_exp.pipelines.sweep.sweep import _check_first_round, run_sweep
from devise_exp.pipelines.sweep.trial_queue import MAX_ATTEMPTS, TrialQueue, worker_id
from devise_exp.pipelines.sweep.worker import STORAGE, STUDY
from devise_exp.ui.cli.main import app

TPE = {
    "_target_": "optuna.samplers.TPESampler", "_partial_": True, "n_startup_trials": 3,
}  # fmt: skip
MEDIAN = {"_target_": "optuna.pruners.MedianPruner", "n_startup_trials": 1}
TRIALS = 8


def spec(**parts: Any) -> DictConfig:
    plain = {
        "name": "small", "overrides": [], "space": {"seed": {"low": 0, "high": 99}},
        "objectives": {"val/hit@1": "maximize"}, "trials": TRIALS, "round": 3, "seed": 0,
        "sampler": TPE, "pruner": None,
    }  # fmt: skip
    return OmegaConf.create({**plain, **parts})


@pytest.fixture(scope="module")
def studies(image_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of studies over quick trainings on enough small classes for class folds."""
    pictures = shutil.copytree(image_tree, tmp_path_factory.mktemp("sweeps") / "pictures")
    for c, name in enumerate(("giraffe", "octopus", "sunflower", "pyramid")):
        for i in range(6):
            draw(pictures / name / f"{i}.png", (40 * c, 250 - 40 * c, 90), seed=1000 + 10 * c + i)
    overrides = [
        "data=image_folder", f"data.root={pictures}", "backbone=resnet18",
        "backbone.weights=null", "features.num_workers=0", "features.dtype=float32",
        "trainer.max_epochs=3", "class_folds=1", "training.batch_size=16",
    ]  # fmt: skip
    space = {
        "loss": ["softmax", "cosine"],
        "optimizer.lr": {"low": 1e-3, "high": 1.0, "log": True},
        "projection.hidden": {"low": 4, "high": 32},
    }
    folder = tmp_path_factory.mktemp("studies")
    (folder / "study").mkdir()
    made = spec(overrides=overrides, space=space, pruner=MEDIAN)
    OmegaConf.save(made, folder / "study" / "small.yaml")
    made.objectives = {"rehearsal/AUSUC": "maximize", "cost/weights": "minimize"}
    made.merge_with({"name": "two", "pruner": None, "trials": 5})
    OmegaConf.save(made, folder / "study" / "two.yaml")
    made.objectives = {"unseen/hit@1": "maximize"}
    OmegaConf.save(made, folder / "study" / "unseen.yaml")
    return folder


def in_process(
    studies: Path, folder: Path, name: str = "small", storage: str | None = None, **options: Any
) -> TrialQueue:
    """Run a study in this process, without the command; its queue when all are done."""
    kept = f"storage={storage or folder / 'journal.log'}"
    config = compose_config([f"study={name}", f"folder={folder}", kept], "sweep", studies)
    folder.mkdir(exist_ok=True)
    config.study.merge_with(options)
    os.environ[STUDY] = OmegaConf.to_yaml(config.study, resolve=True)
    os.environ[STORAGE] = config.storage
    worker_module.work()
    return TrialQueue.open(study_of(config.study), config.storage)


def facts(trials: list[optuna.trial.FrozenTrial]) -> list[tuple]:
    """All of a study's trials that must not hang on workers, machines or time."""
    return [
        (t.number, t.state, t.params, t.values, t.intermediate_values, t.user_attrs.get("error"))
        for t in trials
    ]


@pytest.fixture(scope="module")
def alone(studies: Path, tmp_path_factory: pytest.TempPathFactory) -> TrialQueue:
    return in_process(studies, tmp_path_factory.mktemp("alone"))


def command(*arguments: str) -> subprocess.Popen:
    code = "from devise_exp.ui.cli.main import app; app()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "sweep", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


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


def test_two_workers_one_of_them_killed_end_with_the_same_trials(
    alone: TrialQueue, studies: Path, tmp_path: Path
) -> None:
    arguments = ["study=small", f"folder={tmp_path}", "workers=2", "--config-dir", str(studies)]
    other = TrialQueue.open(alone.study, str(tmp_path / "journal.log"))
    killed: list[str] = []
    with ThreadPoolExecutor(1) as threads:
        sweeping = threads.submit(CliRunner().invoke, app, ["sweep", *arguments])
        while not sweeping.done() and not killed:
            for trial in other.trials():
                worker = trial.user_attrs.get("worker", "")
                if trial.state == TrialState.RUNNING and worker:
                    os.kill(int(worker.rpartition(":")[2]), signal.SIGKILL)
                    killed.append(worker)
                    break
            time.sleep(0.05)
        result = sweeping.result(timeout=240)
    assert result.exit_code == 0, result.output
    assert killed
    assert facts(other.trials()) == facts(alone.trials())
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


@pytest.mark.parametrize("whom", ["the sweep", "a worker"])
def test_sigterm_loses_nothing(whom: str, alone: TrialQueue, studies: Path, tmp_path: Path) -> None:
    """The trial at hand goes back as one that nobody has tried; a worker is replaced."""
    told = ["study=small", f"folder={tmp_path}", "workers=2", "--config-dir", str(studies)]
    process = command(*told)
    other = TrialQueue.open(alone.study, str(tmp_path / "journal.log"))
    stopped: list[int] = []
    while not stopped:
        assert process.poll() is None, process.communicate()
        for trial in other.trials():
            if trial.state == TrialState.RUNNING and trial.user_attrs.get("worker"):
                worker = int(trial.user_attrs["worker"].rpartition(":")[2])
                stopped.append(process.pid if whom == "the sweep" else worker)
                break
        time.sleep(0.01)
    os.kill(stopped[0], signal.SIGTERM)
    printed, _ = process.communicate(timeout=120)
    if whom == "the sweep":
        assert process.returncode == 128 + signal.SIGTERM
        line = printed.strip().splitlines()[-1]
        assert line == "terminated: the sweep is not finished; the same command goes on"
        assert not [t for t in other.trials() if t.state == TrialState.RUNNING]
        process = command(*told)
        printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0, printed
    assert facts(other.trials()) == facts(alone.trials())
    assert {trial.user_attrs["tries"] for trial in other.trials()} == {1}


def test_a_stop_that_an_error_hides_is_no_failed_trial(
    alone: TrialQueue, studies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What clears up after a stop may fail for want of what the stop has left undone."""

    def stopped(*arguments: Any) -> dict[str, float]:
        try:
            raise Terminated
        finally:
            raise AttributeError("half made")

    with monkeypatch.context() as patch:
        patch.setattr(worker_module, "run_trial", stopped)
        with pytest.raises(Terminated):
            in_process(studies, tmp_path)
    (trial,) = TrialQueue.open(alone.study, str(tmp_path / "journal.log")).trials()
    assert trial.state == TrialState.WAITING
    assert facts(in_process(studies, tmp_path).trials()) == facts(alone.trials())


def test_no_fewer_trials_than_are_done(alone: TrialQueue, studies: Path, tmp_path: Path) -> None:
    storage = f"storage={alone.place}"
    told = ["study=small", storage, f"folder={tmp_path}", "--config-dir", str(studies)]
    done = CliRunner().invoke(app, ["sweep", *told, "study.trials=1"])
    assert done.exit_code == 2
    assert "study.trials=1: " in done.output
    assert "done already: give as many or more" in done.output


def test_a_stop_in_the_middle_of_a_write_is_a_stop() -> None:
    """As Optuna's lock tells it: it was about to remove a file that it had removed."""

    def write() -> None:
        with storage_errors("journal.log"):
            try:
                raise Terminated
            except BaseException:
                Path("no/such/lock").unlink()
                raise

    with pytest.raises(Terminated):
        write()


@pytest.mark.parametrize("full", ["journal", "sqlite", "the trial's disk"])
def test_a_disk_that_is_full_in_the_middle_of_a_trial(
    full: str, alone: TrialQueue, studies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, no trial fails of it, and the same study goes on to the same trials."""
    real, runs, limits = worker_module.run_trial, [], resource.getrlimit(resource.RLIMIT_FSIZE)
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
        patch.setattr(worker_module, "run_trial", short)
        try:
            with pytest.raises((InputError, InstantiationException)) as raised:
                in_process(studies, tmp_path, storage=storage)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    line = user_message(raised.value)
    assert line is not None
    if full != "the trial's disk":
        assert line.startswith("storage=")
        assert "no longer answers (" in line
        assert line.endswith("and the same command goes on")
    first = TrialQueue.open(alone.study, storage).trials()
    assert not [trial for trial in first if trial.state == TrialState.FAIL]
    left_by_this_process(TrialQueue.open(alone.study, storage))
    assert facts(in_process(studies, tmp_path, storage=storage).trials()) == facts(alone.trials())


def left_by_this_process(place: TrialQueue) -> None:
    """What a worker that could give nothing back has left, once it has ended."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for trial in place.trials():
        if trial.state == TrialState.RUNNING:
            place.mark(trial._trial_id, "worker", f"{worker_id().rpartition(':')[0]}:{gone.pid}")


def test_more_trials_join_a_finished_study(
    alone: TrialQueue, studies: Path, tmp_path: Path
) -> None:
    in_process(studies, tmp_path, trials=4)
    assert facts(in_process(studies, tmp_path).trials()) == facts(alone.trials())


def test_a_trial_that_fails_is_a_row_and_the_others_go_on(studies: Path, tmp_path: Path) -> None:
    rates = {"optimizer.lr": [1e30, 0.01], "loss": ["mse"], "optimizer": ["sgd"]}
    made = OmegaConf.load(studies / "study" / "small.yaml")
    made.merge_with({"name": "failing", "trials": 6, "pruner": None})
    made.space = rates
    OmegaConf.save(made, studies / "study" / "failing.yaml")
    found = in_process(studies, tmp_path, "failing")
    states = {trial.params["optimizer.lr"]: trial.state for trial in found.trials()}
    assert states == {1e30: TrialState.FAIL, 0.01: TrialState.COMPLETE}
    report.write(found.study, found.trials(), tmp_path)
    rows = list(csv.DictReader((tmp_path / "trials.csv").open()))
    errors = {row["optimizer.lr"]: row["error"] for row in rows}
    assert "lower optimizer.lr" in errors["1e+30"]
    assert errors["0.01"] == ""
    assert "lower optimizer.lr" in (tmp_path / "summary.md").read_text()


def test_the_best_trial_is_an_experiment_that_trains_to_its_value(
    alone: TrialQueue, tmp_path: Path
) -> None:
    report.write(alone.study, alone.trials(), tmp_path)
    best = max(
        (t for t in alone.trials() if t.state == TrialState.COMPLETE), key=lambda t: t.values[0]
    )
    config = compose_config(["experiment=small"], more=tmp_path)
    again = compose_config(alone.study.overrides_of(best.params))
    assert config == again


def test_two_objectives_have_a_front(studies: Path, tmp_path: Path) -> None:
    found = in_process(studies, tmp_path, "two")
    done = [trial for trial in found.trials() if trial.state == TrialState.COMPLETE]
    assert len(done) == 5, [trial.user_attrs for trial in found.trials()]
    best = {trial.number for trial in report.ranked(found.study, done)}
    for trial in done:
        beaten = any(
            other.values[0] >= trial.values[0]
            and other.values[1] <= trial.values[1]
            and other.values != trial.values
            for other in done
        )
        assert (trial.number in best) == (not beaten)
    hidden = {trial.params["projection.hidden"]: trial.values[1] for trial in done}
    assert all(weights == 512 * h + h + 50 * h + 50 for h, weights in hidden.items())
    assert report.figures(found.study, done).keys() == {"history", "slices", "front"}


@pytest.fixture(params=["journal", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{tmp_path}/log" if request.param == "journal" else f"sqlite:///{tmp_path}/studies.db"


def test_no_trial_is_claimed_twice_and_rounds_wait_for_each_other(storage: str) -> None:
    study = study_of(spec(trials=20, round=4))
    TrialQueue.open(study, storage)
    claimed: list[int] = []

    def work(pause: float) -> None:
        own = TrialQueue.open(study, storage)
        while (trial := own.claim()) is not None:
            assert {t.number for t in trial.known} == set(range(trial.number // 4 * 4))
            claimed.append(trial.number)
            time.sleep(pause)
            own.finish(trial, [float(trial.values["seed"])], {})

    threads = [threading.Thread(target=work, args=(pause,)) for pause in (0.0, 0.01, 0.03)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == list(range(20))
    trials = TrialQueue.open(study, storage).trials()
    for start in range(0, 20, 4):
        plan = study.plan(trials[:start], start // 4)
        assert [t.params for t in trials[start : start + 4]] == plan


def test_a_dead_worker_s_trial_is_free_again_but_not_for_ever(storage: str) -> None:
    study = study_of(spec(trials=1))
    place = TrialQueue.open(study, storage)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    machine = worker_id().rpartition(":")[0]
    for tries in range(1, MAX_ATTEMPTS + 1):
        claimed = place.claim()
        assert claimed is not None
        assert place.trials()[0].user_attrs["tries"] == tries
        place.mark(claimed.id, "worker", f"{machine}:{gone.pid}")
    assert place.claim() is None
    (trial,) = place.trials()
    assert trial.state == TrialState.FAIL
    assert "died 3 times" in trial.user_attrs["error"]


def test_another_machine_s_worker_is_dead_once_it_is_silent(
    storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = TrialQueue.open(study_of(spec(trials=1)), storage)
    claimed = place.claim()
    assert claimed is not None
    place.mark(claimed.id, "worker", "elsewhere:1")
    monkeypatch.setattr(trial_queue, "STALE_AFTER_SECONDS", 0.3)
    start = time.monotonic()
    assert place.claim() is not None
    assert time.monotonic() - start >= 0.3


def test_a_worker_that_woke_late_leaves_a_finished_trial_alone(storage: str) -> None:
    study = study_of(spec(trials=1))
    late, other = TrialQueue.open(study, storage), TrialQueue.open(study, storage)
    claimed = late.claim()
    assert claimed is not None
    other.finish(claimed, [0.5], {})
    late.report(claimed, 0, 0.25)
    late.finish(claimed, [0.75], {"seconds": 1.0})
    (trial,) = other.trials()
    assert (trial.values, trial.intermediate_values, "seconds" in trial.user_attrs) == (
        [0.5], {}, False,
    )  # fmt: skip


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31), values=st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_a_plan_hangs_on_the_study_and_what_is_known_alone(seed: int, values: list[float]) -> None:
    study = study_of(spec(seed=seed, space={"seed": {"low": 0, "high": 9}, "loss": ["a", "b"]}))
    known = [
        optuna.create_trial(params=params, distributions=dict(study.space), value=value)
        for params, value in zip(study.plan([], 0) + study.plan([], 1), values, strict=True)
    ]
    assert study.plan(known, 2) == study.plan(known, 2)
    assert all(0 <= each["seed"] <= 9 and each["loss"] in "ab" for each in study.plan(known, 2))


WRONG = {
    "no such study": (["study=nope"], "study=nope: no such option"),
    "unknown key": (["study=small", "study.space.optimizer={lr:1}"], "study.space"),
    "no space": (["study=small", "study.space=null"], "study.space=None: give key: values"),
    "no such key": (["study=small", "+study.trails=5"], "study.trails: no such key"),
    "a key too few": (["study=small", "~study.seed"], "study.seed is needed"),
    "a name outside": (["study=small", "study.name=../escape"], "study.name=../escape: give"),
    "said twice": (["study=small", "study.overrides=['loss=mse']"], "loss is in the space too"),
    "resumes": (["study=small", "study.overrides=['resume=x']"], "study.overrides: resume=x"),
    "no workers": (["study=small", "workers=0"], "workers=0"),
    "no trials": (["study=small", "study.trials=0"], "study.trials=0"),
    "unseen": (["study=unseen"], "unseen/hit@1"),
    "misspelt": (["study=small", "+study.space.projectoin=[1]"], "projectoin"),
    "no database": (["study=small", "storage=postgresql://a:secret@127.0.0.1:1/x"], "storage="),
    "slash in a password": (
        ["study=small", "storage=postgresql://a:secret/x@127.0.0.1:1/x"],
        "storage=",
    ),
    "a bare @": (
        ["study=small", "storage=postgresql://a:secret@secret@127.0.0.1:1/x"],
        "as %40",
    ),
    "no quotes": (["study=small", "storage=postgresql://a:secret#x@127.0.0.1:1/x"], "quotes"),
    "another sampler": (
        [
            "study=small",
            "study.sampler._target_=optuna.samplers.QMCSampler",
            "~study.sampler.n_startup_trials",
        ],
        "takes TPESampler",
    ),
    "deletes": (["study=small", "study.overrides=[~scheduler]"], "study.overrides"),
    "no folder": (["study=small", "storage=/nowhere/at/all"], "storage=/nowhere"),
    "range": (["study=small", "study.space.loss={low:2,high:1}"], "study.space.loss"),
    "sampler": (["study=small", "study.sampler._target_=optuna.samplers.X"], "study.sampler"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_one_line(
    name: str, studies: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments, said = WRONG[name]
    given = ["sweep", "--config-dir", str(studies), f"folder={tmp_path / 'new'}", *arguments]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 2, result.output
    assert len(result.output.strip().split("\n")) == 1, result.output
    assert result.output.startswith("error: ")
    assert said in result.output
    assert "secret" not in result.output


def test_a_trial_that_was_given_back_is_no_dead_worker_s(storage: str) -> None:
    """Between its second claim and the worker's name nobody else may take it."""
    study = study_of(spec(trials=1))
    first, second = TrialQueue.open(study, storage), TrialQueue.open(study, storage)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    claimed = first.claim()
    assert claimed is not None
    first.mark(claimed.id, "worker", f"{worker_id().rpartition(':')[0]}:{gone.pid}")
    first._requeue_stale(first.trials())
    assert [trial.state for trial in first.trials()] == [TrialState.WAITING]
    assert first._take(first.trials(), 1) is not None
    second._requeue_stale(second.trials())
    assert [trial.state for trial in second.trials()] == [TrialState.RUNNING]


def test_a_line_that_a_full_disk_has_cut_short_is_dropped(tmp_path: Path) -> None:
    study, file = study_of(spec(trials=2)), tmp_path / "log"
    claimed = TrialQueue.open(study, str(file)).claim()
    assert claimed is not None
    file.write_bytes(file.read_bytes() + b'{"op_code": 4, "wor')
    again = TrialQueue.open(study, str(file))
    assert [trial.number for trial in again.trials()] == [0]
    again.finish(claimed, [0.5], {})
    assert TrialQueue.open(study, str(file)).trials()[0].values == [0.5]


def test_a_driver_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^storage=mysql:.*the driver .*postgresql") as e:
        TrialQueue.open(study_of(spec()), "mysql://a:secret@127.0.0.1:1/x")
    assert "secret" not in str(e.value)


def test_the_reason_is_the_driver_s_own_first_word() -> None:
    later = RuntimeError("Can't reconnect until invalid transaction is rolled back")
    later.__context__ = DBAPIError("select 1", {}, OSError("terminating connection\nLINE 1"))
    assert first_cause(later) == "terminating connection"


def test_a_full_disk_leaves_no_half_line_for_other_workers(tmp_path: Path) -> None:
    """Who goes on writing while another's line was cut short adds no line to its half."""
    study, file = study_of(spec(trials=2)), tmp_path / "log"
    first, second = (TrialQueue.open(study, str(file)) for _ in range(2))
    claimed = first.claim()
    assert claimed is not None
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 20, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"no longer answers \(File too large\)"):
            first.report(claimed, 0, 0.5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    second.finish(claimed, [0.5], {})
    assert first.trials()[0].values == [0.5]
    assert TrialQueue.open(study, str(file)).trials()[0].values == [0.5]


def test_two_that_open_an_empty_database_at_once(tmp_path: Path) -> None:
    study, opened_by = study_of(spec()), []
    together = threading.Barrier(4)

    def start() -> None:
        together.wait()
        opened_by.append(TrialQueue.open(study, f"sqlite:///{tmp_path}/new.db").study_id)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened_by) == 4
    assert len(set(opened_by)) == 1


def test_processors_are_counted_where_the_system_has_no_affinity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert 1 <= sweep.processors() <= (os.cpu_count() or 1)
    monkeypatch.delattr(os, "sched_getaffinity")
    assert sweep.processors() == (os.cpu_count() or 1)


def test_a_study_that_was_made_but_not_yet_named_is_opened(storage: str) -> None:
    study = study_of(spec())
    open_storage(storage).create_new_study(study.directions, study.name)
    assert TrialQueue.open(study, storage).trials() == []


@pytest.mark.parametrize("value", [None, True, 0.1, 1e-9, 3, "a", "1", "a b,c=d", "it's"])
def test_values_come_back_from_hydra_as_they_were(value: Any) -> None:
    study = study_of(spec(space={"logger": [value]}))
    (told,) = OverridesParser.create().parse_overrides(study.overrides_of({"logger": value}))
    assert told.value() == value
    assert type(told.value()) is type(value)


def test_a_password_is_in_no_file(studies: Path, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/secret.db"
    given = ["study=small", "study.trials=1", f"folder={tmp_path / 'f'}", f"storage={storage}"]
    place = TrialQueue.open(study_of(compose_config(given, "sweep", studies).study), storage)
    claimed = place.claim()
    assert claimed is not None
    place.finish(claimed, [0.5], {})  # so that no worker has to start
    run_sweep(given, studies)
    text = (tmp_path / "f" / "study.yaml").read_text()
    assert "secret" not in text
    assert "sqlite://..." in text


def test_two_studies_of_one_name_and_different_spaces(storage: str) -> None:
    TrialQueue.open(study_of(spec()), storage)
    TrialQueue.open(study_of(spec(trials=99)), storage)  # more trials may join
    with pytest.raises(InputError, match=r"another study named small.*give study\.name"):
        TrialQueue.open(study_of(spec(space={"seed": {"low": 0, "high": 98}})), storage)


def test_a_study_whose_first_trials_all_fail_ends_with_their_error(
    studies: Path, tmp_path: Path
) -> None:
    study = study_of(spec(trials=9))
    place = TrialQueue.open(study, str(tmp_path / "log"))
    for _ in range(3):
        claimed = place.claim()
        assert claimed is not None
        place.finish(claimed, None, {"error": "no such pictures"})
    with pytest.raises(InputError, match=r"every trial of the first round failed.*no such"):
        _check_first_round(study, place.trials())


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
