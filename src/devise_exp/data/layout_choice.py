"""Which folders of a tree are classes and parts, or one line that says how to read the tree."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.data.layout import (
    ClassFolder,
    Counts,
    Folder,
    Levels,
    PartFolders,
    class_folders_of,
    class_names,
    find_parts,
    unclear_folders,
    without_parts,
    wrapper_of,
)
from devise_exp.data.part_names import part_of

PartOption = Literal["keep", "join"] | None
KEEP = "data.parts=keep split=folders"
_EXAMPLES = 3  # names of classes beside an option


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
        InputError: If it is not clear; it says what is there and which options read it.
    """
    if levels is None and wrapper_of(counts):
        raise InputError(f"{title} {_advice(root, counts, levels, parts)}")
    folders = find_parts(counts)
    if folders is not None and len(set(folders.parts.values())) == 1:
        if folders.beside:
            raise InputError(f"{title} {_one_part(root, counts, folders, levels)}")
        folders = None  # a folder above the classes, whose depth `levels` gives
    split = without_parts(counts, folders)
    unclear = unclear_folders(counts, split) if levels is None else []
    classes = class_folders_of(counts, split, levels)
    remark = ""
    if not unclear:
        remark = _check_names(title, root, {c.path for c in classes.values()}, levels)
    if folders is None and parts is not None:
        raise InputError(
            f"{title} holds no folders such as train and test that hold class folders: leave out "
            f"data.parts={parts} (split=folders needs them), or set data.root to the folder above "
            "the parts"
        )
    if unclear or (folders is not None and parts is None):
        raise InputError(f"{title} {_advice(root, counts, levels, parts)}")
    _check_depth(title, split, classes, levels)
    return Layout(classes=classes, parts=folders, levels=levels, remark=remark)


def _check_depth(
    title: str,
    split: Mapping[Folder, tuple[str, Folder]],
    classes: Mapping[Folder, ClassFolder],
    levels: Levels,
) -> None:
    """Refuse a depth that leaves folders out which hold nothing but images."""
    above = sorted("/".join(path) for path in _too_high(split, classes))
    if above:
        raise InputError(
            f"{title}: data.levels={levels}: images lie above this depth, in {listed(above)}: give "
            "data.levels=leaf, or a smaller number"
        )


def _too_high(
    split: Mapping[Folder, tuple[str, Folder]], classes: Mapping[Folder, ClassFolder]
) -> set[Folder]:
    """Return the paths of folders that belong to no class, and have no folders of images below."""
    inner = {path[:depth] for _, path in split.values() for depth in range(1, len(path))}
    return {path for folder, (_, path) in split.items() if folder not in classes} - inner


def _check_names(title: str, root: Path, paths: set[Folder], levels: Levels) -> str:
    """Refuse classes named as parts are; return a remark on one that is taken for a class."""
    named = sorted({path[-1] for path in paths if part_of(path[-1])})
    others = sorted({path[-1] for path in paths} - set(named))
    if not named:
        return ""
    if not others:
        raise InputError(
            f"{title} holds parts ({listed(named)}) whose images lie directly in them, without "
            f"class folders: sort them into {root / '<part>' / '<class>' / '<image>'}"
        )
    beside = f"beside other class folders ({listed(others, _EXAMPLES)})"
    if len({part_of(name) for name in named}) > 1:
        raise InputError(
            f"{title} would have classes named as parts of a split ({listed(named)}) {beside}: set "
            "data.root to a folder of classes alone, or rename them"
        )
    if levels is not None:
        return ""
    if len(others) > 1 and [name.lower() for name in named] == ["train"]:
        return f"{named[0]}, {beside}, is read as a class: if it is not one, move it elsewhere"
    raise InputError(
        f"{title}: images lie directly in {listed(named)}, {beside}: move them elsewhere, or "
        "give data.levels=1 if they are classes"
    )


