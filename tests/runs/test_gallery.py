"""A gallery: its parts, and its images by their files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.galleries import FEATURES, ROWS, VECTORS, unit

from devise_exp.core.errors import InputError
from devise_exp.index.exact import ExactIndex
from devise_exp.runs.gallery import GalleryRow
from devise_exp.runs.gallery_files import load, save


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "run" / "gallery"
    save(folder, ROWS, {"devise": VECTORS, "backbone": FEATURES}, ExactIndex)
    return folder


def test_a_part_has_its_rows_alone(saved: Path) -> None:
    whole = load(saved, "devise")
    unseen = whole.part("unseen")
    assert [row.name for row in unseen.rows] == ["okapi/b.png", "emu/d.png"]
    np.testing.assert_array_equal(unseen.index.vectors, whole.index.vectors[[1, 3]])
    ids, similarities = unseen.index.search(VECTORS[2:3], 2)
    cosines = unit(VECTORS[[1, 3]]) @ unit(VECTORS[2])
    assert ids[0].tolist() == np.argsort(-cosines).tolist()
    np.testing.assert_allclose(similarities[0], np.sort(cosines)[::-1], atol=1e-6)
    assert whole.part("all") is whole
    with pytest.raises(InputError, match="no images of train: choose all or test or unseen"):
        whole.part("train")


def test_an_image_is_found_by_its_file_however_it_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    for name in ("a.png", "b.png"):
        (pool / name).write_bytes(b"an image")
    (pool / "link.png").symlink_to(pool / "b.png")
    (tmp_path / "other").symlink_to(pool)
    rows = [
        GalleryRow(name="a.png", path=str(pool / "a.png")),
        GalleryRow(name="link.png", path=str(pool / "link.png")),
        GalleryRow(name="gone.png"),
    ]
    save(tmp_path / "g", rows, {"devise": VECTORS[:3]}, ExactIndex)
    result = load(tmp_path / "g", "devise")
    monkeypatch.chdir(pool)
    for path in ("a.png", "../pool/a.png", str(tmp_path / "other" / "a.png")):
        assert result.row_of(Path(path)) == 0
    assert result.row_of(Path("b.png")) == 1
    assert result.row_of(Path("gone.png")) is None


def test_images_are_located_where_they_are_now(saved: Path, tmp_path: Path) -> None:
    root = tmp_path / "moved"
    for name in ("okapi/a.png", "emu/ä [b] 東京.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"an image")
    result = load(saved, "devise").with_image_root(root)
    assert [row.path for row in result.rows] == [
        str(root / "okapi/a.png"), None, str(root / "emu/ä [b] 東京.png"), None,
    ]  # fmt: skip
    assert result.row_of(root / "okapi/a.png") == 0
    with pytest.raises(InputError, match=r"none of these .* by name.*okapi/a\.png"):
        load(saved, "devise").with_image_root(tmp_path)
