"""Every layout of data: trained on, evaluated, searched and tagged by the run folder alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.configs import ALONE, TINY
from helpers.listed_images import CLASSES, csv_text, draw_flat
from helpers.packed_images import save_data_set, write_shard
from omegaconf import DictConfig
from typer.testing import CliRunner

from devise_exp.core.errors import InputError
from devise_exp.data.decoding import open_image
from devise_exp.pipelines import reevaluation, run
from devise_exp.search.answers import find_images
from devise_exp.search.saved_run import Run
from devise_exp.search.tags import embed_files, tag_images
from devise_exp.ui.cli.main import app

PARTS = ("train",) * 4 + ("val",) + ("test",) * 3  # of the eight images of a class


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, str, str]]]:
    base = tmp_path_factory.mktemp("layouts")
    listed = draw_flat(base, 8)
    return base, [(*row, PARTS[i // len(CLASSES)]) for i, row in enumerate(listed)]


def of_part(rows: list[tuple[str, str, str]], part: str) -> list[tuple[str, str]]:
    return [(path, name) for path, name, of in rows if of == part]


def as_table(base: Path, rows: list[tuple[str, str, str]], folder: Path) -> list[str]:
    file = folder / "my list.csv"
    grouped = [(*row, f"{row[1]} {row[2]}") for row in rows]  # a series of each class and part
    file.write_text(csv_text(grouped, "path,class,split,group"), encoding="utf-8")
    return ["data=table", f"data.file='{file}'", f"data.root={base}"]


def as_shards(base: Path, rows: list[tuple[str, str, str]], folder: Path) -> list[str]:
    for part in ("train", "val", "test"):
        write_shard(folder / "shards" / part / "0.tar", base, of_part(rows, part), "txt")
    return ["data=webdataset", f"data.root={folder / 'shards'}"]


def as_data_set(base: Path, rows: list[tuple[str, str, str]], folder: Path) -> list[str]:
    parts = {"train": "train", "validation": "val", "test": "test"}
    save_data_set(folder / "hf", base, {name: of_part(rows, of) for name, of in parts.items()})
    return ["data=hugging_face", f"data.path={folder / 'hf'}"]


def as_folders(base: Path, rows: list[tuple[str, str, str]], folder: Path) -> list[str]:
    for path, name, part in rows:
        file = folder / "tree" / f"{part}_set" / name / Path(path).name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes((base / path).read_bytes())
    return ["data=image_folder", f"data.root={folder / 'tree'}"]


@pytest.mark.parametrize("layout", [as_folders, as_table, as_shards, as_data_set])
def test_a_layout_from_training_to_tags(
    layout: Callable[..., list[str]],
    rows: tuple[Path, list[tuple[str, str, str]]],
    composed: Callable[..., DictConfig],
    tmp_path: Path,
) -> None:
    options = layout(*rows, tmp_path)
    config = composed(
        *options, "split=official", "split.unseen=[owl]", "backbone=resnet18",
        "backbone.weights=null", "projection=linear", "trainer.max_epochs=1",
        "features.num_workers=0", "logger=none", *ALONE, *TINY,
    )  # fmt: skip
    metrics = run.train(config, tmp_path / "run", quietly=True)
    again = reevaluation.evaluate(composed(f"run_dir={tmp_path / 'run'}", name="evaluate"))
    assert again == {name: metrics[name] for name in again}
    root = options[1].partition("=")[2].strip("'")
    whole = (f"run_dir={tmp_path / 'run'}", f"data.root='{root}'")
    with pytest.raises(InputError, match=r"data\.parts=join"):
        reevaluation.evaluate(composed(*whole, name="evaluate"))
    # Training and validation images are left out by their content: the test images are left.
    others = reevaluation.evaluate(composed(*whole, "data.parts=join", name="evaluate"))
    hits = {name: value for name, value in others.items() if "/hit@" in name}
    assert hits == {name: metrics[name] for name in hits}
    assert {"seen/hit@1", "all_unseen/hit@1"} <= set(hits)
    saved = Run.open(tmp_path / "run")
    parts = [row.part for row in saved.gallery("all").rows]
    # Of five seen classes one image validates and three test; all eight of the unseen one.
    assert [parts.count(part) for part in ("val", "test", "unseen")] == [5, 15, 8]
    answer = find_images(saved, "lion", None, "all", 3)
    files = [Path(str(hit.row.path)) for hit in answer.hits]
    assert {open_image(file).size for file in files} == {(40, 40)}
    assert len(tag_images(saved, embed_files(saved, files), 2)) == 3
    similar = find_images(saved, "", files[0], "all", 3)
    assert answer.hits[0].row.name not in [hit.row.name for hit in similar.hits]
    shown = CliRunner().invoke(app, ["search", str(tmp_path / "run"), "lion", "-k", "3"])
    assert shown.exit_code == 0
    assert "not on disk" not in shown.output
