"""Folders of class folders, as people and file systems make them."""

from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path

import pytest
from helpers.images import noise_image
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.data.folders import files_below, image_folder


def test_a_class_is_a_first_level_folder_and_rows_are_sorted_relative_names(tree: Path) -> None:
    dataset = image_folder(tree)
    assert dataset.classes == ("emu", "okapi")
    assert dataset.rows == ("emu/a.png", "emu/deep/er/c.jpg", "okapi/a.jpg", "okapi/b.jpg")
    assert dataset.labels.tolist() == [0, 0, 1, 1]
    assert dataset.skipped == ()
    assert dataset.images is not None
    assert [image.size for image in dataset.images] == [(200, 150)] * 4


def test_hidden_and_clearly_other_files_are_ignored_silently(tree: Path) -> None:
    clean = image_folder(tree)
    for name in ("okapi/.DS_Store", "okapi/Thumbs.db", "okapi/notes.TXT", "emu/boxes.mat", "x.csv"):
        (tree / name).write_bytes(b"no picture")
    noise_image(tree / ".cache" / "old.png")
    noise_image(tree / "okapi" / ".trash" / "old.png")
    again = image_folder(tree)
    assert (again.rows, again.skipped) == (clean.rows, ())
    assert again.fingerprint == clean.fingerprint


def test_names_in_any_script_and_unicode_form_give_one_row_name(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        name = unicodedata.normalize(form, "Großer Käfer/été n° 1.png")
        noise_image(tmp_path / form / name)
        noise_image(tmp_path / form / "猫" / "写真 (2).jpg")
    composed, decomposed = image_folder(tmp_path / "NFC"), image_folder(tmp_path / "NFD")
    assert composed.rows == ("Großer Käfer/été n° 1.png", "猫/写真 (2).jpg")
    assert decomposed.rows == composed.rows
    assert decomposed.fingerprint == composed.fingerprint
    noise_image(
        tmp_path / "NFC" / unicodedata.normalize("NFD", "Großer Käfer/été n° 1.png"), seed=5
    )
    both = image_folder(tmp_path / "NFC")
    assert len(both.rows) == 2
    assert both.skipped == ("Großer Käfer/été n° 1.png: a second file of this name",)


def test_a_name_that_is_not_utf8_is_escaped(tree: Path) -> None:
    shutil.copy(tree / "emu/a.png", os.fsencode(tree) + b"/emu/caf\xe9.png")
    dataset = image_folder(tree)
    assert "emu/caf\\udce9.png" in dataset.rows
    assert dataset.images is not None
    assert dataset.images[dataset.rows.index("emu/caf\\udce9.png")].size == (200, 150)


def test_symlinks_are_followed_and_a_loop_ends(tree: Path, tmp_path: Path) -> None:
    noise_image(tmp_path / "elsewhere" / "d.png", 9)
    (tree / "kiwi").symlink_to(tmp_path / "elsewhere")
    (tree / "okapi" / "c.jpg").symlink_to(tree / "okapi" / "a.jpg")
    (tree / "okapi" / "more").symlink_to(tmp_path / "elsewhere")
    (tree / "okapi" / "loop").symlink_to(tree / "okapi")
    dataset = image_folder(tree)
    rows = dataset.rows
    assert dataset.skipped == ()
    assert "kiwi/d.png" in rows
    assert [row for row in rows if row.startswith("okapi")] == [
        "okapi/a.jpg",
        "okapi/b.jpg",
        "okapi/c.jpg",
        "okapi/more/d.png",
    ]


def test_wrong_roots_say_what_to_do(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not exist: set data\.root"):
        image_folder(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"is a file: set data\.root"):
        image_folder(tree / "okapi" / "a.jpg")
    with pytest.raises(InputError, match=r"images lie directly in it \(such as a\.jpg\): set"):
        image_folder(tree / "okapi")
    (tmp_path / "empty" / "okapi").mkdir(parents=True)
    with pytest.raises(InputError, match=r"holds no images: expected .*<class>"):
        image_folder(tmp_path / "empty")
    shutil.copytree(tree, tmp_path / "parts" / "train")
    shutil.copytree(tree, tmp_path / "parts" / "val")
    with pytest.raises(InputError, match=r"holds parts \(train, val\), not classes"):
        image_folder(tmp_path / "parts")
    (tmp_path / "bad" / "okapi").mkdir(parents=True)
    (tmp_path / "bad" / "okapi" / "a.jpg").write_text("?")
    with pytest.raises(InputError, match="none of the 1 files is a good image"):
        image_folder(tmp_path / "bad")


def test_reading_leaves_nothing_beside_the_images(tree: Path) -> None:
    before = sorted(tree.rglob("*"))
    image_folder(tree)
    assert sorted(tree.rglob("*")) == before


def test_a_link_back_to_the_root_does_not_bring_other_classes_in(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        file = tmp_path / name / "1.png"
        file.parent.mkdir()
        Image.new("RGB", (9, 9)).save(file)
    (tmp_path / "dog" / "loop").symlink_to(tmp_path)
    assert image_folder(tmp_path).rows == ("cat/1.png", "dog/1.png")


def test_a_link_beside_the_classes_to_a_folder_above_is_no_class(tree: Path) -> None:
    plain = image_folder(tree)
    (tree / "loop").symlink_to(tree)
    (tree / "up").symlink_to(tree.parent)
    (tree / "kiwi").symlink_to(tree / "okapi")
    dataset = image_folder(tree)
    assert dataset.classes == (*plain.classes[:1], "kiwi", *plain.classes[1:])
    assert [note.rpartition("/")[2] for note in dataset.skipped] == [
        "loop: a link back to a folder above it: left out",
        "up: a link back to a folder above it: left out",
    ]
    (tree / "kiwi").unlink()
    by_link = image_folder(tree / "loop")  # what a person names is read
    assert (by_link.rows, by_link.fingerprint) == (plain.rows, plain.fingerprint)
    assert files_below(tree / "loop", []) == files_below(tree, [])
