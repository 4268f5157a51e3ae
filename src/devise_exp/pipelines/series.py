"""A series: a run over several seeds of the training and several splits, to one table of means.

Each run has its run folder under the folder of the series, split=I/seed=J or seed=J. The first run
on a split selects the hyperparameters for its other seeds too, so that the interval over seeds is
that of the training.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from devise_exp.core.command import spelled
from devise_exp.core.console import notes_about, notify, warn
from devise_exp.core.errors import InputError, user_message
from devise_exp.core.files import write_text
from devise_exp.core.side_work import side_work
from devise_exp.pipelines import checks, distributed, run
from devise_exp.pipelines.distributed import as_rank_0
from devise_exp.pipelines.experiment_data import Ready
from devise_exp.pipelines.grid import grid_folder
from devise_exp.pipelines.hydra_files import keep_hydra_files
from devise_exp.pipelines.labelled import LabelledImages, draw_split, draws_clean, read_labelled
from devise_exp.pipelines.option_errors import check_option
from devise_exp.pipelines.option_kinds import Seed
from devise_exp.pipelines.outputs import check_folder, remove_empty
from devise_exp.pipelines.prepare import prepare
from devise_exp.pipelines.recipe import recipe_of
from devise_exp.pipelines.series_tables import summarise, write_finished
from devise_exp.pipelines.settings import read_settings
from devise_exp.pipelines.user_parts import trusted_config
from devise_exp.runs import results
from devise_exp.runs.config_names import SERIES as CONFIG
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.saved_config import read_config
from devise_exp.runs.series_folder import is_finished
from devise_exp.training.distributed.group import RankError
from devise_exp.training.lightning import silence_lightning


def train_series(
    config: DictConfig, folder: Path, labelled: LabelledImages | None = None
) -> dict[str, float]:
    """Train one run, or with config.seeds or config.split_seeds above 1 as many as they say.

    A job that was finished before its grid was stopped is not trained again.

    Args:
        config: Of train.py. If its `resume` names the folder of an unfinished series, that goes on,
            with `seeds` or `split_seeds` above 1 to so many seeds or splits; finished runs stay.
        folder: Of the run, or of the series.
        labelled: The images with their words, if they have been read.

    Returns:
        The metrics; over several seeds and splits their means.

    Raises:
        InputError: If an option has a wrong value, the folder holds something else, or a split
            has failed; the others are trained first.
    """
    silence_lightning()  # before the first trainer, which checks build
    config, folder = _resumed(config, folder)
    try:
        read_settings(config)
        if config.seeds == config.split_seeds == 1 and not (folder / CONFIG).is_file():
            return _finished_job(config, folder) or run.train(config, folder, labelled=labelled)
        return _train_runs(config, folder.resolve(), labelled)
    except Exception:
        remove_empty(folder)
        raise
    except KeyboardInterrupt as error:
        grid = grid_folder()
        if grid is None:
            raise
        raise KeyboardInterrupt(
            f"the grid is not finished; the same command with hydra.sweep.dir={grid} goes on"
        ) from error


def _resumed(config: DictConfig, folder: Path) -> tuple[DictConfig, Path]:
    """The config and folder of the series that config.resume names; else those given."""
    if config.resume is None:
        return config, folder
    series = Path(str(config.resume)).expanduser().resolve()
    if not (series / CONFIG).is_file():
        return config, folder
    remove_empty(folder)
    saved = trusted_config(config, read_config(series, CONFIG), series)
    if config.seeds != 1:
        saved.seeds = config.seeds
    if config.split_seeds != 1 and saved.split_seeds == 1:
        raise InputError(
            f"resume={config.resume} split_seeds={config.split_seeds}: that series has one split, "
            "which others cannot join: begin a new series, or leave split_seeds=1"
        )
    if config.split_seeds != 1:
        saved.split_seeds = config.split_seeds
    return saved, series


def _train_runs(
    config: DictConfig, folder: Path, labelled: LabelledImages | None
) -> dict[str, float]:
    """All runs of a series, and its table."""
    _check(config, folder)
    splits = [_folders(config, folder, i) for i in range(config.split_seeds)]
    if len(splits) > 1 and not all(is_finished(path) for paths in splits for path in paths):
        labelled = labelled or read_labelled(config, config.labels.on_missing)
        _check_splits_differ(config, labelled)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / CONFIG, OmegaConf.to_yaml(config, resolve=True))
    try:
        failures: dict[int, str] = as_rank_0(
            config, _train_splits, config, splits, labelled=labelled
        )
        values = summarise([paths for i, paths in enumerate(splits) if i not in failures])
        keep_hydra_files(folder, config)
    except Exception:  # wrong input too: Hydra wraps what a part that it builds has raised
        if not any(path.is_dir() for path in folder.iterdir()):  # nothing was begun
            (folder / CONFIG).unlink()
            remove_empty(folder)
        write_finished(splits)
        raise
    except KeyboardInterrupt as error:
        write_finished(splits)
        raise KeyboardInterrupt(_what_is_left(folder, splits)) from error
    if failures:
        first, line = next(iter(failures.items()))
        raise InputError(
            f"{len(failures)} of {len(splits)} splits failed, which the table over the others "
            f"leaves out; {splits[first][0].parent.name}: {line}"
        )
    return values


def _what_is_left(folder: Path, splits: list[list[Path]]) -> str:
    """What a person who has stopped a series has got, and how to go on."""
    if all(is_finished(path) for paths in splits for path in paths):
        return f"the series is finished: {folder}"
    return f"the series is not finished; go on with: {spelled('train', resume=folder)}"


def _finished_job(config: DictConfig, folder: Path) -> dict[str, float] | None:
    """The metrics of a job that was finished before its grid was stopped; None of any other."""
    finished = RunFolder(folder)
    done = (folder / "config.yaml").is_file() and not finished.unfinished
    if grid_folder() is None or not done or not finished.is_of(config):
        return None
    notify(f"{folder.name}: was finished before")
    return dict(results.read(folder).metrics)


def _check(config: DictConfig, folder: Path) -> None:
    """InputError for a seed of the split that is none, or if the folder holds something else."""
    check_folder(folder)
    if "seed" in config.split:
        check_option("split.seed", config.split.seed, Seed)
    elif config.split_seeds > 1:
        raise _same_splits(config, "this split has no seed")
    if config.resume is not None:
        raise InputError(
            f"resume={config.resume}: no series (it has no {CONFIG}): leave seeds and split_seeds "
            "at 1 to go on with a single run"
        )
    if config.hyperparameters_from is not None and config.split_seeds > 1:
        raise InputError(
            "hyperparameters_from is a run on one split: leave hyperparameters_from=null, or "
            "split_seeds=1"
        )
    if (folder / "config.yaml").exists():
        raise InputError(f"{folder}: holds a single run: train into another hydra.run.dir")
    if (folder / CONFIG).is_file():
        settings: list[Any] = [
            OmegaConf.to_container(series, resolve=True)
            for series in (read_config(folder, CONFIG), config)
        ]
        several = all(series.get("split_seeds") != 1 for series in settings)
        # More seeds and splits may join, and tables and pages change no metric.
        free = ("seeds", "report", "trust", "predictions", *(["split_seeds"] if several else []))
        for series in settings:
            for key in free:
                series.pop(key, None)
        if settings[0] != settings[1]:
            raise InputError(
                f"{folder}: holds a series of another config: go on with that one "
                f"(resume={folder}), or train into another hydra.run.dir"
            )


def _check_splits_differ(config: DictConfig, labelled: LabelledImages) -> None:
    """InputError if the seed of the split changes nothing."""
    if draws_clean(config):
        return  # it deals rows by the seed, and draws by an audit that comes later
    other = config.copy()
    other.split.seed = config.split.seed + 1
    first, second = (draw_split(of, labelled).fingerprint for of in (config, other))
    if first == second:
        raise _same_splits(config, "split.seed changes neither classes nor rows of this split")


def _same_splits(config: DictConfig, reason: str) -> InputError:
    n = config.split_seeds
    return InputError(
        f"split_seeds={n}: {reason}, so all splits would be the same: leave split_seeds=1 "
        f"(seeds={n} trains so many times on it)"
    )


def _folders(config: DictConfig, folder: Path, i: int) -> list[Path]:
    """The run folders of all seeds on the split i."""
    if config.split_seeds > 1:
        folder = folder / f"split={config.split.seed + i}"
    return [folder / f"seed={config.seed + j}" for j in range(config.seeds)]


def _train_splits(
    config: DictConfig, splits: list[list[Path]], labelled: LabelledImages | None = None
) -> dict[int, str]:
    """Train on all splits; the failures by number of the split.

    What people can mend fails a split alone, as soon as another one is finished: before, it would
    most likely fail all of them, and is raised.
    """
    failures = {}
    for i, paths in enumerate(splits):
        try:
            _train_split(config, paths, i, labelled)
        except Exception as error:
            line = user_message(error)
            ranks_lost = isinstance(error, RankError)
            if line is None or ranks_lost or not any(all(map(is_finished, of)) for of in splits):
                raise
            failures[i] = line
            warn(f"{paths[0].parent.name} failed: {line}")
    return failures


def _train_split(
    config: DictConfig, paths: list[Path], i: int, labelled: LabelledImages | None
) -> None:
    """Train all seeds on the split i, the first one before the others, which reuse its choices."""
    configs = {
        path: _seed_config(config, paths, i, j)
        for j, path in enumerate(paths)
        if not is_finished(path)
    }
    ready = None
    while configs:
        path = next(iter(configs))
        first = configs[path]
        trainable = first.backbone.get("trainable")  # training changes the network in place
        if ready is None or trainable:
            data = prepare(first, labelled)
            checks.check(first, data)  # before features are extracted, which may take long
            ready = data, distributed.features(first, data)
        if path == paths[0] or trainable:
            _train_seed(configs.pop(path), path, ready)
            continue
        tasks = {path.name: partial(_train_beside, configs[path], path, ready) for path in configs}
        with side_work(tasks, beside=recipe_of(first, ready[0].n_train).is_plain) as work:
            for name in tasks:
                work.take(name)
        return


def _seed_config(config: DictConfig, paths: list[Path], i: int, j: int) -> DictConfig:
    """The config of the run with seed j on the split i."""
    seed_config = config.copy()
    seed_config.update(seeds=1, split_seeds=1, resume=None, seed=config.seed + j)
    if config.split_seeds > 1:
        seed_config.split.seed = config.split.seed + i
    if j and config.hyperparameters_from is None:
        seed_config.hyperparameters_from = str(paths[0])
    return seed_config


def _train_seed(config: DictConfig, path: Path, ready: Ready) -> None:
    notify(f"{path.relative_to(path.parents[1])}:")
    run.train(config, path, quietly=True, ready=ready)


def _train_beside(config: DictConfig, path: Path, ready: Ready) -> None:
    """Train a seed while others are trained: each of its lines says whose it is."""
    with notes_about(str(path.relative_to(path.parents[1]))):
        run.train(config, path, quietly=True, ready=ready)
