"""Splits: a fair deal of rows that names alone decide, and errors that say what to do."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devise_exp.core.errors import InputError
from devise_exp.data.class_folds import draw_class_folds
from devise_exp.data.splits import Split, named_split, random_split


class Data(NamedTuple):
    """classes, labels (N,) with -1 for left-out rows, and row names."""

    classes: list[str]
    labels: np.ndarray
    rows: list[str]

    def shuffled(self, seed: int) -> Data:
        """The same rows and classes, met in another order."""
        rng = np.random.default_rng(seed)
        place, order = rng.permutation(len(self.classes)), rng.permutation(len(self.rows))
        new_id = np.append(np.argsort(place), -1)  # labels of -1 stay -1
        return Data(
            [self.classes[i] for i in place],
            new_id[self.labels[order]],
            [self.rows[i] for i in order],
        )


def data_of(sizes: dict[str, int], left_out: int = 0) -> Data:
    classes = list(sizes)
    labels = np.repeat(np.arange(len(classes)), list(sizes.values()))
    rows = [f"{name}/{i:03}.jpg" for name, size in sizes.items() for i in range(size)]
    labels = np.append(labels, np.full(left_out, -1, dtype=labels.dtype))
    return Data(classes, labels, rows + [f"left out/{i}.jpg" for i in range(left_out)])


def parts(data: Data, split: Split) -> dict[str, set[str]]:
    """Row names by part; unlike indices, they mean the same whatever the order."""
    indices = {
        "train": split.train,
        "val": split.val,
        "test": split.test,
        "unseen": split.unseen_rows,
    }
    return {part: {data.rows[i] for i in found} for part, found in indices.items()}


names = st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=6)
datas = st.builds(
    data_of,
    st.dictionaries(names, st.integers(3, 40), min_size=3, max_size=9),
    left_out=st.integers(0, 4),
)
shares = st.sampled_from(
    [(0.1, 0.2), (0.3, 0.3), (0.6, 0.3), (0.9, 0.05), (0.01, 0.01), (0.02, 0.9)]
)


@settings(deadline=None)
@given(datas, st.integers(0, 2**32), shares)
def test_every_row_of_a_class_stands_in_one_part(
    data: Data, seed: int, given_shares: tuple[float, float]
) -> None:
    val_share, test_share = given_shares
    split = random_split(data.classes, data.labels, data.rows, None, seed, val_share, test_share)
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
def test_the_order_of_rows_and_classes_decides_nothing(data: Data, seed: int, order: int) -> None:
    other = data.shuffled(order)
    for here, there in (
        (random_split(*data, seed=seed), random_split(*other, seed=seed)),
        (
            named_split(*data, data.classes[:1], seed=seed),
            named_split(*other, data.classes[:1], seed=seed),
        ),
    ):
        assert parts(data, here) == parts(other, there)
        assert here.fingerprint == there.fingerprint


@pytest.fixture(scope="module")
def animals() -> Data:
    return data_of({"cat": 30, "dog": 50, "okapi": 20, "otter": 10, "yak": 40}, left_out=3)


def test_rows_that_are_left_out_stand_in_no_part(animals: Data) -> None:
    """Also where the last class, which -1 would index, is unseen."""
    split = named_split(*animals, ["yak"])
    assert len(split.unseen_rows) == 40
    assert sum(map(len, parts(animals, split).values())) == 150
    assert not any(
        row.startswith("left out") for part in parts(animals, split).values() for row in part
    )


def test_each_class_gives_its_share(animals: Data) -> None:
    split = named_split(*animals, ["okapi"], val_share=0.1, test_share=0.2)
    counts = [
        Counter(animals.classes[label] for label in animals.labels[part])
        for part in (split.train, split.val, split.test)
    ]
    assert counts == [
        {"cat": 21, "dog": 35, "otter": 7, "yak": 28},
        {"cat": 3, "dog": 5, "otter": 1, "yak": 4},
        {"cat": 6, "dog": 10, "otter": 2, "yak": 8},
    ]
    assert (split.name, split.classes) == ("named", tuple(animals.classes))
    assert [animals.classes[c] for c in split.unseen] == ["okapi"]


def test_seeds_differ_and_repeat(animals: Data) -> None:
    dealt = [parts(animals, named_split(*animals, ["okapi"], seed=seed)) for seed in range(4)]
    for part in ("train", "val", "test"):
        assert len({frozenset(each[part]) for each in dealt}) == 4
    assert {frozenset(each["unseen"]) for each in dealt} == {frozenset(dealt[0]["unseen"])}
    chosen = [random_split(*animals, n_unseen=2, seed=seed) for seed in range(12)]
    assert len({tuple(split.unseen) for split in chosen}) > 4
    assert {len(split.unseen) for split in chosen} == {2}
    assert chosen[3].name == "random2"
    again = random_split(*animals, n_unseen=2, seed=3)
    assert again.fingerprint == chosen[3].fingerprint
    assert len({split.fingerprint for split in chosen}) == 12


def test_rows_are_dealt_at_random_not_by_name(animals: Data) -> None:
    test = sorted(parts(animals, named_split(*animals, ["okapi"]))["test"])
    dogs = [int(row[4:7]) for row in test if row.startswith("dog")]
    assert dogs != list(range(dogs[0], dogs[0] + len(dogs)))
    assert max(dogs) - min(dogs) > 20


def test_the_dealing_of_a_class_is_its_own(animals: Data) -> None:
    """A further class, or another choice of unseen ones, leaves it as it was."""
    before = parts(animals, named_split(*animals, ["okapi"]))
    more = data_of({"cat": 30, "bat": 12, "dog": 50, "okapi": 20, "otter": 10, "yak": 40})
    for after in (
        parts(more, named_split(*more, ["okapi"])),
        parts(more, named_split(*more, ["okapi", "yak"])),
    ):
        for part in ("train", "val", "test"):
            for name in ("cat", "dog", "otter"):
                own = {row for row in before[part] if row.startswith(name)}
                assert own == {row for row in after[part] if row.startswith(name)}


def test_the_fingerprint_tells_splits_apart(animals: Data) -> None:
    splits = [
        named_split(*animals, ["okapi"]),
        named_split(*animals, ["okapi"], seed=1),
        named_split(*animals, ["yak"]),
        named_split(*animals, ["okapi"], test_share=0.3),
        named_split(
            animals.classes, animals.labels, [f"x{row}" for row in animals.rows], ["okapi"]
        ),
    ]
    assert len({split.fingerprint for split in splits}) == len(splits)
    assert named_split(*animals, ["okapi"], name="other").fingerprint == splits[0].fingerprint


@pytest.mark.parametrize(
    ("unseen", "message"),
    [
        ([], "split.unseen names none of the 5 classes"),
        (["cat", "dog", "okapi", "otter", "yak"], "split.unseen names all of the 5 classes"),
        (["cat", "dog", "okapi", "yak"], "split.unseen names all but one of the 5 classes"),
        (["okapi", "cat", "okapi"], "split.unseen names okapi more than once"),
        (["okapy"], r"no class okapy in the data \(near okapy: okapi\)"),
        (["zebra?"], r"no class zebra\? in the data \(near zebra\?: none\)"),
    ],
)
def test_a_wrong_list_of_unseen_classes(unseen: list[str], message: str, animals: Data) -> None:
    with pytest.raises(InputError, match=message):
        named_split(*animals, unseen)


@pytest.mark.parametrize("count", [0, -1, 4, 5, 99])
def test_a_wrong_number_of_unseen_classes(count: int, animals: Data) -> None:
    with pytest.raises(InputError, match=f"split.n_unseen={count} of 5 classes"):
        random_split(*animals, n_unseen=count)
    assert len(random_split(*animals, n_unseen=3).seen) == 2


@pytest.mark.parametrize("wrong", [(0, 0.2), (0.1, 0), (-0.1, 0.2), (0.5, 0.5), (0.1, 2)])
def test_wrong_shares(wrong: tuple[float, float], animals: Data) -> None:
    with pytest.raises(
        InputError, match=f"split.val_share={wrong[0]} and split.test_share={wrong[1]}"
    ):
        named_split(*animals, ["okapi"], val_share=wrong[0], test_share=wrong[1])


def test_a_negative_seed(animals: Data) -> None:
    for make in (
        lambda: random_split(*animals, seed=-1),
        lambda: named_split(*animals, ["yak"], seed=-1),
    ):
        with pytest.raises(InputError, match=r"split\.seed=-1: give a whole number from 0 on"):
            make()


def test_seen_classes_need_three_pictures_unseen_ones_one() -> None:
    data = data_of({"cat": 5, "dog": 1, "emu": 2, "yak": 3}, left_out=5)
    with pytest.raises(InputError, match=r"test on in dog \(1\), emu \(2\): add images"):
        named_split(*data, ["cat"])
    split = named_split(*data, ["dog", "emu"])
    assert [len(split.train), len(split.val), len(split.test)] == [4, 2, 2]
    assert len(split.unseen_rows) == 3
    many = data_of({"cat": 5} | {f"c{i:02}": 1 for i in range(12)})
    with pytest.raises(InputError, match=r"c09 \(1\) \.\.\.: add"):
        named_split(*many, ["cat"])


def test_a_split_that_overlaps_cannot_be_made(animals: Data) -> None:
    split = named_split(*animals, ["okapi"])
    fields = vars(split)
    with pytest.raises(ValueError, match="a row is in two parts"):
        Split(**fields | {"val": split.test})
    with pytest.raises(ValueError, match="both seen and unseen"):
        Split(**fields | {"unseen": split.seen[:1]})


@given(st.integers(0, 50))
@settings(max_examples=20)
def test_one_photograph_in_two_merged_classes_goes_to_one_part(seed: int) -> None:
    """As Caltech-101's Faces and Faces_easy, its crops: neither tests what the other trained."""
    names = [f"image_{i:04}.jpg" for i in range(12)]
    rows = [f"{c}/{name}" for c in ("Faces", "Faces_easy", "okapi") for name in names]
    labels = np.repeat([0, 0, 1, 2], [12, 12, 6, 6])
    data = Data(["Faces", "okapi", "yak"], labels, rows)
    split = named_split(*data, ["yak"], seed=seed)
    for part in (split.train, split.val, split.test):
        own = [rows[row].split("/") for row in part if labels[row] == 0]
        assert {n for c, n in own if c == "Faces"} == {n for c, n in own if c == "Faces_easy"}
        assert own


