"""A sweep: a study's trials run by several workers, watched, and reported when all are done."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from omegaconf import DictConfig, OmegaConf
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from devise_exp.core.command import TERMINATED
from devise_exp.core.config import compose_config
from devise_exp.core.console import notify, progress
from devise_exp.core.errors import InputError
from devise_exp.core.files import write_text
from devise_exp.core.machine import processors
from devise_exp.pipelines.option_errors import check_option
from devise_exp.pipelines.option_kinds import FromOne, PathOrNumber
from devise_exp.pipelines.outputs import check_folder
from devise_exp.pipelines.settings import read_settings
from devise_exp.pipelines.sweep import report
from devise_exp.pipelines.sweep.storage import STORAGE, STUDY, masked
from devise_exp.pipelines.sweep.study import Study
from devise_exp.pipelines.sweep.study_config import study_of
from devise_exp.pipelines.sweep.trial_queue import TrialQueue

LOG = "workers.log"
_STUDY, _JOURNAL = "study.yaml", "journal.log"
_DEATHS = 10  # as many workers may die before a sweep gives up
_GRACE = 20.0  # seconds for workers to release their trials


def run_sweep(overrides: Sequence[str], studies: Path | None = None) -> Path:
    """Run a study to its end, from where it was stopped, and write its report.

    Args:
        overrides: Of conf/sweep.yaml.
        studies: A folder with further studies, study/NAME.yaml.

    Returns:
        The folder of the study.

    Raises:
        InputError: If the study is wrong, or every trial of its first round failed.
    """
    config = compose_config(overrides, "sweep", studies)
    study = study_of(config.study)
    check_option("workers", config.workers, FromOne | None)
    check_option("folder", config.folder, PathOrNumber)
    check_space(study)
    check_folder(Path(str(config.folder)).expanduser(), "folder", (_STUDY, _JOURNAL))
    folder, storage = _locations(config)
    queue = TrialQueue.open(study, storage)
    folder.mkdir(parents=True, exist_ok=True)
    config.storage = masked(storage)
    write_text(folder / _STUDY, OmegaConf.to_yaml(config, resolve=True))
    before = queue.finished()
    if before > study.trials:
        raise InputError(
            f"study.trials={study.trials}: {before} are done already: give as many or more"
        )
    notify(f"study {study.name}: {before} of {study.trials} trials are done; {folder}")
    started = time.perf_counter()
    n = min(config.workers or processors(), study.round)
    _work(queue, n, folder, {STORAGE: storage, STUDY: OmegaConf.to_yaml(config.study)})
    seconds = time.perf_counter() - started
    report.write(study, queue.trials(), folder)
    report.show(study, queue.trials(), study.trials - before, seconds)
    notify(f"written to {folder}: summary.md, trials.csv, figures")
    best = f"--config-dir {shlex.quote(str(folder))} experiment={study.name}"
    notify(f"the best as a run: devise-exp train {best}")
    return folder


def _locations(config: DictConfig) -> tuple[Path, str]:
    """The folder of a study, made unless another storage is named, and the storage."""
    folder = Path(str(config.folder)).expanduser().absolute()
    if config.storage is None:
        folder.mkdir(parents=True, exist_ok=True)
        return folder, str(folder / _JOURNAL)
    storage = str(config.storage)
    if "://" not in storage:
        storage = str(Path(storage).expanduser().absolute())
    return folder, storage


def check_space(study: Study) -> None:
    """Raise an InputError for a key or a value that train.py would not take.

    Args:
        study: Its space is composed into configs.
    """
    values = {
        key: item.choices if isinstance(item, CategoricalDistribution) else (item.low, item.high)  # type: ignore[attr-defined]
        for key, item in study.space.items()
    }
    first = {key: choices[0] for key, choices in values.items()}
    read_settings(compose_config(study.overrides_of(first)))
    for key, choices in values.items():
        for value in choices[1:]:
            read_settings(compose_config(study.overrides_of({**first, key: value})))


def _work(queue: TrialQueue, n: int, folder: Path, environment: dict[str, str]) -> None:
    """Keep `n` workers at work until every trial is done; a new worker replaces a dead one."""
    workers: list[subprocess.Popen] = []
    deaths = 0
    try:
        with (folder / LOG).open("ab") as log, _progress() as bar:
            task = bar.add_task(queue.study.name, total=queue.study.trials, best="")
            while True:
                trials = queue.trials()
                done = [trial for trial in trials if trial.state.is_finished()]
                bar.update(task, completed=len(done), best=_best(queue.study, done))
                _check_first_round(queue.study, done)
                if len(done) == queue.study.trials:
                    return
                for worker in [worker for worker in workers if worker.poll() is not None]:
                    workers.remove(worker)
                    deaths += worker.returncode != 0
                    wrong = worker.returncode > 0 and worker.returncode != TERMINATED
                    if wrong or deaths > _DEATHS:
                        raise InputError(f"a worker ended: {_last_line(folder / LOG)}")
                left = queue.study.trials - len(done)
                while len(workers) < min(n, left):
                    workers.append(_start(folder, log, environment))
                time.sleep(0.5)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("the sweep is not finished; the same command goes on") from error
    finally:
        for worker in workers:
            worker.terminate()
        until = time.monotonic() + _GRACE
        for worker in workers:
            with suppress(subprocess.TimeoutExpired):
                worker.wait(max(0.0, until - time.monotonic()))
            worker.kill()


def _start(folder: Path, log: IO[bytes], environment: dict[str, str]) -> subprocess.Popen:
    """Start a worker of one thread."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return subprocess.Popen(
        [sys.executable, "-m", "devise_exp.pipelines.sweep.worker", str(folder)],
        env={**os.environ, **one, **environment},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,  # Ctrl-C reaches this process alone
    )


def _check_first_round(study: Study, done: Sequence[FrozenTrial]) -> None:
    """Raise an InputError if every trial of the first round failed."""
    first = [trial for trial in done if trial.number < study.round]
    whole = len(first) == min(study.round, study.trials)
    if whole and all(trial.state == TrialState.FAIL for trial in first):
        why = first[0].user_attrs.get("error", "unknown")
        raise InputError(
            f"every trial of the first round failed; the first one: {why}: mend that and delete "
            "the study's folder, or give study.name=ANOTHER"
        )


def _best(study: Study, done: Sequence[FrozenTrial]) -> str:
    """The best value of the first objective so far."""
    values = [trial.values[0] for trial in done if trial.state == TrialState.COMPLETE]
    name, direction = next(iter(study.objectives.items()))
    if not values:
        return ""
    return f"best {name} {max(values) if direction == 'maximize' else min(values):.4g}"


def _progress() -> Progress:
    return progress(
        "best",
        columns=["{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()],
    )


def _last_line(log: Path) -> str:
    """What the last worker that failed has written."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().split("\n")
    return lines[-1].removeprefix("error: ") or f"see {log}"
