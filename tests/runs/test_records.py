"""Records of a run folder's JSON files keep their keys, and refuse wrong entries."""

from __future__ import annotations

import json

import numpy as np
import pytest

from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.splits import named_split
from devise_exp.evaluation.verdicts import Overlap
from devise_exp.runs.class_records import ClassRecord, class_records
from devise_exp.runs.records import RunDetails, SplitRecord
from devise_exp.text.labels import Resolution

NAMES = ["cat", "dog", "ship"]
ROWS = [f"{name}/{i}.png" for name in NAMES for i in range(5)]
SPLIT = named_split(LabelledRows(classes=NAMES, labels=np.arange(3).repeat(5), rows=ROWS), ["dog"])
OVERLAP = Overlap(name="dog", relation="is a kind of", category="canine", sense="dog")


def test_records_come_back_from_json() -> None:
    resolutions = [Resolution(name, (name,), "exact") for name in NAMES]
    details = RunDetails(
        about={"data": "x"},
        overlaps=(OVERLAP,),
        skipped=("a.png: broken",),
        methods={"devise": {"rate": 1}},
        unidentified=("zzyzx",),
        stated_clean=("qqq",),
        copies=("a.png = b.png",),
        dropped=("qwx",),
    )
    for record in (*class_records(SPLIT, resolutions), SplitRecord.of(SPLIT, ROWS), details):
        content = json.loads(json.dumps(record.to_json()))
        assert type(record).from_json(content) == record


def test_the_keys_on_disk_stay() -> None:
    record = ClassRecord(name="cat", seen=True, words=("cat",), rule="exact")
    assert record.to_json() == {"name": "cat", "seen": True, "words": ["cat"], "how": "exact"}
    assert list(SplitRecord.of(SPLIT, ROWS).to_json()) == [
        "name", "seed", "fingerprint", "train", "val", "test", "unseen"
    ]  # fmt: skip
    assert list(RunDetails(about={}).to_json()) == [
        "about", "leaks", "skipped", "methods", "unidentified", "stated_clean", "copies",
        "possible", "other_senses", "unnamed", "dropped",
    ]  # fmt: skip


def test_rows_of_a_part() -> None:
    record = SplitRecord.of(SPLIT, ROWS)
    assert record.unseen == tuple(f"dog/{i}.png" for i in range(5))


def test_the_strongest_relation_of_an_overlap_is_first() -> None:
    weaker = Overlap(name="dog", relation="includes", category="pug", sense="dog")
    details = RunDetails(about={}, overlaps=(OVERLAP, weaker))
    assert details.relations == {"dog": ("is a kind of canine", "includes pug")}


@pytest.mark.parametrize("change", [{"name": 3}, {"words": [1]}, {"how": None}, {"words": None}])
def test_a_wrong_entry_is_an_error(change: dict[str, object]) -> None:
    entry = {"name": "cat", "seen": True, "words": ["cat"], "how": "exact"}
    with pytest.raises(TypeError):
        ClassRecord.from_json(entry | change)
    with pytest.raises(KeyError):
        ClassRecord.from_json({"name": "cat"})


@pytest.mark.parametrize("name", ["my-method", "ridge 0.5", "Köln"])
def test_methods_of_any_name_that_can_name_a_file_are_read(name: str) -> None:
    details = RunDetails(about={}, methods={name: {"ridge": 0.5}})
    assert RunDetails.from_json(details.to_json()) == details


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".", "a\\b", "a\0"])
def test_a_method_that_names_no_file_of_the_run_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="no names of methods"):
        RunDetails.from_json(RunDetails(about={}, methods={name: {}}).to_json())
