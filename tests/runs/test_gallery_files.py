"""Galleries are saved and read back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.galleries import FEATURES, ROWS, VECTORS, unit

from devise_exp.core.errors import InputError
from devise_exp.index.exact import ExactIndex
from devise_exp.index.nmslib_index import NmslibIndex
from devise_exp.runs.gallery import GalleryRow
from devise_exp.runs.gallery_files import load, save


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "run" / "gallery"
    save(folder, ROWS, {"devise": VECTORS, "backbone": FEATURES}, ExactIndex)
    return folder


@pytest.mark.parametrize("make_index", [ExactIndex, NmslibIndex])
def test_a_gallery_is_read_back_in_each_of_its_spaces(tmp_path: Path, make_index: type) -> None:
    save(tmp_path / "g", ROWS, {"devise": VECTORS, "backbone": FEATURES}, make_index)
    for space, vectors in (("devise", VECTORS), ("backbone", FEATURES)):
        result = load(tmp_path / "g", space)
        assert list(result.rows) == ROWS
        assert (result.name, len(result)) == ("g", 4)
        assert isinstance(result.index, make_index)
        np.testing.assert_allclose(result.index.vectors, unit(vectors), atol=1e-6)


def test_saving_again_replaces_the_gallery_and_paths_become_absolute(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(
        saved, [GalleryRow(name="x.png", path="images/x.png")], {"devise": VECTORS[:1]}, ExactIndex
    )
    result = load(saved, "devise")
    assert [row.path for row in result.rows] == [str(tmp_path / "images" / "x.png")]
    assert sorted(path.name for path in saved.iterdir()) == ["devise", "rows.json"]
    with pytest.raises(
        InputError, match="no space backbone: train or index again for it, or choose devise"
    ):
        load(saved, "backbone")


def test_a_gallery_that_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="4 rows"):
        save(tmp_path / "g", ROWS, {"devise": VECTORS[:3]}, ExactIndex)
    assert not list(tmp_path.iterdir())


def alter(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: shutil.rmtree(folder),
        lambda folder: (folder / "rows.json").unlink(),
        lambda folder: (folder / "rows.json").write_text('{"format": 1, "rows": ['),
        lambda folder: (folder / "rows.json").write_bytes(b"\xff\xfe"),
        lambda folder: (folder / "rows.json").write_text("[" * 100_000),
        lambda folder: alter(folder / "rows.json", format=99),
        lambda folder: alter(folder / "rows.json", rows=[{"name": "a", "size": 3}]),
        lambda folder: alter(folder / "rows.json", rows=[{"name": 3}] * 4),
        lambda folder: alter(folder / "rows.json", rows=[{"name": "a"}] * 3),
        lambda folder: alter(folder / "rows.json", rows=None),
        lambda folder: (folder / "devise" / "vectors.npy").write_bytes(b"junk"),
        lambda folder: shutil.rmtree(folder / "devise"),
    ],
)
def test_a_damaged_gallery_is_one_line_that_names_it(saved: Path, harm) -> None:
    harm(saved)
    with pytest.raises(InputError) as caught:
        load(saved, "devise")
    assert str(saved) in str(caught.value)
    assert "\n" not in str(caught.value)