def test_a_class_called_by_a_number_can_be_unseen() -> None:
    rows = [f"{c}/{i}" for c in ("42", "cat", "dog") for i in range(4)]
    split = named_split(["42", "cat", "dog"], np.repeat(np.arange(3), 4), rows, [42])  # type: ignore
    assert [split.classes[i] for i in split.unseen] == ["42"]


# Classes held out in class folds


def names_of(split: Split, sets: tuple[np.ndarray, ...]) -> list[set[str]]:
    return [{split.classes[c] for c in own} for own in sets]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(5, 60),
    st.integers(1, 5),
    st.integers(0, 6),
    st.integers(0, 99),
    st.floats(0, 1),
    st.integers(0, 99),
)
def test_held_out_classes_are_seen_ones_drawn_by_name(
    n: int, n_unseen: int, folds: int, seed: int, clean_share: float, order: int
) -> None:
    data = data_of({f"class {c}": 3 for c in range(n)})
    other = data.shuffled(order)
    n_unseen = min(n_unseen, n - 2)
    unseen = [f"class {c}" for c in range(n_unseen)]
    is_clean = np.random.default_rng(order).random(n) < clean_share
    clean_names = {f"class {c}" for c in range(n_unseen, n) if is_clean[c]}
    drawn = []
    for each in (data, other):
        split = named_split(*each, unseen, seed=seed)
        clean = np.array([c for c in split.seen if split.classes[c] in clean_names], dtype=int)
        sets = draw_class_folds(split, clean, folds)
        assert set(np.concatenate([split.unseen, *sets])) <= {*split.seen, *split.unseen}
        together = [name for own in names_of(split, sets) for name in own]
        assert len(together) == len(set(together)) == sum(len(own) for own in sets)
        assert not set(together) & set(unseen)
        drawn.append(names_of(split, sets))
    assert drawn[0] == drawn[1]  # the order of classes decides nothing
    seen = n - n_unseen
    if folds == 0 or seen < 8:
        assert drawn[0] == []
    if drawn[0]:
        assert len(drawn[0]) == folds
        sizes = {len(own) for own in drawn[0]}
        assert len(sizes) == 1
        assert 2 <= sizes.pop() <= round(seen / 5)
    if folds and len(clean_names) >= 4 * folds:
        assert set().union(*drawn[0]) <= clean_names
    elif folds in (1, 2) and seen >= 8:
        assert drawn[0]  # overlapping ones serve where there are too few clean ones


