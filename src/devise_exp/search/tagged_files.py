"""Tags of many image files, a chunk at a time: files that cannot be read are told apart."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from devise_exp.core.errors import InputError
from devise_exp.data.folders import files_below
from devise_exp.data.scan import scan_images
from devise_exp.search.neighbours import Neighbours

CHUNK = 256  # images that are embedded before their tags are given out

# Image files to the tags of each, and the largest cosine of each with a label if it is asked for.
Name = Callable[[Sequence[Path]], tuple[Sequence[Neighbours], Sequence[float] | None]]


@dataclass(frozen=True, kw_only=True)
class TaggedFile:
    """An image file with its tags.

    Attributes:
        path: The file.
        tags: Labels or words with their similarity, nearest first.
        best: Largest cosine with a label of the run, None where it is not asked for.
        error: Why the file cannot be read; "" if it can.
    """

    path: Path
    tags: Neighbours = field(default_factory=list)
    best: float | None = None
    error: str = ""


def list_images(paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """List image files, those of folders in the order of their names.

    Args:
        paths: Files and folders.

    Returns:
        The files, each once; and a line for each folder that cannot be read.

    Raises:
        InputError: A path does not exist, or no file is left.
    """
    files: dict[Path, None] = {}
    notes: list[str] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: does not exist: give image files, or folders of them")
        if path.is_dir():
            below = files_below(path, notes)
            files |= dict.fromkeys(Path(f"{path}{os.sep}{name}") for name in below)
        else:
            files[path] = None
    if not files:
        raise InputError(f"{paths[0]}: holds no images: give image files, or folders of them")
    return list(files), notes


def tag_files(files: Sequence[Path], name: Name) -> Iterator[TaggedFile]:
    """Tag image files in their order, a chunk at a time.

    Args:
        files: The files.
        name: Tags image files that can be read.

    Yields:
        Every file, with its tags or with the reason why it has none.

    Raises:
        InputError: If none of the files can be read.
    """
    waiting: list[TaggedFile] = []  # until it is known that a file can be read
    any_good = False
    for start in range(0, len(files), CHUNK):
        chunk = files[start : start + CHUNK]
        broken = scan_images({str(file): str(file) for file in chunk}).broken
        good = [file for file in chunk if str(file) not in broken]
        waiting += _tagged(chunk, good, name, broken)
        any_good |= bool(good)
        if any_good:
            yield from waiting
            waiting = []
    if not any_good:
        raise _all_broken(waiting)


def _tagged(
    chunk: Sequence[Path], good: Sequence[Path], name: Name, broken: Mapping[str, str]
) -> list[TaggedFile]:
    """The files of a chunk, those that are `good` with their tags."""
    tags, cosines = name(good) if good else ([], None)
    best: Sequence[float | None] = [None] * len(tags) if cosines is None else cosines
    of_good = iter(zip(tags, best, strict=True))
    files = []
    for file in chunk:
        if str(file) in broken:
            files.append(TaggedFile(path=file, error=broken[str(file)]))
        else:
            of_file, cosine = next(of_good)
            files.append(TaggedFile(path=file, tags=of_file, best=cosine))
    return files


def _all_broken(files: Sequence[TaggedFile]) -> InputError:
    """The line for files none of which can be read."""
    first = f"{files[0].path}: {files[0].error}"
    if len(files) == 1:
        return InputError(f"{first}: give another image file")
    return InputError(f"none of {len(files):,} images can be read ({first}): give other files")
