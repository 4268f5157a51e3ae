"""A whole run over several seeds of the training, and over several splits, to one table.

Each run is a run folder of its own under the one folder, split=I/seed=J or seed=J. What is chosen
on class folds is chosen by the first run on a split and holds for its other seeds, so that the
interval over seeds is that of the training.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from devise_exp.core.console import notify, print_content
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path
from devise_exp.pipelines import checks, distributed, run
from devise_exp.pipelines.distributed import all_ranks
from devise_exp.pipelines.grid import grid_folder
from devise_exp.pipelines.prepare import prepare
from devise_exp.pipelines.run import point_latest, remove_empty
from devise_exp.reports import comparison
from devise_exp.reports.comparison_formats import FORMATS, rich_table
from devise_exp.runs.folder import RunFolder

CONFIG = "seeds.yaml"
ENDINGS = {"md": "markdown", "csv": "csv", "tex": "latex", "html": "html"}


def train_series(config: DictConfig, folder: Path) -> dict[str, float]:
    """One run, or with config.seeds or config.split_seeds above 1 as many as they say.

    Returns the figures, over several seeds the means. Where config.resume names the folder of an
    unfinished series, that goes on, with config.seeds above 1 to so many seeds: finished runs are
    kept. A trial that was finished before its grid was stopped is not trained again.
    """
    try:
        return _train(config, folder)
    except KeyboardInterrupt as error:
        grid = grid_folder()
        if grid is None:
            raise
        raise KeyboardInterrupt(
            f"the grid is not finished; the same command with hydra.sweep.dir={grid} goes on"
        ) from error


def _train(config: DictConfig, folder: Path) -> dict[str, float]:
    resumed = None if config.resume is None else Path(str(config.resume)).expanduser().resolve()
    if resumed and (resumed / CONFIG).is_file():
        remove_empty(folder)
        folder, more = resumed, config.seeds
        config = OmegaConf.load(folder / CONFIG)  # type: ignore[assignment]
        if more != 1:
            config.seeds = more
    for key in ("seeds", "split_seeds"):
        if not isinstance(config[key], int) or isinstance(config[key], bool) or config[key] < 1:
            remove_empty(folder)
            raise InputError(f"{key}={config[key]}: give a whole number from 1 on")
    if config.seeds == config.split_seeds == 1 and not (folder / CONFIG).is_file():
        return _of_grid(config, folder) or run.train(config, folder)
    folder = folder.resolve()
    try:
        _check(config, folder)
    except InputError:
        remove_empty(folder)
        raise
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / CONFIG) as made:
        made.write_text(OmegaConf.to_yaml(config, resolve=True), encoding="utf-8")
    try:
        with all_ranks(config):
            places = [_train_split(config, folder, i) for i in range(config.split_seeds)]
    except Exception:  # wrong input too: Hydra wraps what a part that it builds has raised
        if not any(each.is_dir() for each in folder.iterdir()):  # nothing was begun
            (folder / CONFIG).unlink()
            remove_empty(folder)
        raise
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(
            f"the series is not finished; go on with: python train.py resume={folder}"
        ) from error
    return _summarise(folder, places)


def _of_grid(config: DictConfig, folder: Path) -> dict[str, float] | None:
    """The figures of a trial that was finished before its grid was stopped; None of any other."""
    own = RunFolder(folder)
    done = (folder / "config.yaml").is_file() and not own.unfinished
    if grid_folder() is None or not done or not own.is_of(config):
        return None
    notify(f"{folder.name}: was finished before")
    figures: dict[str, float] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return figures


def _check(config: DictConfig, folder: Path) -> None:
    """InputError for seeds that are none, and where the folder holds something else."""
    for key in ("seed", "split.seed"):
        value = OmegaConf.select(config, key)
        if type(value) is not int or value < 0:
            raise InputError(f"{key}={value}: give a whole number from 0 on")
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
            OmegaConf.to_container(each, resolve=True)
            for each in (OmegaConf.load(folder / CONFIG), config)
        ]
        for each in settings:
            for key in ("seeds", "report"):  # further seeds may join
                each.pop(key, None)
        if settings[0] != settings[1]:
            raise InputError(
                f"{folder}: holds a series of another config: go on with that one "
                f"(resume={folder}), or train into another hydra.run.dir"
            )


def _train_split(config: DictConfig, folder: Path, i: int) -> list[Path]:
    """The run folders of all seeds on the split i."""
    own = config.copy()
    own.update(seeds=1, split_seeds=1, resume=None)
    if config.split_seeds > 1:
        own.split.seed = config.split.seed + i
        folder = folder / f"split={own.split.seed}"
    places = [folder / f"seed={config.seed + j}" for j in range(config.seeds)]
    ready = None
    for j, place in enumerate(places):
        own.seed = config.seed + j
        if j and config.hyperparameters_from is None:
            own.hyperparameters_from = str(places[0])
        if _finished(place):
            continue
        if ready is None or own.backbone.trainable:  # training changes the network in place
            data = prepare(own)
            checks.check(own, data)  # before features are extracted, which may take long
            ready = data, distributed.features(own, data)
        notify(f"{place.relative_to(folder.parent)}:")
        run.train(own, place, quietly=True, ready=ready)
    return places


def _finished(place: Path) -> bool:
    return (place / "metrics.json").is_file() and not RunFolder(place).unfinished


def _summarise(folder: Path, places: list[list[Path]]) -> dict[str, float]:
    """The table of all methods, printed and written; over splits, a table for each."""
    for own in places:
        place = own[0].parent
        table = comparison.summary(own)
        for ending, form in ENDINGS.items():
            with atomic_path(place / f"summary.{ending}") as made:
                text = FORMATS[form](table)
                made.write_text(text, encoding="utf-8", newline="")
        print_content(rich_table(table))
        notify(f"written to {place} (summary.md, .csv, .tex and .html; a run folder per seed)")
    point_latest(places[0][0])
    values = [json.loads((p / "metrics.json").read_text()) for own in places for p in own]
    numbers = [key for key, v in values[0].items() if isinstance(v, int | float)]
    shared = [key for key in numbers if all(key in each for each in values)]
    return {key: sum(each[key] for each in values) / len(values) for key in shared}
