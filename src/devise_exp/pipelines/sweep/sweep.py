"""A sweep: one coordinator plans the trials in rounds, hands them out and keeps the results."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from devise_exp.core.config import compose_config
from devise_exp.core.console import notify, progress
from devise_exp.core.errors import InputError, as_input_error
from devise_exp.core.files import write_text
from devise_exp.pipelines.few_classes import require_classes
from devise_exp.pipelines.labelled import draw_split, draws_clean, read_labelled
from devise_exp.pipelines.option_errors import check_option
from devise_exp.pipelines.option_kinds import FromOne, PathOrNumber, Switch
from devise_exp.pipelines.outputs import check_folder
from devise_exp.pipelines.part_options import check_part
from devise_exp.pipelines.settings import read_settings
from devise_exp.pipelines.sweep import report
from devise_exp.pipelines.sweep.executors import Executor, one_thread
from devise_exp.pipelines.sweep.figures import ranked
from devise_exp.pipelines.sweep.job import TrialJob, run_job
from devise_exp.pipelines.sweep.results import Results
from devise_exp.pipelines.sweep.storage import masked, sole_use, storage_errors
from devise_exp.pipelines.sweep.study import Study
from devise_exp.pipelines.sweep.study_config import study_of
from devise_exp.pipelines.user_parts import use_user_parts
from devise_exp.runs.trusted_config import refuse_untrusted

_STUDY, _JOURNAL = "study.yaml", "journal.log"
_LOST = "its process was lost each time it ran (out of memory?)"


def run_sweep(overrides: Sequence[str], studies: Path | None = None) -> Path:
    """Run a study to its end, from where it was stopped, and write its report.

    Args:
        overrides: Of conf/sweep.yaml.
        studies: A folder with further studies, study/NAME.yaml.

    Returns:
        The folder of the study.

    Raises:
        InputError: If the study is wrong, another command works on it, or every trial of its first
            round failed.
    """
    config = compose_config(overrides, "sweep", studies)
    study = study_of(config.study)
    check_option("workers", config.workers, FromOne | None)
    check_option("folder", config.folder, PathOrNumber)
    _check_user_parts(config, check_space(study))
    check_folder(Path(str(config.folder)).expanduser(), "folder", (_STUDY, _JOURNAL))
    _check_classes(study)
    check_part("executor", config.executor)
    with as_input_error("executor"):
        executor = instantiate(config.executor)
    folder, storage = _locations(config)
    with ExitStack() as lock:
        with storage_errors(storage, opening=True):
            lock.enter_context(sole_use(storage, study.name, folder))
            results = Results.open(study, storage)
        before = len(results.by_number)
        if before > study.trials:
            raise InputError(
                f"study.trials={study.trials}: {before} are done already: give as many or more"
            )
        folder.mkdir(parents=True, exist_ok=True)
        config.storage = masked(storage)
        write_text(folder / _STUDY, OmegaConf.to_yaml(config, resolve=True))
        notify(f"study {study.name}: {before} of {study.trials} trials are done; {folder}")
        started = time.perf_counter()
        _run_all(results, executor(folder=folder))
        seconds = time.perf_counter() - started
        report.write(study, results.trials(), folder)
    report.show(study, results.trials(), study.trials - before, seconds)
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


def check_space(study: Study) -> list[DictConfig]:
    """Raise an InputError for a key or a value that train.py would not take.

    Args:
        study: Its space is composed into configs.

    Returns:
        The configs: of the first values, and with each other choice or end of a range.
    """
    first = _first_values(study)
    others = [
        {**first, key: value}
        for key, choices in _outer_values(study).items()
        for value in choices[1:]
    ]
    configs = [compose_config(study.overrides_of(values)) for values in (first, *others)]
    for config in configs:
        read_settings(config)
    return configs


def _check_user_parts(sweep: DictConfig, trials: Sequence[DictConfig]) -> None:
    """InputError for parts of a user's own that are not trusted, or cannot be called."""
    check_option("trust", sweep.trust, Switch)
    for config in trials:
        callbacks = config.get("callbacks") or {}
        if names := [key for key, node in callbacks.items() if OmegaConf.is_dict(node)]:
            raise InputError(
                f"callbacks.{names[0]}: a sweep trains without callbacks: leave them out, and give "
                "them to the best trial as a run"
            )
    if not sweep.trust:
        for config in (sweep, *trials):
            refuse_untrusted(config, f"study {sweep.study.name}", "if you trust it, add trust=true")
    for config in (sweep, *trials):
        use_user_parts(config)


def _outer_values(study: Study) -> dict[str, Sequence[Any]]:
    """Every choice of a key, or the ends of its range."""
    return {
        key: item.choices if isinstance(item, CategoricalDistribution) else (item.low, item.high)  # type: ignore[attr-defined]
        for key, item in study.space.items()
    }


def _first_values(study: Study) -> dict[str, Any]:
    return {key: choices[0] for key, choices in _outer_values(study).items()}


def _check_classes(study: Study) -> None:
    """Raise an InputError if the data of a first trial have too few classes for a table."""
    config = compose_config(study.overrides_of(_first_values(study)))
    labelled = read_labelled(config, config.labels.on_missing)
    if not draws_clean(config):  # such a split needs the backbone: trials ask for it
        require_classes(config, draw_split(config, labelled))


def run_rounds(results: Results, executor: Executor, seen: Callable[[], None]) -> None:
    """Run the trials that a study lacks, a round at a time.

    Trials of a round know the results of the rounds before it, and nothing of each other.

    Args:
        results: Of the study; they grow.
        executor: Where trials run.
        seen: Called after each of them.

    Raises:
        InputError: If every trial of the first round failed.
    """
    study = results.study
    for start in range(0, study.trials, study.round):
        numbers = range(start, min(start + study.round, study.trials))
        if missing := [number for number in numbers if number not in results.by_number]:
            known = results.trials(start)
            plan = study.plan(known, start // study.round)
            jobs = [
                TrialJob(
                    study=study,
                    number=number,
                    values=plan[number - start],
                    known=known if study.pruner else (),
                )
                for number in missing
            ]
            for job, trial in executor.outcomes(run_job, jobs):
                results.add(trial or job.finished(notes={"error": _LOST}))
                seen()
        _check_first_round(results.trials(study.round))


def _run_all(results: Results, executor: Executor) -> None:
    """Run all trials under a progress bar, each in one thread."""
    try:
        with _progress() as bar, one_thread(), executor:
            task = bar.add_task(results.study.name, total=results.study.trials)

            def seen() -> None:
                done = results.trials()
                bar.update(task, completed=len(done), best=_best(results.study, done))

            seen()
            run_rounds(results, executor, seen)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("the sweep is not finished; the same command goes on") from error


def _check_first_round(first: Sequence[FrozenTrial]) -> None:
    """Raise an InputError if every trial of the first round failed."""
    if all(trial.state == TrialState.FAIL for trial in first):
        why = first[0].user_attrs.get("error", "unknown")
        raise InputError(
            f"every trial of the first round failed; the first one: {why}: mend that and delete "
            "the study's folder, or give study.name=ANOTHER"
        )


def _best(study: Study, done: Sequence[FrozenTrial]) -> str:
    """The best value of the first objective so far."""
    best = ranked(study, done)
    return f"best {next(iter(study.objectives))} {best[0].values[0]:.4g}" if best else ""


def _progress() -> Progress:
    return progress(
        "best",
        columns=["{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()],
    )
