"""How a run goes on: what one that has ended early says, and one whose config is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig

from devise_exp.core.command import spelled
from devise_exp.core.console import notify
from devise_exp.core.errors import InputError, is_full_disk, user_message
from devise_exp.runs.config_names import RUN, SERIES
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.other_folders import not_a_run
from devise_exp.runs.trusted_config import user_parts


def check_goes_on(resume: object) -> None:
    """Make sure that a training can go on in a folder.

    Args:
        resume: The option: the folder of a run or of a series.

    Raises:
        InputError: If the folder holds neither, or a finished run.
    """
    files = _configs(resume)
    if not files:
        raise InputError(f"{resume}: {not_a_run(str(resume))}")
    if files[0].name == RUN:
        RunFolder(files[0].parent).check_unfinished()


@contextmanager
def naming_config(resume: object) -> Iterator[None]:
    """Name the file that the options are from, as a person may have edited it.

    Args:
        resume: The option: the folder of a run or of a series; None for a new training, whose
            options are from the command line.

    Yields:
        Nothing; the training goes on inside the block.

    Raises:
        InputError: What a person can mend was raised; the message begins with the file unless it
            names the folder, or the disk is to blame.
    """
    files = [] if resume is None else _configs(resume)
    if not files:
        yield
        return
    try:
        yield
    except Exception as error:
        line = user_message(error)
        if line is None or isinstance(error, OSError) or is_full_disk(error):
            raise
        if str(files[0].parent) in line or f"resume={resume}" in line:
            raise
        raise InputError(f"{files[0]}: {line}") from error


@contextmanager
def saying_how_to_go_on(run: RunFolder, config: DictConfig) -> Iterator[None]:
    """Say of a run that fails in the block how to go on, unless its own files are at fault.

    Args:
        run: The run folder.
        config: Of train.py.

    Yields:
        Nothing; the training is inside the block.
    """
    try:
        yield
    except Exception as error:
        is_of_run = isinstance(error, InputError) and str(error).startswith(str(run.path))
        if run.unfinished and not is_of_run:
            notify(what_is_left(run, config))
        raise


def what_is_left(run: RunFolder, config: DictConfig) -> str:
    """Say what a person has got whose run has stopped or failed, and how to go on.

    Args:
        run: The run folder.
        config: Of train.py.

    Returns:
        One line.
    """
    if run.unfinished:
        trust = " trust=true" if user_parts(config) else ""
        command = spelled("train", resume=run.path)
        return f"the run is not finished; go on with: {command}{trust}"
    if (run.path / "metrics.json").is_file():
        return f"the run is finished: {run.path}"
    return "the run had not begun; the same command starts it"


def _configs(resume: object) -> list[Path]:
    """The configs, of a series first, in the folder that a training goes on in."""
    folder = Path(str(resume)).expanduser().resolve()
    return [folder / name for name in (SERIES, RUN) if (folder / name).is_file()]