def _one_part(root: Path, counts: Counts, folders: PartFolders, levels: Levels) -> str:
    """Say which folder to read if only one part has class folders."""
    name = folders.names[0]
    inside = {path[1:]: n for path, n in counts.items() if path[0] == name and len(path) > 1}
    wrapper = wrapper_of(inside)
    inside = {path[len(wrapper) :]: n for path, n in inside.items() if len(path) > len(wrapper)}
    options = _options(root.joinpath(name, *wrapper), inside, levels, None, is_below=True)
    return (
        f"holds one part with class folders ({listed(folders.names)}) beside "
        f"{listed(folders.beside)}: give {' or '.join(options)}"
    )


def _advice(root: Path, counts: Counts, levels: Levels, parts: PartOption) -> str:
    """Say what lies in the root, and the options that read it."""
    wrapper = wrapper_of(counts) if levels is None else ()
    inside = {path[len(wrapper) :]: n for path, n in counts.items()}
    folders = find_parts(inside)
    seen = f"holds a single folder ({'/'.join(wrapper)}), not classes" if wrapper else ""
    tail = ""
    if folders is not None:
        beside = f" beside {listed(folders.beside)}" if folders.beside else ""
        below = " in the class folders" if folders.level else ""
        holds = f"parts ({listed(folders.names)}){below}{beside}"
        seen = f"{seen}, and in it {holds}" if seen else f"holds {holds}, not classes"
        if parts is None:
            tail = (
                f"; with data.parts=join in place of {KEEP} the parts are joined and split anew, "
                "and near-copies may be on both sides"
            )
    elif not seen:
        unclear = unclear_folders(inside, without_parts(inside, None))
        seen = (
            f"holds folders with folders of images in them ({listed(unclear)}), so the classes may "
            "be at several levels"
        )
    options = _options(root.joinpath(*wrapper), inside, levels, parts, is_below=bool(wrapper))
    if folders is None and not wrapper:
        one = shlex.quote(f"data.root={root / unclear[0]}")
        options.append(f"one of these folders, as in {one}")
    return f"{seen}: give {' or '.join(options)}{tail}"


def _options(
    root: Path, counts: Counts, levels: Levels, parts: PartOption, *, is_below: bool
) -> list[str]:
    """List the options that read a tree, with the classes that each gives.

    `is_below`: whether data.root has to be set to `root` as well.
    """
    folders = find_parts(counts)
    split = without_parts(counts, folders)
    fixed = [shlex.quote(f"data.root={root}")] if is_below else []
    if folders is not None:
        fixed.append("data.parts=join" if parts == "join" else KEEP)
    choices: Sequence[Levels] = [levels]
    if levels is None and unclear_folders(counts, split):
        deepest = max(len(path) for _, path in split.values())
        choices = ["leaf", *range(deepest, 0, -1)]
    readings: dict[frozenset[tuple[Folder, Folder]], tuple[str, bool]] = {}
    for choice in choices:
        classes = class_folders_of(counts, split, choice)
        paths = {class_folder.path for class_folder in classes.values()}
        option = [*fixed, *([f"data.levels={choice}"] if choice is not None else [])]
        names = sorted(set(class_names(paths).values()))
        text = f"{' '.join(option)} ({len(names)} classes: {listed(names, _EXAMPLES)})"
        useful = not _too_high(split, classes) and _are_classes(names)
        same = frozenset((folder, c.path) for folder, c in classes.items())
        readings.setdefault(same, (text, useful))
    useful_texts = [text for text, useful in readings.values() if useful]
    if not useful_texts and (fixed or levels is not None):
        useful_texts = [next(iter(readings.values()))[0]]
    return useful_texts[:3]


def _are_classes(names: Sequence[str]) -> bool:
    """Tell whether names may be those of classes that can be split into seen and unseen.

    Not names of parts, not letters of an alphabet, not mostly names that several folders share.
    """
    shared = sum("/" in name for name in names)
    parts = all(part_of(name) for name in names)
    return len(names) > 2 and max(map(len, names)) > 1 and 2 * shared < len(names) and not parts
