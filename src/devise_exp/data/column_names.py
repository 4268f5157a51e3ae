"""Which column of a table holds what: named by an option, or by its usual names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.core.spelling import nearest_spellings

# The usual names, the plainest first.
IMAGE = (
    "image", "path", "file", "filename", "file_name", "filepath", "file_path", "image_path",
    "image_file", "image_filename", "image_name", "img", "img_path", "img_file", "img_name",
    "images", "paths", "files", "filenames", "filepaths", "photo", "picture", "relative_path",
)  # fmt: skip
LABEL = (
    "label", "class", "class_name", "classname", "label_name", "category", "category_name",
    "labels", "classes", "target", "fine_label", "species",
)  # fmt: skip
SPLIT = ("split", "subset", "part", "partition", "set", "data_set", "dataset")
GROUP = ("group", "group_id", "groups")
_JOINTS = re.compile(r"[\W_]+")


def find_column(
    where: str, columns: Sequence[str], option: str, value: str | None, usual: Sequence[str]
) -> str | None:
    """Choose a column.

    Args:
        where: What messages call the table.
        columns: The names of its columns.
        option: The option that names the column, such as data.image.
        value: What it gives; None: the first of the usual names, however they are written.
        usual: The usual names.

    Returns:
        One of the columns; None if no name is usual.

    Raises:
        InputError: If the table has no column of the name that is given.
    """
    if value is not None:
        if value in columns:
            return value
        near = nearest_spellings(str(value), columns)
        hint = f" (near: {', '.join(near)})" if near else ""
        raise InputError(
            f"{where}: {option}={value}: no such column{hint}: it has {listed(columns)}"
        )
    plain = {_plain(name): name for name in reversed(columns)}
    return next((plain[name] for name in usual if name in plain), None)


def need_column(
    where: str, columns: Sequence[str], option: str, value: str | None, usual: Sequence[str]
) -> str:
    """Choose a column that has to be there.

    Args:
        where: As for find_column.
        columns: As for find_column.
        option: As for find_column.
        value: As for find_column.
        usual: As for find_column.

    Returns:
        One of the columns.

    Raises:
        InputError: If there is none of this name, or no name is usual.
    """
    column = find_column(where, columns, option, value, usual)
    if column is None:
        what = option.rpartition(".")[2]
        raise InputError(
            f"{where}: which column is the {what}? It has {listed(columns)}: give {option}=COLUMN, "
            f"or call it {what}"
        )
    return column


def _plain(name: str) -> str:
    """A name in lower case, its words joined by _; CamelCase is two words."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return _JOINTS.sub("_", words).strip("_").lower()
