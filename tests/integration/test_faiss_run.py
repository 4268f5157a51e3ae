"""A run under index=faiss, from training to search, tags and a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.images import COLOURS
from helpers.indexes import assert_same
from helpers.short_runs import SHORT, call, draw_photos
from omegaconf import DictConfig

from devise_exp.index.exact import ExactIndex
from devise_exp.index.faiss_index import FaissIndex
from devise_exp.index.saved import load
from devise_exp.pipelines import run
from devise_exp.search.saved_run import Run


@pytest.fixture(scope="module")
def trained(composed: Callable[..., DictConfig], tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = composed(*SHORT, "index=faiss", "index.kind=hnsw")
    folder = tmp_path_factory.mktemp("faiss") / "run"
    run.train(config, folder, quietly=True)
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_photos(tmp_path_factory.mktemp("photos"))


def test_a_run_reports_the_recall_of_faiss_and_keeps_its_index(trained: Path) -> None:
    values = json.loads((trained / "metrics.json").read_text())
    assert values["index"] == "FaissIndex hnsw"
    assert values["index/recall@10"] == 1
    index = load(trained / "index")
    assert isinstance(index, FaissIndex)
    assert_same(index.search(index.vectors, 5), ExactIndex(index.vectors).search(index.vectors, 5))
    assert isinstance(Run.open(trained).gallery("test").index, ExactIndex)  # a part of the rows
    assert isinstance(Run.open(trained).gallery("all").index, FaissIndex)


def test_words_images_tags_and_folders_are_asked_by_faiss(trained: Path, photos: Path) -> None:
    n = len(COLOURS)
    assert f"{n} images: {n} added" in call("index", trained, photos)
    gallery = Run.open(trained).gallery(str(photos))
    assert isinstance(gallery.index, FaissIndex)
    for arguments in (("piano",), ("piano", "--among", photos), ("--image", photos / "0.png")):
        assert "image" in call("search", trained, *arguments, "-k", 2)
    assert "0.png" in call("tag", trained, photos / "0.png")
    vectors = np.asarray(gallery.index.vectors)
    assert_same(gallery.index.search(vectors, 3), ExactIndex(vectors).search(vectors, 3))
