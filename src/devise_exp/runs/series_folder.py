"""The folder of a series: a run folder for each split and seed, split=I/seed=J or seed=J."""

from __future__ import annotations

from pathlib import Path

from devise_exp.core.errors import InputError
from devise_exp.runs.config_names import SERIES
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.saved_config import read_config


def is_finished(run: Path) -> bool:
    """Tell whether a run folder has all its files.

    Args:
        run: A folder, which need not exist.

    Returns:
        False for one that is not there, or was stopped.
    """
    return (run / "metrics.json").is_file() and not RunFolder(run).unfinished


def series_of(run: Path) -> Path | None:
    """Find the series over splits that a run belongs to.

    Args:
        run: The run folder.

    Returns:
        The folder of the series; None of a single run, and of a series over seeds alone.
    """
    split = run.resolve().parent
    in_series = split.name.startswith("split=") and (split.parent / SERIES).is_file()
    return split.parent if in_series else None


def splits_ordered(run: Path) -> int:
    """Read how many splits the series of a run has when it is finished.

    Args:
        run: The run folder.

    Returns:
        The number; 1 of a single run.

    Raises:
        InputError: The config of the series is damaged.
    """
    series = series_of(run)
    return 1 if series is None else _number(series, "split_seeds")


def run_folders(path: Path) -> list[Path]:
    """List the run folders that a path stands for.

    Args:
        path: A run folder, or one that holds runs by seed (seed=0, seed=1 ...) or by split and
            seed. Of a series over splits, splits that are not finished are left out.

    Returns:
        The run folders by split and seed; `path` itself if it holds no others, none of a file: a
        pattern also finds Hydra's multirun.yaml.

    Raises:
        InputError: No split of a series is finished.
    """
    if path.is_file():
        return []
    if (path / "metrics.json").is_file():
        return [path]
    if splits := _by_number(path, "split="):
        return _finished_splits(path, splits)
    return _by_number(path, "seed=") or [path]


def _finished_splits(path: Path, splits: list[Path]) -> list[Path]:
    """The runs of the splits whose seeds are all finished."""
    ordered = _number(path, "seeds") if (path / SERIES).is_file() else 1
    runs = [_by_number(split, "seed=") for split in splits]
    finished = [of for of in runs if len(of) >= ordered and all(map(is_finished, of))]
    if not finished:
        raise InputError(
            f"{path}: no split of this series is finished: go on with it "
            f"(devise-exp train resume={path})"
        )
    return [run for of_split in finished for run in of_split]


def _by_number(path: Path, start: str) -> list[Path]:
    """The folders inside whose names begin so, by the number that follows."""
    return sorted(path.glob(f"{start}*/"), key=lambda inner: (len(inner.name), inner.name))


def _number(series: Path, key: str) -> int:
    value = read_config(series, SERIES).get(key)
    if type(value) is not int:
        raise InputError(f"{series / SERIES}: damaged: {key} is no number: train the series again")
    return value
