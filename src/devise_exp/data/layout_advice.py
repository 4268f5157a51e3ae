"""What lies in a tree of folders, and the options that read it, in one line."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
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
from devise_exp.data.layout_checks import EXAMPLES, check_depth, check_names

PartOption = Literal["keep", "join"] | None
KEEP = "split=official"  # it implies data.parts=keep


def one_part_advice(root: Path, counts: Counts, folders: PartFolders, levels: Levels) -> str:
    """Say which folder to read if only one part has class folders.

    Args:
        root: The folder that the tree begins with.
        counts: The images of every folder.
        folders: The part.
        levels: As it was given.

    Returns:
        The end of a message.
    """
    name = folders.names[0]
    inside = {path[1:]: n for path, n in counts.items() if path[0] == name and len(path) > 1}
    wrapper = wrapper_of(inside)
    inside = {path[len(wrapper) :]: n for path, n in inside.items() if len(path) > len(wrapper)}
    below = root.joinpath(name, *wrapper)
    options = _options(below, inside, levels, None, is_below=True) or [_root_option(below)]
    return (
        f"holds one part with class folders ({listed(folders.names)}) beside "
        f"{listed(folders.beside)}: give {' or '.join(options)}"
    )


def advice(root: Path, counts: Counts, levels: Levels, parts: PartOption) -> str:
    """Say what lies in a root, and the options that read it.

    Args:
        root: The folder that the tree begins with.
        counts: The images of every folder.
        levels: As it was given.
        parts: As it was given.

    Returns:
        The end of a message. Of a tree that no option reads as a whole it names a folder to read.
    """
    wrapper = wrapper_of(counts) if levels is None else ()
    below = root.joinpath(*wrapper)
    inside = {path[len(wrapper) :]: n for path, n in counts.items()}
    folders = find_parts(inside)
    unclear = unclear_folders(inside, without_parts(inside, folders))
    options = _options(below, inside, levels, parts, is_below=bool(wrapper))
    tail = ""
    if options and folders is not None and parts is None:
        tail = (
            f"; with data.parts=join in place of {KEEP} the parts are joined and split anew, "
            "and near-copies may be on both sides"
        )
    if unclear and (not options or (folders is None and not wrapper)):
        above = below / folders.names[0] if folders and not folders.level else below
        options.append(f"one of these folders, as in {_root_option(above / unclear[0])}")
    options = options or [_root_option(below)]
    return f"{_contents(wrapper, folders, unclear)}: give {' or '.join(options)}{tail}"


def _contents(wrapper: Folder, folders: PartFolders | None, unclear: Sequence[str]) -> str:
    """Say what lies in a root."""
    seen = f"holds a single folder ({'/'.join(wrapper)}), not classes" if wrapper else ""
    if folders is not None:
        beside = f" beside {listed(folders.beside)}" if folders.beside else ""
        below = " in the class folders" if folders.level else ""
        holds = f"parts ({listed(folders.names)}){below}{beside}"
        return f"{seen}, and in it {holds}" if seen else f"holds {holds}, not classes"
    return seen or (
        f"holds folders with folders of images in them ({listed(unclear)}), so the classes may "
        "be at several levels"
    )


def _root_option(root: Path) -> str:
    """The option that names a root, as a shell reads it."""
    return shlex.quote(f"data.root={root}")


def _options(
    root: Path, counts: Counts, levels: Levels, parts: PartOption, *, is_below: bool
) -> list[str]:
    """List the options that read a tree, with the classes that each gives.

    `is_below`: whether data.root has to be set to `root` as well.
    """
    folders = find_parts(counts)
    split = without_parts(counts, folders)
    fixed = [_root_option(root)] if is_below else []
    if folders is not None:
        fixed.append("data.parts=join" if parts == "join" else KEEP)
    choices: list[Levels] = [levels]
    if levels is not None or unclear_folders(counts, split):
        deepest = max(len(path) for _, path in split.values())
        choices = [*([] if levels is None else [levels]), "leaf", *range(deepest, 0, -1)]
    readings: dict[frozenset[tuple[Folder, Folder]], tuple[str, Sequence[str]]] = {}
    for choice in choices:
        classes = class_folders_of(counts, split, choice)
        names = sorted(set(class_names(c.path for c in classes.values()).values()))
        if _is_refused(root, split, classes, choice):
            continue
        option = [*fixed, *([f"data.levels={choice}"] if choice is not None else [])]
        text = f"{' '.join(option)} ({len(names)} classes: {listed(names, EXAMPLES)})"
        same = frozenset((folder, c.path) for folder, c in classes.items())
        readings.setdefault(same, (text, names))
    texts = [text for text, _ in readings.values()]
    if levels is not None:
        return texts[:1]
    useful = [text for text, names in readings.values() if _are_classes(names)]
    if not useful and fixed and not any(_are_shared(names) for _, names in readings.values()):
        useful = texts[:1]
    return useful[:3]


def _is_refused(
    root: Path,
    split: Mapping[Folder, tuple[str, Folder]],
    classes: Mapping[Folder, ClassFolder],
    levels: Levels,
) -> bool:
    """Tell whether a reading would end in another line."""
    try:
        check_depth("", split, classes, levels)
        check_names("", root, classes.values(), levels)
    except InputError:
        return True
    return not classes


def _are_classes(names: Sequence[str]) -> bool:
    """Tell whether names may be those of classes that can be split into seen and unseen.

    Not letters of an alphabet, not mostly names that several folders share.
    """
    return len(names) > 2 and max(map(len, names)) > 1 and not _are_shared(names)


def _are_shared(names: Sequence[str]) -> bool:
    """Tell whether most names are those of several folders."""
    return 2 * sum("/" in name for name in names) >= len(names)
