"""Where runs are written: outputs/latest, and folders that Hydra makes too early."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from devise_exp.core.console import format_error, warn
from devise_exp.core.files import atomic_path

LATEST = Path("outputs/latest")
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
