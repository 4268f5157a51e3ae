"""Where runs are written: outputs/latest, and folders that Hydra makes too early."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from devise_exp.core.console import format_error, warn
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path
from devise_exp.core.name_files import listed
from devise_exp.runs.config_names import RUN, SERIES

LATEST = Path("outputs/latest")
NOTE, TRACEBACK = "trial.json", "error.txt"  # of a job of a grid
# What a shell or a scheduler may write there before the run begins.
_LOGS = {".log", ".out", ".err"}
_SHOWN = 3
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def point_latest(folder: Path) -> None:
    """Let outputs/latest, under the working folder, name the last run.

    Args:
        folder: Of the run; one outside the working folder is not linked. A link that cannot be
            made is a warning: the run is finished without it.
    """
    if LATEST.exists() and not LATEST.is_symlink():
        return  # a user's own folder
    if folder.absolute().is_relative_to(Path.cwd()):
        try:
            with atomic_path(LATEST) as link:
                link.symlink_to(os.path.relpath(folder, LATEST.parent))
        except OSError as error:
            warn(f"{LATEST} does not name this run: {format_error(error)}")


def remove_empty(folder: Path) -> None:
    """Remove a run folder that Hydra made before the input was known to be right.

    Args:
        folder: Removed if nothing is in it, and so is the folder of the date that Hydra has put it
            in; any other folder above it is its user's.
    """
    with suppress(OSError):
        folder.rmdir()
        if _DATE.fullmatch(folder.absolute().parent.name):
            folder.parent.rmdir()


def holds_run(folder: Path) -> bool:
    """Tell whether a folder is that of a run or a series, finished or not.

    Args:
        folder: Which need not exist.

    Returns:
        Whether its config is there.
    """
    return any((folder / name).is_file() for name in (RUN, SERIES))


def check_folder(
    folder: Path, option: str = "hydra.run.dir", marks: Sequence[str] = (RUN, SERIES)
) -> None:
    """Check that a run may be written to a folder: new, empty, or that of a run.

    Args:
        folder: Which need not exist.
        option: That names the folder.
        marks: Files of which a folder that goes on has one.

    Raises:
        InputError: If a person's own files are in it.
    """
    if not folder.is_dir() or any((folder / mark).is_file() for mark in marks):
        return
    names = sorted(path.name for path in folder.iterdir())
    theirs = [
        name
        for name in names
        if not (name in (NOTE, TRACEBACK) or name.startswith(".") or Path(name).suffix in _LOGS)
    ]
    if theirs:
        raise InputError(
            f"{folder}: holds {listed(theirs, _SHOWN)}, which no run has written: give a "
            f"new or an empty folder as {option}"
        )
