"""A worker of a sweep, python -m devise_exp.pipelines.sweep.worker FOLDER: trials until there
are none. The
folder only tells people which sweep it is of.
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
from devise_exp.pipelines.sweep.storage import StorageError
from devise_exp.pipelines.sweep.study import study_of
from devise_exp.pipelines.sweep.trial import DataCache, run_trial
from devise_exp.pipelines.sweep.trial_queue import (
    HEARTBEAT_SECONDS,
    ClaimedTrial,
    TrialQueue,
    worker_id,
)

STORAGE = "DEVISE_STORAGE"  # names it to workers: as an argument or in a file all could read it
STUDY = "DEVISE_STUDY"  # its config, as YAML: a file in the folder another sweep could replace


def work() -> None:
    """Run trials of the study in the environment until all are done.

    One thread a worker, so that a trial gives the same numbers beside any number of others.
    """
    torch.set_num_threads(1)
    study = study_of(DictConfig(OmegaConf.create(os.environ[STUDY])))
    queue, shared = TrialQueue.open(study, os.environ[STORAGE]), DataCache()
    try:
        while (claimed := queue.claim()) is not None:
            run_with_heartbeat(queue, claimed, shared)
    except BaseException:
        with suppress(Exception):  # the storage may be what has failed
            queue.release()
        raise


def run_with_heartbeat(queue: TrialQueue, claimed: ClaimedTrial, shared: DataCache) -> None:
    """Run a trial, and tell other machines from time to time that this worker is alive."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            with suppress(Exception):  # the next one may get through
                queue.mark(claimed.id, "beat", time.time())

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        run(queue, claimed, shared)
    finally:
        done.set()
        thread.join()


def run(queue: TrialQueue, claimed: ClaimedTrial, shared: DataCache) -> None:
    """A trial to its values, its pruning or its error, which other trials do not mind."""
    study, started = queue.study, time.perf_counter()
    notes: dict[str, Any] = {"worker": worker_id()}
    values = None
    watched = study.pruning_trial(claimed.known, claimed.values) if study.pruner else None

    def report(step: int, figure: float) -> None:
        queue.report(claimed, step, figure)
        if watched is not None:
            watched.report(figure, step)
            if watched.should_prune():
                raise TrialPruned

    try:
        config = compose_config(study.overrides_of(claimed.values))
        figures = run_trial(study.objectives, config, shared.of(config), report)
        values = [figures[name] for name in study.objectives]
        notes["figures"] = figures
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


def _end_with(parent: int) -> None:
    """Stop, and give the trial back, when the sweep that has started this worker is no more."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    command(work)()
