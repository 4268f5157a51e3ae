"""What systems and programs put beside photographs is no image of a class."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers.images import noise_image

from devise_exp.data.folders import image_folder
from devise_exp.data.system_files import image_files, is_system_folder


@pytest.mark.parametrize(
    "folder",
    [
        "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "__MACOSX",
        ".thumbnails", "@Recycle", "@Recently-Snapshot", "lost+found", "#snapshot", "FOUND.000",
        "Temporary Items", "Catalog Previews.lrdata",
    ],
)  # fmt: skip
def test_folders_of_systems_are_left_out(tree: Path, folder: str) -> None:
    """Beside the classes and within them, thumbnails and deleted images too."""
    clean = image_folder(tree)
    for above in (tree, tree / "okapi", tree / "emu/deep"):
        noise_image(above / folder / "b.jpg" / "SYNOPHOTO_THUMB_XL.jpg", seed=9)
        shutil.copy(tree / "okapi/b.jpg", above / folder / "deleted.jpg")
    again = image_folder(tree)
    assert (again.rows, again.skipped) == (clean.rows, ())
    assert again.fingerprint == clean.fingerprint


@pytest.mark.parametrize(
    "file",
    [
        "Thumbs.db", "desktop.ini", "._a.jpg", "a.xmp", "a.jpg.xmp", "IMG_1.AAE", "a.jpg.pp3",
        "SYNOFILE_THUMB_M.jpg", "Picasa.ini", "shortcut.lnk", "a.jpg.part", "Icon\r",
    ],
)  # fmt: skip
def test_sidecars_are_left_out(tree: Path, file: str) -> None:
    clean = image_folder(tree)
    (tree / "okapi" / file).write_bytes((tree / "okapi/b.jpg").read_bytes())
    again = image_folder(tree)
    assert (again.rows, again.skipped) == (clean.rows, ())


def test_a_raw_file_beside_its_image_is_left_out_and_alone_it_is_named(tree: Path) -> None:
    """Pillow would open the thumbnail within as an image of its own."""
    for name in ("a.CR2", "a.nef", "B.dng", "alone.NEF", "deep/a.arw"):
        path = noise_image(tree / "okapi" / Path(name).parent / "raw.tif", seed=5)
        path.rename(path.with_name(Path(name).name))
    dataset = image_folder(tree)
    assert dataset.rows == ("emu/a.png", "emu/deep/er/c.jpg", "okapi/a.jpg", "okapi/b.jpg")
    assert dataset.skipped == (
        "okapi/alone.NEF: a raw photograph: develop it as JPEG, PNG or TIFF",
        "okapi/deep/a.arw: a raw photograph: develop it as JPEG, PNG or TIFF",
    )


def test_ordinary_names_stay() -> None:
    for name in ("okapi", "recycled", "trash", "snapshots", "raw", "thumbnails", "@home", "train"):
        assert not is_system_folder(name)
    names = ["a.jpg", "A.PNG", "thumbs.jpg", "desktop.png", "xmp.jpg", "a.b.c.tif", "no ending"]
    assert image_files(names) == names
