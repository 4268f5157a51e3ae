"""Lists of names, written for a person and for the options that read them."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

import yaml

from devise_exp.core.errors import InputError
from devise_exp.core.files import write_text
from devise_exp.core.name_files import listed


def check_names_file(path: Path, option: str) -> None:
    """Check that a list of names can be written, before what it holds is looked for.

    Args:
        path: As for write_names.
        option: As for write_names.

    Raises:
        InputError: It is a folder, or it or its folder cannot be written.
    """
    if path.is_dir():  # writing would replace the folder
        raise InputError(f"{option} {path}: this is a folder: give a file to write")
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise InputError(f"{option} {path}: {above} is no folder: give a file to write")
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"{option} {path}: {above}: Permission denied: give a file to write")


def write_names(path: Path, names: Sequence[str], option: str) -> None:
    """Write a list of names that `name_files.read_names` reads.

    Args:
        path: Ends with .csv or .yaml, or it is a text file.
        names: The names.
        option: The option that names the file, for messages.

    Raises:
        InputError: A text file cannot hold one of the names, or the file cannot be written.
    """
    check_names_file(path, option)
    suffix, text = path.suffix.lower(), io.StringIO()
    if suffix in (".yaml", ".yml", ".json"):
        text.write(yaml.safe_dump([*names], allow_unicode=True, default_style='"'))
    elif suffix == ".csv":
        rows = [("class",), *((name,) for name in names)]
        csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    else:
        wrong = [n for n in names if n.strip().splitlines() != [n] or n[0] == "#"]
        if wrong:
            shown = listed(map(repr, wrong))
            raise InputError(f"{option} {path}: no line holds {shown}: give a .yaml file")
        text.writelines(f"{name}\n" for name in names)
    try:
        write_text(path, text.getvalue())
    except OSError as error:
        raise InputError(f"{option} {path}: {error.strerror}: give a file to write") from None
