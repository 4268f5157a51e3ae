"""split=clean: unseen classes drawn among those that pass the overlap audit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import read_names
from devise_exp.core.name_lists import write_names
from devise_exp.data.audited_split import clean_split
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.published_split import folders_split
from devise_exp.data.splits import named_split, random_split

CLASSES = [f"class {i:02}" for i in range(20)]
CLEAN = CLASSES[::2]
KINDS = ("overlapping", "possibly overlapping", "not identified")
VERDICTS = {
    name: "clean" if name in CLEAN else KINDS[i % 3] for i, name in enumerate(CLASSES)
}  # fmt: skip


@pytest.fixture(scope="module")
def data() -> LabelledRows:
    rows = [f"{name}/{i}.png" for name in CLASSES for i in range(5)]
    labels = np.repeat(np.arange(len(CLASSES)), 5)
    return LabelledRows(classes=CLASSES, labels=labels, rows=rows, verdicts=VERDICTS)


def test_only_classes_that_pass_are_drawn_and_the_seed_decides_which(data: LabelledRows) -> None:
    splits = [clean_split(data, n_unseen=4, seed=seed) for seed in range(8)]
    drawn = [{split.classes[c] for c in split.unseen} for split in splits]
    assert all(len(names) == 4 and names <= set(CLEAN) for names in drawn)
    assert len({frozenset(names) for names in drawn}) > 4
    assert clean_split(data, n_unseen=4, seed=3).fingerprint == splits[3].fingerprint
    assert (splits[0].name, splits[0].clean) == ("clean4", "require")
    assert len(clean_split(data).unseen) == 4  # a fifth of all classes, as split=random has it
    named = named_split(data, sorted(drawn[3]), seed=3)
    assert named.fingerprint == splits[3].fingerprint
    everything = replace(data, verdicts=dict.fromkeys(CLASSES, "clean"))
    drawn_of_all = clean_split(everything, n_unseen=4, seed=3)
    assert drawn_of_all.fingerprint == random_split(data, n_unseen=4, seed=3).fingerprint


def test_a_class_with_another_verdict_leaves_the_others_in_their_order(data: LabelledRows) -> None:
    whole = clean_split(data, n_unseen=5, seed=1)
    names = [whole.classes[c] for c in whole.unseen]
    fewer = replace(data, verdicts={**VERDICTS, names[0]: "overlapping"})
    split = clean_split(fewer, n_unseen=5, seed=1)
    assert set(names[1:]) <= {split.classes[c] for c in split.unseen}


def test_too_few_clean_classes_are_counted(data: LabelledRows) -> None:
    with pytest.raises(InputError) as caught:
        clean_split(data, n_unseen=11)
    line = str(caught.value)
    for part in ("10 of 20 classes pass", "split.n_unseen=11", "10 clean", "3 overlapping",
                 "4 possibly overlapping", "3 not identified",
                 "split.n_unseen=2 to 10, or give classes", "labels.stated_clean"):  # fmt: skip
        assert part in line
    assert "\n" not in line
    none = replace(data, verdicts=dict.fromkeys(CLASSES, "overlapping"))
    with pytest.raises(InputError, match="0 of 20 classes pass") as caught:
        clean_split(none)
    assert "or fewer" not in str(caught.value)
    with pytest.raises(InputError, match=r"split\.n_unseen=19 of 20 classes"):
        clean_split(data, n_unseen=19)
    with pytest.raises(InputError, match=r"pretraining are unknown.*split=random"):
        clean_split(replace(data, verdicts=None))


def test_published_parts_stay_as_they_are(data: LabelledRows) -> None:
    parts = ["train", "train", "train", "test", "test"] * len(CLASSES)
    published = replace(data, parts=parts)
    split = clean_split(published, n_unseen=3, seed=2)
    names = [split.classes[c] for c in split.unseen]
    assert set(names) <= set(CLEAN)
    assert {parts[row] for row in split.test} == {"test"}
    assert split.fingerprint == folders_split(published, unseen=names, seed=2).fingerprint
    assert split.name == "clean3"


@pytest.mark.parametrize("name", ["names.txt", "names.csv", "names.yaml"])
def test_written_names_read_back(tmp_path: Path, name: str) -> None:
    names = ["okapi", "sea horse", "null", "1e5", "it's, a lyon", "長頸鹿", "class"]
    write_names(tmp_path / name, names, "--unseen-file")
    assert read_names(tmp_path / name, "split.unseen_file") == names
    hard = ["#1", " x", "two\nlines"]
    if name.endswith("txt"):
        with pytest.raises(InputError, match=r"no line holds '#1'.*give a .yaml file"):
            write_names(tmp_path / name, hard, "--unseen-file")
        assert read_names(tmp_path / name, "split.unseen_file") == names
    elif name.endswith("yaml"):
        write_names(tmp_path / name, hard, "--unseen-file")
        assert read_names(tmp_path / name, "split.unseen_file") == hard
    with pytest.raises(InputError, match="give a file to write"):
        write_names(tmp_path, names, "--unseen-file")
