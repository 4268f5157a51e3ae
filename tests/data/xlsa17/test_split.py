"""The proposed split: published parts, and validation rows by the seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from helpers.xlsa17 import CLASSES, UNSEEN, published_files
from omegaconf import DictConfig

from devise_exp.core.errors import InputError
from devise_exp.data.xlsa17 import files
from devise_exp.data.xlsa17.listed_rows import PARTS
from devise_exp.evaluation import published_results
from devise_exp.pipelines.experiment_data import ExperimentData
from devise_exp.pipelines.prepare import prepare

Config = Callable[..., DictConfig]


def test_the_split_is_the_published_one_but_for_validation(xlsa17_data: ExperimentData) -> None:
    _, stated = published_files()
    split = xlsa17_data.split
    places = {key: set((stated[key].ravel() - 1).astype(int)) for key in PARTS}
    assert set(split.test) == places["test_seen_loc"]
    assert set(split.unseen_rows) == places["test_unseen_loc"]
    assert set(split.train) | set(split.val) == places["trainval_loc"]
    assert {split.classes[c] for c in split.unseen} == set(UNSEEN)
    validated = xlsa17_data.class_ids[split.val]
    assert sorted(validated) == sorted(split.seen)  # a tenth of nine: one of each seen class
    assert split.name == "xlsa17_AWA2"


def test_validation_rows_go_by_the_seed(xlsa17_config: Config, xlsa17_data: ExperimentData) -> None:
    again, other = prepare(xlsa17_config()).split, prepare(xlsa17_config("split.seed=1")).split
    assert again.fingerprint == xlsa17_data.split.fingerprint != other.fingerprint
    np.testing.assert_array_equal(again.val, xlsa17_data.split.val)
    assert set(other.test) == set(again.test)
    half = prepare(xlsa17_config("split.val_share=0.5")).split
    assert len(half.val) == 4 * len(half.seen)  # round(4.5)


def test_a_subset_keeps_its_parts_and_loses_the_published_row(xlsa17_config: Config) -> None:
    data = prepare(xlsa17_config("subset.limit_per_class=10"))
    full = files.read_listing(xlsa17_config().data.root, "AWA2")
    assert len(data.dataset.rows) == 10 * len(CLASSES)
    tested = {data.dataset.rows[i] for i in data.split.test}
    assert tested < {full.rows[i] for i in full.parts[1]}
    assert published_results.published(data.split.name) == ()
    with pytest.raises(InputError, match=r"too few of its rows of .*limit_per_class=null"):
        prepare(xlsa17_config("subset.limit_per_class=1"))


def test_other_word_vectors_and_splits_can_be_chosen(xlsa17_config: Config) -> None:
    data = prepare(xlsa17_config("word_vectors=random", "split=random", "split.n_unseen=2"))
    assert (data.vocabulary.name, data.split.name) == ("random", "random2")
    assert len(data.split.test) == 4 * 2  # a fifth of twelve
