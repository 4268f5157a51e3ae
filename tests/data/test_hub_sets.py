"""data=hugging_face: folders of save_to_disk and of Parquet files, their columns and classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value
from helpers.listed_images import CLASSES, draw_flat
from helpers.packed_images import save_data_set
from PIL import Image as PilImage

from devise_exp.core.errors import InputError
from devise_exp.data.decoding import open_image
from devise_exp.data.hub_sets import hugging_face

Rows = list[tuple[str, str]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hf")
    draw_flat(folder, 4)
    return folder


@pytest.fixture
def rows() -> Rows:
    return [(f"pictures/{i:03d} ü.png", CLASSES[i % 6]) for i in range(24)]


def refusal(path: Path | str, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        hugging_face(path, **options)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 700
    return line


def cells(base: Path, rows: Rows) -> list[dict[str, Any]]:
    return [{"bytes": (base / path).read_bytes(), "path": None} for path, _ in rows]


def test_a_saved_folder_with_named_classes(base: Path, rows: Rows, tmp_path: Path) -> None:
    parts = {"train": rows[:12], "validation": rows[12:18], "test": rows[18:]}
    folder = save_data_set(tmp_path / "saved", base, parts)
    data = hugging_face(folder, parts="keep")
    assert data.classes == CLASSES
    assert data.parts is not None
    assert [data.parts.count(part) for part in ("train", "val", "test")] == [12, 6, 6]
    assert data.about[0] == (
        "hugging_face: split train, 12 rows, image in column img, label in column fine"
    )
    assert data.images is not None
    row = data.rows.index("bee/test/000001")
    saved = np.asarray(PilImage.open(base / rows[19][0]).convert("RGB"))
    assert np.array_equal(np.asarray(data.images[row]), saved)
    assert hugging_face(folder).parts is None
    assert "split=official takes them" in hugging_face(folder).remarks[0]


def test_columns_and_hidden_labels(base: Path, rows: Rows, tmp_path: Path) -> None:
    labels = ClassLabel(names=list(CLASSES))
    table = {
        "photo": cells(base, rows),
        "fine": [*[CLASSES.index(name) for _, name in rows[:-1]], -1],
        "coarse": [i % 2 for i in range(24)],
        "text": [name for _, name in rows],
        "number": [7] * 24,
        "group": [f"g{i // 4}" for i in range(24)],
    }
    features = Features(
        {"photo": Image(), "fine": labels, "coarse": ClassLabel(names=["x", "y"]),
         "text": Value("string"), "number": Value("int64"), "group": Value("string")}
    )  # fmt: skip
    Dataset.from_dict(table, features=features).save_to_disk(tmp_path / "one")
    line = refusal(tmp_path / "one")
    assert "which column is the label? It has fine, coarse: give data.label=COLUMN" in line
    data = hugging_face(tmp_path / "one", label="fine")
    assert data.skipped == ("all/000023: no label",)
    assert data.groups is not None
    assert set(data.groups) == {f"g{i}" for i in range(6)}
    assert hugging_face(tmp_path / "one", label="text").classes == CLASSES
    assert "labels are numbers (7)" in refusal(tmp_path / "one", label="number")
    assert "data.image=text holds no images: choose photo" in refusal(
        tmp_path / "one", image="text", label="fine"
    )
    assert "no such column" in refusal(tmp_path / "one", label="nosuch")
    assert "1 rows have no image or no label" in refusal(
        tmp_path / "one", label="fine", strict=True
    )


def test_a_folder_of_parquet_files(
    base: Path, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = Features({"image": Image(), "label": ClassLabel(names=list(CLASSES))})
    table = {"image": cells(base, rows), "label": [CLASSES.index(name) for _, name in rows]}
    (tmp_path / "p").mkdir()
    Dataset.from_dict(table, features=features).to_parquet(tmp_path / "p/train.parquet")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    data = hugging_face(tmp_path / "p")
    assert data.classes == CLASSES
    assert len(data.rows) == 24


def test_what_is_no_data_set_is_one_line(rows: Rows, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no data set of Hugging Face that can be read here" in refusal(tmp_path / "empty")
    Dataset.from_dict({"image": [p for p, _ in rows], "label": [n for _, n in rows]}).save_to_disk(
        tmp_path / "paths"
    )
    assert "no column holds images (it has image, label" in refusal(tmp_path / "paths")
    (tmp_path / "paths/state.json").write_text("{")
    assert "no data set of Hugging Face" in refusal(tmp_path / "paths")


def test_a_damaged_file_is_one_line(base: Path, rows: Rows, tmp_path: Path) -> None:
    folder = save_data_set(tmp_path / "saved", base, {"train": rows})
    (file,) = folder.rglob("*.arrow")
    with pytest.raises(InputError, match="no row 99 in"):
        open_image(file / "img/99")
    with pytest.raises(InputError, match="cannot be read"):
        open_image(file / "nosuch/1")
    with pytest.raises(InputError, match="column fine holds no images"):
        open_image(file / "fine/1")
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(InputError, match="cannot be read"):
        open_image(file / "img/3")
    assert len(refusal(folder)) < 700