def test_the_seed_of_the_split_draws_the_held_out_classes() -> None:
    data = data_of({f"class {c}": 3 for c in range(40)})
    drawn = [
        names_of(split, draw_class_folds(split, split.seen, 2))
        for split in (named_split(*data, ["class 1"], seed=seed) for seed in (0, 0, 1))
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert [len(own) for own in drawn[0]] == [8, 8]


@pytest.mark.parametrize("wrong", [-1, 1.5, "maybe", None, True])
def test_a_wrong_number_of_class_folds(wrong: Any) -> None:
    split = named_split(*data_of({f"class {c}": 3 for c in range(20)}), ["class 1"])
    with pytest.raises(InputError, match=rf"class_folds={wrong}: give a whole number from 0 on"):
        draw_class_folds(split, split.seen, wrong)


def test_what_clean_can_be(animals: Data) -> None:
    for function, unseen in ((named_split, ["cat"]), (random_split, 1)):
        assert function(*animals, unseen, clean="require").clean == "require"
        with pytest.raises(InputError, match=r"split\.clean=yes: choose report or require"):
            function(*animals, unseen, clean="yes")


# Fewer seen classes, fewer training pictures


@settings(max_examples=60, deadline=None)
@given(datas, st.integers(0, 2**16), st.data())
def test_smaller_sets_lie_within_larger_ones(data: Data, seed: int, drawn: st.DataObject) -> None:
    """Of classes and of training rows; nothing else changes, in whatever order the data come."""
    whole = random_split(*data, seed=seed)
    before, part_of = parts(data, whole), {}
    for n in drawn.draw(st.lists(st.integers(2, len(whole.seen)), min_size=1, max_size=3)):
        for most in (1, 3, None):
            split = random_split(*data, seed=seed, n_seen=n, train_per_class=most)
            other = data.shuffled(n)
            again = random_split(*other, seed=seed, n_seen=n, train_per_class=most)
            part_of[n, most] = own = parts(data, split)
            assert (own, split.fingerprint) == (parts(other, again), again.fingerprint)
            seen = {split.classes[c] for c in split.seen}
            assert len(seen) == n
            assert {*split.classes} - seen == {whole.classes[c] for c in whole.unseen}
            assert own["unseen"] == before["unseen"]
            for part in ("val", "test"):
                assert own[part] == {row for row in before[part] if row.split("/")[0] in seen}
            counts = Counter(row.split("/")[0] for row in own["train"])
            whole_counts = Counter(row.split("/")[0] for row in before["train"])
            assert counts == {c: min(whole_counts[c], most or 99) for c in seen}
    for (n, most), own in part_of.items():
        for (m, more), larger in part_of.items():
            if n <= m and (most or 99) <= (more or 99):
                assert own["train"] <= larger["train"]


def test_all_seen_classes_are_the_same_as_no_limit(animals: Data) -> None:
    plain = named_split(*animals, ["okapi"])
    for options in ({"n_seen": 4}, {"train_per_class": 35}, {"n_seen": 4, "train_per_class": 99}):
        split = named_split(*animals, ["okapi"], **options)
        assert (split.fingerprint, split.classes) == (plain.fingerprint, plain.classes)
    assert plain.fingerprint == "d2332d77b05b1ac6"  # as it was before there were such limits


def test_classes_that_take_no_part_may_be_small() -> None:
    data = data_of({"cat": 5, "dog": 1, "emu": 4, "yak": 3})
    with pytest.raises(InputError, match=r"test on in dog \(1\)"):
        named_split(*data, ["cat"])
    splits = []
    for seed in range(20):
        try:
            splits.append(named_split(*data, ["cat"], seed=seed, n_seen=2))
        except InputError:
            continue  # the dog was drawn
    assert {split.classes for split in splits} == {("cat", "emu", "yak")}


@pytest.mark.parametrize("wrong", [0, 1, 5, -1, 2.0, "3", True])
def test_a_wrong_number_of_seen_classes(wrong: Any, animals: Data) -> None:
    with pytest.raises(
        InputError, match=rf"split\.n_seen={wrong}: give a whole number from 2 to 4"
    ):
        named_split(*animals, ["okapi"], n_seen=wrong)


@pytest.mark.parametrize("wrong", [0, -1, 2.5, "3", True])
def test_a_wrong_number_of_training_pictures(wrong: Any, animals: Data) -> None:
    with pytest.raises(InputError, match=rf"split\.train_per_class={wrong}: give a whole number"):
        named_split(*animals, ["okapi"], train_per_class=wrong)
