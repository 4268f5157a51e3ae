"""Unseen classes that may be a seen class under another name."""

from __future__ import annotations

import numpy as np
import pytest

from devise_exp.text.same_things import same_things, same_things_line


@pytest.mark.parametrize(
    ("unseen", "seen", "is_same"),
    [
        ("aubergine", "eggplant", True),
        ("courgette", "zucchini", True),
        ("automobile", "car", True),
        ("cell phone", "cellphone", True),
        ("cable car", "car", False),
        ("mango", "pineapple", False),
        ("qwxyz", "qwxyzz", False),
    ],
)
def test_words_of_one_frequent_sense_are_the_same(unseen: str, seen: str, is_same: bool) -> None:
    pairs = same_things(["a", "b"], [unseen, seen], np.eye(2, dtype=np.float32), [False, True])
    assert pairs == [("a", "b")] * is_same


def test_near_vectors_count_across_the_sides_alone() -> None:
    near, far = np.array([1, 0.3]), np.array([1, 0.35])
    vectors = np.array([[1, 0], near / np.linalg.norm(near), far / np.linalg.norm(far)])
    assert vectors[0] @ vectors[1] > 0.95 > vectors[0] @ vectors[2]
    words = ["qa", "qb", "qc"]
    assert same_things(words, words, vectors, [False, True, True]) == [("qa", "qb")]
    assert same_things(words, words, vectors, [True, True, True]) == []
    assert same_things(words, words, vectors, [False, False, False]) == []


def test_the_line_is_bounded() -> None:
    pairs = [(f"u{i}", f"s{i}") for i in range(13)]
    line = same_things_line(pairs)
    assert line.startswith("u0 (unseen) and s0 (seen); u1 (unseen)")
    assert "u9 (unseen) and s9 (seen) and 3 more pairs may be the same thing" in line
    assert "(++labels.merges.u0=s0)" in line
