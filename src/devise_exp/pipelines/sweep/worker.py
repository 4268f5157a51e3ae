"""A worker of a sweep: python -m devise_exp.pipelines.sweep.worker FOLDER.

It runs trials until there are none. FOLDER only tells people which sweep the process belongs to.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from contextlib import suppress
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from optuna import TrialPruned

from devise_exp.core.command import command, underlying_stop
from devise_exp.core.config import compose_config
from devise_exp.core.console import format_error
from devise_exp.core.errors import is_full_disk
from devise_exp.pipelines.sweep.storage import STORAGE, STUDY, StorageError
from devise_exp.pipelines.sweep.study import ClaimedTrial
from devise_exp.pipelines.sweep.study_config import study_of
from devise_exp.pipelines.sweep.trial import DataCache, run_trial
from devise_exp.pipelines.sweep.trial_queue import HEARTBEAT_SECONDS, TrialQueue
from devise_exp.pipelines.sweep.worker_id import worker_id


def work() -> None:
    """Run trials of the study in the environment until all are done.

    A worker has one thread, so that a trial gives the same numbers beside any number of others.
    """
    torch.set_num_threads(1)
    study = study_of(DictConfig(OmegaConf.create(os.environ[STUDY])))
    queue, cache = TrialQueue.open(study, os.environ[STORAGE]), DataCache()
    try:
        while (claimed := queue.claim()) is not None:
            run_with_heartbeat(queue, claimed, cache)
    except BaseException:
        with suppress(Exception):  # the storage may be what has failed
            queue.release()
        raise


def run_with_heartbeat(queue: TrialQueue, claimed: ClaimedTrial, cache: DataCache) -> None:
    """Run a trial, and note a heartbeat from time to time: this worker is alive.

    Args:
        queue: Where the trial was claimed.
        claimed: The trial.
        cache: The data that trials share.
    """
    done = threading.Event()

    def send_heartbeats() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            with suppress(Exception):  # the next one may get through
                queue.mark(claimed.id, "beat", time.time())

    thread = threading.Thread(target=send_heartbeats, daemon=True)
    thread.start()
    try:
        run(queue, claimed, cache)
    finally:
        done.set()
        thread.join()


def run(queue: TrialQueue, claimed: ClaimedTrial, cache: DataCache) -> None:
    """Run a trial to its values, its pruning or its error, which does not stop other trials.

    Args:
        queue: Where the trial was claimed.
        claimed: The trial.
        cache: The data that trials share.
    """
    study, started = queue.study, time.perf_counter()
    notes: dict[str, Any] = {"worker": worker_id()}
    values = None
    pruning_trial = study.pruning_trial(claimed.known, claimed.values) if study.pruner else None

    def report(step: int, value: float) -> None:
        queue.report(claimed, step, value)
        if pruning_trial is not None:
            pruning_trial.report(value, step)
            if pruning_trial.should_prune():
                raise TrialPruned

    try:
        config = compose_config(study.overrides_of(claimed.values))
        metrics = run_trial(study.objectives, config, cache.ready_for(config), report)
        values = [metrics[name] for name in study.objectives]
        notes["figures"] = metrics
        if not all(map(math.isfinite, values)):
            notes["error"], values = f"an objective is no finite number: {values}", None
    except TrialPruned:
        pass
    except (StorageError, MemoryError):  # no fault of the trial's: another worker may run it
        raise
    except Exception as error:
        if (stop := underlying_stop(error)) is not None:
            raise stop from None
        if is_full_disk(error):
            raise
        notes["error"] = format_error(error)
    notes["seconds"] = time.perf_counter() - started
    queue.finish(claimed, values, notes)


def _stop_with(parent: int) -> None:
    """Stop, and release the trial, when the sweep that started this worker has ended."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_stop_with, args=(os.getppid(),), daemon=True).start()
    command(work)()
