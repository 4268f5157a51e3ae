"""The queue: claims, dead workers, and studies of one name."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
from helpers.sweeps import spec
from optuna.trial import TrialState

from devise_exp.core.errors import InputError
from devise_exp.pipelines.sweep import trial_queue
from devise_exp.pipelines.sweep.storage import (
    open_storage,
)
from devise_exp.pipelines.sweep.study_config import study_of
from devise_exp.pipelines.sweep.trial_queue import MAX_ATTEMPTS, TrialQueue
from devise_exp.pipelines.sweep.worker_id import worker_id


def test_no_trial_is_claimed_twice_and_rounds_wait_for_each_other(storage: str) -> None:
    study = study_of(spec(trials=12, round=4))
    TrialQueue.open(study, storage)
    claimed: list[int] = []

    def work(pause: float) -> None:
        this = TrialQueue.open(study, storage)
        while (trial := this.claim()) is not None:
            assert {t.number for t in trial.known} == set(range(trial.number // 4 * 4))
            claimed.append(trial.number)
            time.sleep(pause)
            this.finish(trial, [float(trial.values["seed"])], {})

    threads = [threading.Thread(target=work, args=(pause,)) for pause in (0.0, 0.01, 0.03)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == list(range(12))
    trials = TrialQueue.open(study, storage).trials()
    for start in range(0, 12, 4):
        plan = study.plan(trials[:start], start // 4)
        assert [t.params for t in trials[start : start + 4]] == plan


def test_a_dead_worker_s_trial_is_free_again_but_not_for_ever(storage: str) -> None:
    study = study_of(spec(trials=1))
    queue = TrialQueue.open(study, storage)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    machine = worker_id().rpartition(":")[0]
    for tries in range(1, MAX_ATTEMPTS + 1):
        claimed = queue.claim()
        assert claimed is not None
        assert queue.trials()[0].user_attrs["tries"] == tries
        queue.mark(claimed.id, "worker", f"{machine}:{gone.pid}")
    assert queue.claim() is None
    (trial,) = queue.trials()
    assert trial.state == TrialState.FAIL
    assert "died 3 times" in trial.user_attrs["error"]


def test_another_machine_s_worker_is_dead_once_it_is_silent(
    storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = TrialQueue.open(study_of(spec(trials=1)), storage)
    claimed = queue.claim()
    assert claimed is not None
    queue.mark(claimed.id, "worker", "elsewhere:1")
    monkeypatch.setattr(trial_queue, "STALE_AFTER_SECONDS", 0.3)
    start = time.monotonic()
    assert queue.claim() is not None
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


def test_a_study_that_was_made_but_not_yet_named_is_opened(storage: str) -> None:
    study = study_of(spec())
    open_storage(storage).create_new_study(study.directions, study.name)
    assert TrialQueue.open(study, storage).trials() == []


def test_two_studies_of_one_name_and_different_spaces(storage: str) -> None:
    TrialQueue.open(study_of(spec()), storage)
    TrialQueue.open(study_of(spec(trials=99)), storage)  # more trials may join
    with pytest.raises(InputError, match=r"another study named small.*give study\.name"):
        TrialQueue.open(study_of(spec(space={"seed": {"low": 0, "high": 98}})), storage)
