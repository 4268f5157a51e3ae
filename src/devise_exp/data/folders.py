"""A folder of images: one folder per class, with or without train/val/test above."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from devise_exp.core.errors import InputError
from devise_exp.data.dataset import ImageDataset, ImageEntry, dataset_from_images
from devise_exp.data.images import UNREADABLE

# Only what people keep beside pictures; whatever else a class folder holds is tried as a picture.
# fmt: off
NOT_IMAGES = frozenset((
    ".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".log",
    ".ini", ".db", ".mat", ".npy", ".npz", ".pkl", ".h5", ".pt", ".pth", ".parquet", ".zip", ".tar",
    ".gz", ".tgz", ".7z", ".rar", ".py", ".sh", ".mp4", ".avi", ".mov", ".md5",
))
# fmt: on
SPLIT_NAMES = {"train", "training", "val", "valid", "validation", "test", "testing", "eval"}


def class_folders(
    root: Path, pattern: re.Pattern[str] | None = None
) -> tuple[list[ImageEntry], list[str]]:
    """The pictures of ROOT/<class>/**/<picture> and a note for each class folder without any.

    Names with a leading dot are hidden. With `pattern`, only files count whose whole path below the
    class folder matches it. Row names are relative to root, in Unicode's composed form.
    """
    pictures: list[ImageEntry] = []
    notes: list[str] = []
    for folder in sorted(root.iterdir()):
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        class_name = portable(folder.name)
        files = files_below(folder, notes)
        if pattern is not None:
            files = [file for file in files if pattern.fullmatch(file)]
        if not files:
            notes.append(f"{class_name}: no pictures in this class folder")
        for file in files:
            row = f"{class_name}/{portable(file)}"
            pictures.append(ImageEntry(class_name, row, f"{folder}{os.sep}{file}"))
    return pictures, notes


def files_below(folder: Path, notes: list[str]) -> list[str]:
    """Files below `folder` that may be pictures, relative to it, with "/" between the parts."""
    files: list[str] = []
    above = [parent.stat() for parent in folder.resolve().parents]
    visited = {(status.st_dev, status.st_ino) for status in above}

    def note(error: OSError) -> None:
        notes.append(f"{error.filename}: {UNREADABLE}: {error.strerror}")

    for place, folders, names in os.walk(folder, onerror=note, followlinks=True):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in visited:  # a link back to a folder above
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        within = Path(place).relative_to(folder).as_posix()
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() not in NOT_IMAGES:
                files.append(name if within == "." else f"{within}/{name}")
    return sorted(files)


def portable(name: str) -> str:
    """`name` as every file system would give it: composed form, undecodable bytes escaped."""
    return unicodedata.normalize("NFC", name.encode("utf-8", "backslashreplace").decode("utf-8"))


def image_folder(
    root: str | Path, strict: bool = False, name: str = "image_folder"
) -> ImageDataset:
    """ROOT/<class>/**/<picture>, in any format that Pillow opens; broken pictures are skipped.

    Raises InputError where root is not such a folder, or with `strict` when a picture is broken.
    """
    place = Path(root).expanduser()
    layout = f"{name}: {place}"
    if not place.exists():
        raise InputError(f"{layout} does not exist: set data.root to a folder of class folders")
    if not place.is_dir():
        raise InputError(f"{layout} is a file: set data.root to a folder of class folders")
    pictures, notes = class_folders(place)
    if not pictures:
        files = files_below(place, [])
        if files:
            raise InputError(
                f"{layout} has no class folders, its pictures lie directly in it (such as "
                f"{files[0]}): move them into {place / '<class>' / '<picture>'}"
            )
        raise InputError(f"{layout} holds no pictures: expected {place / '<class>' / '<picture>'}")
    names = sorted({picture.class_name for picture in pictures})
    if {each.lower() for each in names} <= SPLIT_NAMES:
        raise InputError(
            f"{layout} holds splits ({', '.join(names)}), not classes: set data.root to one of "
            "them, or join their class folders (seen and unseen splits are made later)"
        )
    return dataset_from_images(name, pictures, strict, notes)
