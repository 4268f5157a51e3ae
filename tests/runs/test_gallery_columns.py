"""A large gallery keeps its images in columns, and is read as a small one is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.galleries import ROWS, VECTORS

from devise_exp.core.errors import InputError
from devise_exp.core.files import file_stamp
from devise_exp.index.exact import ExactIndex
from devise_exp.runs import gallery_files
from devise_exp.runs.gallery import Gallery, GalleryRow
from devise_exp.runs.gallery_columns import GalleryColumns
from devise_exp.runs.gallery_files import gallery_names, load, save


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery_files, "MANY_ROWS", 3)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save(tmp_path / "g", ROWS, {"devise": VECTORS}, ExactIndex)
    return tmp_path / "g"


def test_rows_in_columns_are_those_that_were_saved(saved: Path) -> None:
    gallery = load(saved, "devise")
    assert isinstance(gallery.rows, GalleryColumns)
    assert list(gallery.rows) == ROWS
    assert gallery.rows[1:3] == tuple(ROWS[1:3])
    assert [row.name for row in gallery.part("unseen").rows] == ["okapi/b.png", "emu/d.png"]
    assert gallery_names(saved.parent) == ["g"]
    save(saved, ROWS[:2], {"devise": VECTORS[:2]}, ExactIndex)  # few again
    assert type(load(saved, "devise").rows) is tuple


def folder_gallery(root: Path, target: Path) -> Gallery:
    root.mkdir()
    names = sorted(f"{i}.png" for i in range(12))
    for name in names:
        (root / name).write_text(name)
    (root / "1.png").unlink()
    (root / "1.png").symlink_to(root.parent / "elsewhere.png")
    rows = [GalleryRow(name=n, path=str(root / n), stamp=file_stamp(root / n)) for n in names]
    vectors = np.random.default_rng(0).normal(size=(12, 4))
    save(target, rows, {"devise": vectors}, ExactIndex, str(root))
    assert list(load(target, "devise").rows) == rows
    return load(target, "devise")


def test_a_file_is_found_without_a_table_of_all(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    gallery = folder_gallery(root, tmp_path / "g")
    for i, row in enumerate(gallery.rows):
        assert gallery.row_of(root / row.name) == (None if row.name == "1.png" else i)
    assert gallery.row_of(tmp_path / "other.png") is None
    assert gallery.row_of(root / "99.png") is None
    (root / "7.png").write_text("changed since")
    assert gallery.row_of(root / "7.png") is None
    stored = (tmp_path / "g/rows/path.text.npy").read_bytes()
    assert str(root).encode() not in stored  # the folder is not repeated


def test_a_file_of_a_run_is_found_whatever_the_order_of_its_rows(tmp_path: Path) -> None:
    """A run's own gallery has no folder, and the order of its split."""
    names = ["okapi/b.png", "emu/a.png", "okapi/a.png", "emu/c.png"]
    rows = [GalleryRow(name=name, path=str(tmp_path / name)) for name in names]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    save(tmp_path / "gallery", rows, {"devise": np.eye(4)}, ExactIndex)
    gallery = load(tmp_path / "gallery", "devise")
    assert [gallery.row_of(tmp_path / name) for name in names] == [0, 1, 2, 3]
    assert gallery.row_of(tmp_path / "emu/b.png") is None


@pytest.mark.parametrize("file", ["name.text.npy", "stamp.ends.npy", "path.text.npy"])
@pytest.mark.parametrize("harm", ["cut", "gone", "flipped"])
def test_damaged_columns_are_one_line(file: str, harm: str, saved: Path) -> None:
    path = saved / "rows" / file
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content if harm == "flipped" else content[:-3])
    if harm == "gone":
        path.unlink()
    with pytest.raises(InputError, match=r"rows\.json: damaged: remove .* and train or index"):
        load(saved, "devise")


@pytest.mark.parametrize("change", [{"digest": "x"}, {"digest": 3}, {"name": 3}, {"spaces": [3]}])
def test_another_content_is_one_line(change: dict[str, object], saved: Path) -> None:
    rows = saved / "rows.json"
    rows.write_text(json.dumps(json.loads(rows.read_text()) | change))
    with pytest.raises(InputError, match="damaged"):
        load(saved, "devise")
