"""A series: a run over several seeds of the training and several splits, to one table.

Each run has its run folder under the folder of the series, split=I/seed=J or seed=J. The first run
on a split selects the hyperparameters for its other seeds too, so that the interval over seeds is
that of the training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from devise_exp.core.command import spelled
from devise_exp.core.console import notify, print_content
from devise_exp.core.errors import InputError
from devise_exp.core.files import write_text
from devise_exp.pipelines import checks, distributed, run
from devise_exp.pipelines.distributed import all_ranks
from devise_exp.pipelines.grid import grid_folder
from devise_exp.pipelines.labelled import LabelledImages
from devise_exp.pipelines.option_errors import check_option
from devise_exp.pipelines.option_kinds import Seed
from devise_exp.pipelines.outputs import SERIES as CONFIG
from devise_exp.pipelines.outputs import check_folder, point_latest, remove_empty
from devise_exp.pipelines.prepare import prepare
from devise_exp.pipelines.settings import read_settings
from devise_exp.reports import comparison
from devise_exp.reports.comparison_formats import FORMATS, rich_table
from devise_exp.runs import results
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.saved_config import read_config
from devise_exp.training.lightning import silence_lightning

ENDINGS = {"md": "markdown", "csv": "csv", "tex": "latex", "html": "html"}


def train_series(
    config: DictConfig, folder: Path, labelled: LabelledImages | None = None
) -> dict[str, float]:
    """Train one run, or with config.seeds or config.split_seeds above 1 as many as they say.

    A job that was finished before its grid was stopped is not trained again.

    Args:
        config: Of train.py. If its `resume` names the folder of an unfinished series, that goes on,
            with `seeds` above 1 to so many seeds; finished runs stay.
        folder: Of the run, or of the series.
        labelled: The images with their words, if they have been read.

    Returns:
        The metrics; over several seeds their means.

    Raises:
        InputError: If an option has a wrong value, or the folder holds something else.
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
    saved = read_config(series, CONFIG)
    if config.seeds != 1:
        saved.seeds = config.seeds
    return saved, series


def _train_runs(
    config: DictConfig, folder: Path, labelled: LabelledImages | None
) -> dict[str, float]:
    """All runs of a series, and its table."""
    _check(config, folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / CONFIG, OmegaConf.to_yaml(config, resolve=True))
    try:
        with all_ranks(config):
            splits = [_train_split(config, folder, i, labelled) for i in range(config.split_seeds)]
    except Exception:  # wrong input too: Hydra wraps what a part that it builds has raised
        if not any(path.is_dir() for path in folder.iterdir()):  # nothing was begun
            (folder / CONFIG).unlink()
            remove_empty(folder)
        raise
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(
            f"the series is not finished; go on with: {spelled('train', resume=folder)}"
        ) from error
    return _summarise(splits)


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
    check_option("split.seed", OmegaConf.select(config, "split.seed"), Seed)
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
        for series in settings:
            for key in ("seeds", "report"):  # further seeds may join
                series.pop(key, None)
        if settings[0] != settings[1]:
            raise InputError(
                f"{folder}: holds a series of another config: go on with that one "
                f"(resume={folder}), or train into another hydra.run.dir"
            )


def _train_split(
    config: DictConfig, folder: Path, i: int, labelled: LabelledImages | None
) -> list[Path]:
    """The run folders of all seeds on the split i."""
    seed_config = config.copy()
    seed_config.update(seeds=1, split_seeds=1, resume=None)
    if config.split_seeds > 1:
        seed_config.split.seed = config.split.seed + i
        folder = folder / f"split={seed_config.split.seed}"
    paths = [folder / f"seed={config.seed + j}" for j in range(config.seeds)]
    ready = None
    for j, path in enumerate(paths):
        seed_config.seed = config.seed + j
        if j and config.hyperparameters_from is None:
            seed_config.hyperparameters_from = str(paths[0])
        if _is_finished(path):
            continue
        if ready is None or seed_config.backbone.trainable:  # training changes the network in place
            data = prepare(seed_config, labelled)
            checks.check(seed_config, data)  # before features are extracted, which may take long
            ready = data, distributed.features(seed_config, data)
        notify(f"{path.relative_to(folder.parent)}:")
        run.train(seed_config, path, quietly=True, ready=ready)
    return paths


def _is_finished(path: Path) -> bool:
    return (path / "metrics.json").is_file() and not RunFolder(path).unfinished


def _summarise(splits: list[list[Path]]) -> dict[str, float]:
    """The table of all methods, printed and written; over splits, a table for each."""
    for paths in splits:
        split_folder = paths[0].parent
        table = comparison.summary(paths)
        for ending, form in ENDINGS.items():
            write_text(split_folder / f"summary.{ending}", FORMATS[form](table))
        print_content(rich_table(table))
        files = "summary.md, .csv, .tex and .html; a run folder per seed"
        notify(f"written to {split_folder} ({files})")
    point_latest(splits[0][0])
    values = [results.read(path).metrics for paths in splits for path in paths]
    numbers = [key for key, value in values[0].items() if isinstance(value, int | float)]
    shared = [key for key in numbers if all(key in metrics for metrics in values)]
    return {key: sum(metrics[key] for metrics in values) / len(values) for key in shared}
