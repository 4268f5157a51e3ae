"""What a training that goes on by resume=FOLDER says if the config of the folder is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devise_exp.core.errors import InputError, is_full_disk, user_message
from devise_exp.runs.config_names import RUN, SERIES


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
    folder = Path(str(resume)).expanduser().resolve()
    files = [folder / name for name in (SERIES, RUN) if (folder / name).is_file()]
    if resume is None or not files:
        yield
        return
    try:
        yield
    except Exception as error:
        line = user_message(error)
        if line is None or isinstance(error, OSError) or is_full_disk(error):
            raise
        if str(folder) in line or f"resume={resume}" in line:
            raise
        raise InputError(f"{files[0]}: {line}") from error
