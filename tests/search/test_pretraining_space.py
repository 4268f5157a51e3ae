"""A run whose classes are few, and words for ordinary things, in the space `pretraining`."""

from __future__ import annotations

import html
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.images import COLOURS
from helpers.short_runs import SHORT, call, draw_photos
from omegaconf import DictConfig
from typer.testing import CliRunner

from devise_exp.core.errors import InputError
from devise_exp.data.decoding import open_image
from devise_exp.pipelines import run
from devise_exp.pipelines.prepare import features_of, prepare
from devise_exp.runs.folder import RunFolder
from devise_exp.search.answers import find_images
from devise_exp.search.saved_run import Run
from devise_exp.search.tags import tag_images
from devise_exp.ui.cli.main import app
from devise_exp.ui.page.answer import answer_query

VEHICLES = {"Motorbikes", "airplanes", "car_side", "helicopter", "ferry", "ketch", "schooner"}
INSTRUMENTS = {"accordion", "electric_guitar", "euphonium", "grand_piano", "mandolin", "saxophone"}


@pytest.fixture(scope="module")
def config(composed: Callable[..., DictConfig]) -> DictConfig:
    return composed(*SHORT, "index=exact")


@pytest.fixture(scope="module")
def trained(config: DictConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run on some of the shipped features, whose backbone has its own classifier."""
    folder = tmp_path_factory.mktemp("pretraining") / "run"
    run.train(config, folder, quietly=True)
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_photos(tmp_path_factory.mktemp("photos"))


def older(trained: Path, folder: Path) -> Path:
    """The run as one of before the space has it."""
    copy = shutil.copytree(trained, folder)
    (copy / "pretraining.npz").unlink()
    rows = json.loads((copy / "gallery" / "rows.json").read_text())
    rows["spaces"].remove("pretraining")
    (copy / "gallery" / "rows.json").write_text(json.dumps(rows))
    shutil.rmtree(copy / "gallery" / "pretraining")
    return copy


@pytest.mark.parametrize(
    ("word", "right"),
    [("vehicle", VEHICLES), ("instrument", INSTRUMENTS), ("dinosaur", None)],
    ids=["vehicle", "instrument", "dinosaur"],
)
def test_words_for_kinds_of_things_find_them(
    trained: Path, word: str, right: set[str] | None
) -> None:
    answer = find_images(Run.open(trained), word, k=10, space="pretraining")
    labels = [hit.row.label for hit in answer.hits]
    right = right or {"brontosaurus", "stegosaurus"}
    assert sum(label in right for label in labels) >= 6, labels
    assert answer.far == ()


def test_the_ranking_is_by_cosine_about_the_centre_of_the_pretraining(trained: Path) -> None:
    saved = Run.open(trained)
    words = RunFolder(trained).pretraining_words()
    assert words is not None
    vector = saved.vocabulary.vector("boat").astype(float)
    query = vector / np.linalg.norm(vector) - words.vectors.astype(float).mean(axis=0)
    gallery = saved.gallery("all", "pretraining")
    cosines = gallery.index.vectors @ (query / np.linalg.norm(query))
    answer = find_images(saved, "boat", k=5, space="pretraining")
    np.testing.assert_allclose(
        [h.similarity for h in answer.hits], np.sort(cosines)[:-6:-1], atol=1e-5
    )


def test_no_metric_is_measured_in_it(trained: Path) -> None:
    metrics = json.loads((trained / "metrics.json").read_text())
    assert Run.open(trained).spaces == ("devise", "pretraining")
    assert not [key for key in metrics if "pretraining" in key.split("/")]


def test_names_of_images_are_counted_after_the_fit_and_told(
    trained: Path, config: DictConfig
) -> None:
    data = prepare(config)
    features, head = np.asarray(features_of(config, data)), data.backbone.head
    assert head is not None
    doubtful = []
    for c, record in enumerate(RunFolder(trained).classes()):
        rows = data.split.train if record.seen else data.split.unseen_rows
        calls: Counter[str] = Counter()
        for row in rows[data.class_ids[rows] == c]:
            logits = features[row].astype(np.float32) @ head.weight.T + head.bias
            calls[(data.backbone.categories or ())[int(logits.argmax())].split(",")[0]] += 1
        assert record.image_names is not None
        assert record.image_names.n == calls.total()
        assert {count for _, count in record.image_names.names} <= set(calls.values())
        assert all(calls[name] == count for name, count in record.image_names.names)
        if not record.seen and calls.most_common(1)[0][1] * 2 > calls.total():
            doubtful.append(record.name)
    about = json.loads((trained / "metrics.json").read_text())
    assert about["leak/clean_called_one_name"] == len(doubtful) > 0
    output = " ".join(call("classes", trained).split())
    page = html.unescape((trained / "report.html").read_text())
    for name in doubtful[:10]:
        assert f"{name}: clean by its name, but" in output
        assert f"'labels.stated_overlapping={{{name}: " in page
    assert "calls its images" in page


def test_a_folder_is_searched_and_tagged_in_it(trained: Path, photos: Path, tmp_path: Path) -> None:
    """Under a run of before the space, too; a gallery of before is embedded again, once."""
    folder = older(trained, tmp_path / "run")
    saved = Run.open(folder)
    with pytest.raises(InputError, match=r"no space pretraining: .*devise-exp index"):
        find_images(saved, "boat", space="pretraining")
    assert saved.index_folder(photos).added == len(COLOURS)
    again = Run.open(folder)
    assert again.spaces == ("devise", "pretraining")
    with pytest.raises(InputError, match="no space pretraining: train or index again"):
        find_images(again, "boat", space="pretraining")
    stored = again.gallery(str(photos), "pretraining").index.vectors
    new = Run.open(shutil.copytree(trained, tmp_path / "new"))
    new.index_folder(photos)
    np.testing.assert_allclose(stored, new.gallery(str(photos), "pretraining").index.vectors)
    name = call("tag", folder, photos / "0.png", "--space", "pretraining", "-k", 2)
    expected = again.name_images([open_image(photos / "0.png")], 1000)[0]
    assert sum(share for _, share in expected) == pytest.approx(1, abs=1e-4)
    for category, share in expected[:2]:
        assert f"{share:.3f}" in name
        assert category in name
    none = ["tag", str(folder), str(photos / "0.png"), "--space", "pretraining", "-k", "0"]
    assert CliRunner().invoke(app, none).exit_code == 2
    words = call("tag", folder, photos / "0.png", "--space", "pretraining", "--vocabulary", 500)
    best = tag_images(again, stored[:1], 5, True, 500, space="pretraining")[0][0][0]
    assert best in words
    assert "images (" in call("search", folder, "boat", "--among", photos, "--space", "pretraining")


def test_images_stored_in_fewer_spaces_are_embedded_again(
    trained: Path, photos: Path, tmp_path: Path
) -> None:
    folder = older(trained, tmp_path / "run")
    saved = Run.open(folder)
    saved.index_folder(photos)
    gallery = next((folder / "galleries").glob("*/rows.json")).parent
    content = json.loads((gallery / "rows.json").read_text())
    content["spaces"] = ["devise"]
    (gallery / "rows.json").write_text(json.dumps(content))
    shutil.rmtree(gallery / "pretraining")
    report = saved.index_folder(photos)
    assert (report.added, report.changed) == (0, 0)
    assert len(saved.gallery(str(photos), "pretraining")) == len(COLOURS)


def test_the_command_and_the_page_say_which_words_are_far(trained: Path) -> None:
    output = " ".join(call("search", trained, "algebra").split())
    assert "algebra: the nearest trained class is" in output
    assert "far from all trained classes; try --space pretraining" in output
    assert "far from" not in call("search", trained, "algebra", "--space", "pretraining")
    saved = Run.open(trained)
    line, *_ = answer_query(saved, "algebra", None, "all", 3)
    assert "far from all trained classes; try Compare in: pretraining" in line
    line, *_, hits = answer_query(saved, "vehicle", None, "all", 3, space="pretraining")
    assert "far from" not in line
    assert len(hits) == 3


def test_a_backbone_without_a_classifier_is_one_line(searchable: Path) -> None:
    saved = Run.open(searchable)
    for ask in (
        lambda: find_images(saved, "cat", space="pretraining"),
        lambda: saved.gallery("all", "pretraining"),
        lambda: saved.centre_in("pretraining"),
    ):
        with pytest.raises(InputError, match="has random weights, which know no classes") as caught:
            ask()
        assert "\n" not in str(caught.value)
    result = CliRunner().invoke(
        app, ["tag", str(searchable), "nothing.png", "--space", "pretraining"]
    )
    assert result.exit_code == 2
    output = call("classes", searchable)
    assert "calls its images" not in output
    assert "random weights" in " ".join(output.split())


def test_a_run_that_asks_for_it_without_a_classifier_ends(
    composed: Callable[..., DictConfig], image_tree: Path, tmp_path: Path
) -> None:
    wrong = composed(
        "data=image_folder", f"data.root={image_tree}", "backbone=resnet18",
        "backbone.weights=null", "features.num_workers=0", "spaces=[pretraining]", "logger=none",
    )  # fmt: skip
    with pytest.raises(InputError, match=r"spaces=\[pretraining\]: .*random weights"):
        run.train(wrong, tmp_path / "run", quietly=True)
    assert not (tmp_path / "run").exists()
