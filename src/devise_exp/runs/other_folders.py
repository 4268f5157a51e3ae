"""What a folder is that is no run folder, and which run in it a person may have meant."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from devise_exp.core.command import spelled
from devise_exp.runs.config_names import RUN, SERIES, UNFINISHED

_DEPTH = 3  # split=I/seed=J, outputs/DAY/TIME, multirun/DAY/TIME/N
_MOST = 500  # folders looked at per depth: somebody may give a folder of all his images


def not_a_run(folder: str | Path) -> str:
    """Say what a folder without config.yaml is, and what to give instead.

    Args:
        folder: As a person has given it.

    Returns:
        What follows the folder in a message.
    """
    path = Path(folder).expanduser()
    run = next(_finished(path), None)
    if (path / SERIES).is_file():
        kind = "a series, which has a run folder for each split and seed"
        if run is None:
            return f"{kind}, and none is finished: go on with it (devise-exp train resume={folder})"
        return f"{kind}: give one of them, such as {run}"
    if run is not None:
        return f"not a run folder, but has some in it: give one of them, such as {run}"
    return f"not a run folder (no {RUN}): give one that a training has printed"


def did_not_finish(folder: str | Path) -> str:
    """Say how to go on with an unfinished run.

    Args:
        folder: As a person has given it.

    Returns:
        What follows the folder in a message; "" if it holds no unfinished run.
    """
    path = Path(folder).expanduser()
    if not all((path / name).is_file() for name in (RUN, UNFINISHED)):
        return ""
    return f"this run did not finish: {spelled('train', resume=folder)} goes on with it"


def _finished(path: Path) -> Iterator[Path]:
    """The finished runs inside, by depth and number; of a huge tree, those that come first."""
    level = [path]
    for _ in range(_DEPTH):
        level = sorted(islice(_folders(level), _MOST), key=_by_number)
        yield from (path for path in level if _is_finished(path))


def _folders(parents: list[Path]) -> Iterator[Path]:
    for parent in parents:
        with suppress(OSError), os.scandir(parent) as entries:
            yield from (parent / e.name for e in entries if e.is_dir(follow_symlinks=False))


def _is_finished(path: Path) -> bool:
    return all((path / name).is_file() for name in (RUN, "metrics.json"))


def _by_number(path: Path) -> list[tuple[int, str]]:
    return [(len(part), part) for part in path.parts]
