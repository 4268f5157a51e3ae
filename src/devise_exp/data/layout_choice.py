"""Which folders of a tree are classes and parts, or one line that says how to read the tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devise_exp.core.errors import InputError
from devise_exp.data.layout import (
    ClassFolder,
    Counts,
    Folder,
    Levels,
    PartFolders,
    class_folders_of,
    find_parts,
    unclear_folders,
    without_parts,
    wrapper_of,
)
from devise_exp.data.layout_advice import PartOption, advice, one_part_advice
from devise_exp.data.layout_checks import check_depth, check_names


class NoPartsError(InputError):
    """A tree has no folders of parts, which an option needs.

    Args:
        title: What messages call the tree.
        option: The option, as a person gave it.
    """

    def __init__(self, title: str, option: str) -> None:
        super().__init__(
            f"{title} holds no folders such as train and test that hold class folders: leave out "
            f"{option}, which needs them, or set data.root to the folder above the parts"
        )
        self.title = title


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a tree of folders is read.

    Attributes:
        classes: Folder -> its class and part.
        parts: The folders of a published split; None if there are none.
        levels: As it was given.
        remark: What a person should know of it; "" if nothing.
    """

    classes: Mapping[Folder, ClassFolder]
    parts: PartFolders | None
    levels: Levels = None
    remark: str = ""


def choose_layout(
    title: str, root: Path, counts: Counts, levels: Levels, parts: PartOption
) -> Layout:
    """Say which folders are classes and parts.

    Args:
        title: What messages call the tree.
        root: The folder that the tree begins with.
        counts: The images that lie directly in a folder, of folders below the root.
        levels: Depth of the class folders; "leaf": each folder that holds images; None: 1, if
            these folders hold images themselves.
        parts: What to do with folders such as train and test: keep or join; None: raise.

    Returns:
        The layout.

    Raises:
        NoPartsError: If `parts` is given and there are none.
        InputError: If it is not clear; it says what is there and which options read it.
    """
    if levels is None and wrapper_of(counts):
        raise InputError(f"{title} {advice(root, counts, levels, parts)}")
    folders = find_parts(counts)
    if folders is not None and len(set(folders.parts.values())) == 1:
        raise InputError(f"{title} {one_part_advice(root, counts, folders, levels)}")
    split = without_parts(counts, folders)
    unclear = unclear_folders(counts, split) if levels is None else []
    classes = class_folders_of(counts, split, levels)
    remark = ""
    if not unclear:
        remark = check_names(title, root, classes.values(), levels)
    if folders is None and parts is not None:
        raise NoPartsError(title, f"data.parts={parts}")
    if unclear or (folders is not None and parts is None):
        raise InputError(f"{title} {advice(root, counts, levels, parts)}")
    check_depth(title, split, classes, levels)
    return Layout(classes=classes, parts=folders, levels=levels, remark=remark)
