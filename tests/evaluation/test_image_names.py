"""What the images of a class are called, by hand."""

from __future__ import annotations

import shlex

import numpy as np
import pytest

from devise_exp.core.config import compose_config
from devise_exp.data.verdict_kinds import CLEAN, CLEAN_AS_STATED, NOT_IDENTIFIED
from devise_exp.evaluation.image_names import ImageNames, doubtful_classes, names_of_images
from devise_exp.pipelines.label_entries import stated_overlapping
from devise_exp.reports.image_name_cells import image_name_lines, image_names_cell
from devise_exp.runs.class_records import ClassRecord

CATEGORIES = ("desk", "pool table, billiard table, snooker table", "tench", "cock", "hen")


def record(name: str, names: ImageNames | None, seen: bool = False) -> ClassRecord:
    return ClassRecord(name=name, seen=seen, words=(name,), rule="exact", image_names=names)


def test_the_three_commonest_names_with_their_numbers() -> None:
    names = names_of_images(np.array([4, 1, 1, 3, 2, 1, 3]), CATEGORIES)
    assert names == ImageNames(n=7, names=(("pool table", 3), ("cock", 2), ("tench", 1)))
    assert names.text == "pool table 3, cock 2, tench 1 of 7"
    assert names_of_images(np.array([], dtype=np.int64), CATEGORIES) == ImageNames(n=0, names=())


def test_a_clean_class_most_of_whose_images_have_one_name_is_marked() -> None:
    most, half = (ImageNames(n=40, names=(("pool table", count),)) for count in (21, 20))
    names = {
        "billiards": most,
        "pool": half,
        "ewer": most,
        "darts": None,
        "x": ImageNames(n=0, names=()),
    }
    verdicts = {"billiards": CLEAN, "pool": CLEAN, "ewer": "is pitcher", "darts": CLEAN, "x": CLEAN}
    assert list(doubtful_classes(names, verdicts)) == ["billiards"]
    for verdict in (CLEAN_AS_STATED, NOT_IDENTIFIED, ""):
        assert not most.is_doubtful(verdict)
    assert image_names_cell(record("billiards", most), CLEAN) == "! pool table 21 of 40"
    assert image_names_cell(record("billiards", most)) == "pool table 21 of 40"
    assert image_names_cell(record("darts", None), CLEAN) == ""


def test_a_line_for_each_marked_class_up_to_ten() -> None:
    most = ImageNames(n=40, names=(("pool table", 40),))
    (line,) = image_name_lines([record("billiards", most)], {"billiards": CLEAN})
    assert line == (
        "billiards: clean by its name, but 40 of 40 images are called pool table: state it with "
        "'labels.stated_overlapping={billiards: pool table}' if it is the same thing"
    )
    (line,) = image_name_lines([record("bar billiards", most)], {"bar billiards": CLEAN})
    assert "'labels.stated_overlapping={bar billiards: pool table}'" in line
    (line,) = image_name_lines([record("crème, brûlée", most)], {"crème, brûlée": CLEAN})
    assert "labels.stated_overlapping=['crème, brûlée']" in line
    records = [record(f"c{i}", most) for i in range(13)]
    lines = image_name_lines(records, {r.name: CLEAN for r in records})
    assert len(lines) == 11
    assert lines[-1] == "3 more clean classes are marked so"
    assert image_name_lines([record("cat", most, seen=True)], {}) == []


def test_classes_of_few_images_are_counted_and_nothing_is_suggested() -> None:
    few = ImageNames(n=4, names=(("velvet", 4),))
    enough = ImageNames(n=5, names=(("velvet", 3), ("desk", 2)))
    records = [record("onion", few), record("plum", few), record("tomato", enough)]
    lines = image_name_lines(records, {r.name: CLEAN for r in records})
    assert lines[0].startswith("tomato: clean by its name, but 3 of 5 images are called velvet")
    assert lines[1:] == [
        "2 clean classes with fewer than 5 images have one name for most of them: too few images "
        "to state an overlap"
    ]


def test_a_run_without_names_says_why() -> None:
    (line,) = image_name_lines([record("cat", None)], {}, "resnet18 has random weights")
    assert line == (
        "No column of what the backbone's own classifier calls the images: resnet18 has random "
        "weights."
    )


@pytest.mark.parametrize("name", ["billiards", "bar billiards", "water-ski", "x_2"])
@pytest.mark.parametrize("category", ["pool table", "jack-o'-lantern", "four-poster"])
def test_the_statement_is_read_as_it_is_written(name: str, category: str) -> None:
    called = ImageNames(n=40, names=((category, 40),))
    (line,) = image_name_lines([record(name, called)], {name: CLEAN})
    (argument, *_) = shlex.split(line.partition("state it with ")[2])
    config = compose_config([argument])
    categories = [f"{category}, something else"]
    stated = stated_overlapping(config.labels, [name, "other"], categories)
    assert stated == {name: categories[0]}
