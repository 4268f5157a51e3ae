"""Splits: every row in one part, every class on one side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.counting import CountingName, counting_names
from helpers.splits import data_of, datas, parts, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st

from devise_exp.core.errors import InputError
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.splits import Split, named_split, random_split

shares = st.sampled_from(
    [(0.1, 0.2), (0.3, 0.3), (0.6, 0.3), (0.9, 0.05), (0.01, 0.01), (0.02, 0.9)]
)


@settings(deadline=None)
@given(datas, st.integers(0, 2**32), shares)
def test_every_row_of_a_class_stands_in_one_part(
    data: LabelledRows, seed: int, given_shares: tuple[float, float]
) -> None:
    val_share, test_share = given_shares
    split = random_split(data, None, seed, val_share, test_share)
    dealt = [split.train, split.val, split.test]
    together = np.concatenate([*dealt, split.unseen_rows])
    assert sorted(together.tolist()) == np.flatnonzero(data.labels >= 0).tolist()
    assert sorted([*split.seen, *split.unseen]) == list(range(len(data.classes)))
    assert len(split.unseen) == max(1, round(len(data.classes) / 5))
    assert set(data.labels[split.unseen_rows]) == set(split.unseen)
    for part in (*dealt, split.unseen_rows):
        assert part.tolist() == sorted(part.tolist())
    for c in split.seen:
        size = int((data.labels == c).sum())
        n_train, n_val, n_test = (int((data.labels[part] == c).sum()) for part in dealt)
        assert min(n_train, n_val, n_test) >= 1
        if size * min(val_share, test_share, 1 - val_share - test_share) >= 1:
            # Rounded shares differ by half a row; training takes what both roundings leave.
            assert abs(n_val - size * val_share) <= 0.5
            assert abs(n_test - size * test_share) <= 0.5 + (n_train == 1)


@settings(deadline=None)
@given(datas, st.integers(0, 5), st.integers(0, 2**16))
def test_the_order_of_rows_and_classes_decides_nothing(
    data: LabelledRows, seed: int, order: int
) -> None:
    other = shuffled(data, order)
    for here, there in (
        (random_split(data, seed=seed), random_split(other, seed=seed)),
        (
            named_split(data, data.classes[:1], seed=seed),
            named_split(other, data.classes[:1], seed=seed),
        ),
    ):
        assert parts(data, here) == parts(other, there)
        assert here.fingerprint == there.fingerprint


@pytest.fixture(scope="module")
def animals() -> LabelledRows:
    return data_of({"cat": 30, "dog": 50, "okapi": 20, "otter": 10, "yak": 40}, left_out=3)


def test_rows_that_are_left_out_stand_in_no_part(animals: LabelledRows) -> None:
    """Also where the last class, which -1 would index, is unseen."""
    split = named_split(animals, ["yak"])
    assert len(split.unseen_rows) == 40
    assert sum(map(len, parts(animals, split).values())) == 150
    assert not any(
        row.startswith("left out") for part in parts(animals, split).values() for row in part
    )


def test_seeds_differ_and_repeat(animals: LabelledRows) -> None:
    dealt = [parts(animals, named_split(animals, ["okapi"], seed=seed)) for seed in range(4)]
    for part in ("train", "val", "test"):
        assert len({frozenset(rows[part]) for rows in dealt}) == 4
    assert {frozenset(rows["unseen"]) for rows in dealt} == {frozenset(dealt[0]["unseen"])}
    chosen = [random_split(animals, n_unseen=2, seed=seed) for seed in range(12)]
    assert len({tuple(split.unseen) for split in chosen}) > 4
    assert {len(split.unseen) for split in chosen} == {2}
    assert chosen[3].name == "random2"
    again = random_split(animals, n_unseen=2, seed=3)
    assert again.fingerprint == chosen[3].fingerprint
    assert len({split.fingerprint for split in chosen}) == 12


def test_the_fingerprint_tells_splits_apart(animals: LabelledRows) -> None:
    splits = [
        named_split(animals, ["okapi"]),
        named_split(animals, ["okapi"], seed=1),
        named_split(animals, ["yak"]),
        named_split(animals, ["okapi"], test_share=0.3),
        named_split(replace(animals, rows=[f"x{row}" for row in animals.rows]), ["okapi"]),
    ]
    assert len({split.fingerprint for split in splits}) == len(splits)
    assert named_split(animals, ["okapi"], name="other").fingerprint == splits[0].fingerprint


@pytest.mark.parametrize(
    ("unseen", "message"),
    [
        ([], "split.unseen names none of the 5 classes"),
        (["cat", "dog", "okapi", "otter", "yak"], "split.unseen names all of the 5 classes"),
        (["cat", "dog", "okapi", "yak"], "split.unseen names all but one of the 5 classes"),
        (["okapi", "cat", "okapi"], "split.unseen names okapi more than once"),
        (["okapy"], "no class okapy in the data, .*: for okapy, give okapi"),
        (["zebra?"], r"no class zebra\? in the data, .*: take it out"),
    ],
)
def test_a_wrong_list_of_unseen_classes(
    unseen: list[str], message: str, animals: LabelledRows
) -> None:
    with pytest.raises(InputError, match=message):
        named_split(animals, unseen)


@pytest.mark.parametrize("count", [0, -1, 4, 5, 99])
def test_a_wrong_number_of_unseen_classes(count: int, animals: LabelledRows) -> None:
    with pytest.raises(InputError, match=f"split.n_unseen={count} of 5 classes"):
        random_split(animals, n_unseen=count)
    assert len(random_split(animals, n_unseen=3).seen) == 2


@pytest.mark.parametrize("wrong", [(0, 0.2), (0.1, 0), (-0.1, 0.2), (0.5, 0.5), (0.1, 2)])
def test_wrong_shares(wrong: tuple[float, float], animals: LabelledRows) -> None:
    with pytest.raises(
        InputError, match=f"split.val_share={wrong[0]} and split.test_share={wrong[1]}"
    ):
        named_split(animals, ["okapi"], val_share=wrong[0], test_share=wrong[1])


def test_a_negative_seed(animals: LabelledRows) -> None:
    for make in (
        lambda: random_split(animals, seed=-1),
        lambda: named_split(animals, ["yak"], seed=-1),
    ):
        with pytest.raises(InputError, match=r"split\.seed=-1: give a whole number from 0 on"):
            make()


def test_a_split_that_overlaps_cannot_be_made(animals: LabelledRows) -> None:
    split = named_split(animals, ["okapi"])
    fields = vars(split)
    with pytest.raises(ValueError, match="a row is in two parts"):
        Split(**fields | {"val": split.test})
    with pytest.raises(ValueError, match="both seen and unseen"):
        Split(**fields | {"unseen": split.seen[:1]})


def test_a_class_called_by_a_number_can_be_unseen() -> None:
    rows = [f"{c}/{i}" for c in ("42", "cat", "dog") for i in range(4)]
    data = LabelledRows(classes=["42", "cat", "dog"], labels=np.repeat(np.arange(3), 4), rows=rows)
    split = named_split(data, [42])  # type: ignore
    assert [split.classes[i] for i in split.unseen] == ["42"]


def test_names_that_yaml_reads_otherwise_can_be_unseen(tmp_path: Path) -> None:
    classes = ["1e5", "Bu\u0308cher", "cat", "dog", "null", "true"]
    rows = [f"{c}/{i}" for c in classes for i in range(4)]
    data = LabelledRows(classes=classes, labels=np.repeat(np.arange(6), 4), rows=rows)
    named = named_split(data, [1e5, None, True, "B\u00fccher"])  # type: ignore
    assert [classes[i] for i in named.unseen] == ["1e5", "Bu\u0308cher", "null", "true"]
    file = tmp_path / "unseen.txt"
    file.write_text("# of YAML's words\nnull\n1e5\n\ntrue\n", encoding="utf-8")
    of_file = named_split(data, ["B\u00fccher"], unseen_file=str(file))
    assert of_file.fingerprint == named.fingerprint
    with pytest.raises(InputError, match=r"split\.unseen_file=.*nowhere.txt"):
        named_split(data, unseen_file=str(tmp_path / "nowhere.txt"))
    with pytest.raises(InputError, match=r"split\.unseen_file=FILE"):
        named_split(data, None)


def test_what_clean_can_be(animals: LabelledRows) -> None:
    for function, unseen in ((named_split, ["cat"]), (random_split, 1)):
        assert function(animals, unseen, clean="require").clean == "require"
        with pytest.raises(InputError, match=r"split\.clean=yes: choose report or require"):
            function(animals, unseen, clean="yes")


@pytest.mark.parametrize("wrong", [0, -1, 2.5, "3", True])
def test_a_wrong_number_of_training_images(wrong: Any, animals: LabelledRows) -> None:
    with pytest.raises(InputError, match=rf"split\.train_per_class={wrong}: give a whole number"):
        named_split(animals, ["okapi"], train_per_class=wrong)


@pytest.mark.parametrize("kind", ["random", "named", "unknown"])
def test_names_are_looked_up_and_not_searched(kind: str) -> None:
    """ImageNet's 21,841 classes took minutes when each name was compared with all others."""
    classes = counting_names(2_000)
    rows = [f"{name}/{i}.jpg" for name in classes for i in range(3)]
    data = LabelledRows(classes=classes, labels=np.repeat(np.arange(2_000), 3), rows=rows)
    CountingName.comparisons = 0
    if kind == "random":
        assert len(random_split(data, n_seen=1_000).classes) == 1_400
    elif kind == "named":
        assert len(named_split(data, classes[::2]).unseen) == 1_000
    else:
        with pytest.raises(InputError):
            named_split(data, [f"{name}s" for name in classes])
    assert CountingName.comparisons < 20 * len(classes)


def test_long_lists_of_wrong_names_are_cut_and_counted() -> None:
    data = data_of({f"class {i}": 3 for i in range(50)})
    unknown = [f"no {i}" for i in range(21_841)]
    with pytest.raises(InputError, match=r"no class no 0, .*no 9 and 21,831 more in") as caught:
        named_split(data, unknown)
    assert len(str(caught.value)) < 500
    with pytest.raises(
        InputError, match=r"names no 0, .* and 21,831 more more than once"
    ) as caught:
        named_split(data, [*unknown, *unknown])
    assert len(str(caught.value)) < 500
