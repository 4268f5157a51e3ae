"""Classes that no nearest neighbour can tell apart."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.vocabulary import Words

from devise_exp.core.errors import InputError
from devise_exp.text.distinct import confused_line, near_classes, require_distinct_vectors
from devise_exp.text.labels import resolve

NAMES = ["llama", "cat", "pigeon", "emu", "dog"]


def unit(*rows: list[float]) -> np.ndarray:
    vectors = np.array(rows)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / lengths, dtype=np.float32)


def test_different_words_with_one_vector_are_an_error_that_names_them() -> None:
    vectors = unit([1, 2, 3], [1, 0, 0], [1, 2, 3], [2, 4, 6], [0, 1, 0])
    with pytest.raises(InputError) as caught:
        require_distinct_vectors(NAMES, vectors)
    message = str(caught.value)
    assert "classes 'llama' and 'pigeon' have the same vector" in message
    assert "(likewise 'llama' and 'emu')" in message
    assert "++labels.merges.pigeon=llama" in message
    assert "++labels.aliases.pigeon=WORD" in message


def test_distinct_vectors_pass() -> None:
    require_distinct_vectors(NAMES, unit(*np.random.default_rng(0).normal(size=(5, 8)).tolist()))


def test_near_vectors_are_listed_and_counted() -> None:
    near = near_classes(NAMES, unit([1, 0, 0], [0, 1, 0], [1, 0.1, 0], [1, 0.05, 0], [0, 0, 1]))
    assert (near.n, near.pairs[0][:2]) == (3, ("pigeon", "emu"))
    assert str(near).startswith("pigeon and emu (0.999); ")
    assert near_classes(NAMES, np.eye(5, dtype=np.float32)).n == 0


def test_the_list_of_near_vectors_is_bounded() -> None:
    vectors = unit(*(np.ones(8) + 0.01 * np.eye(8, 8)[np.arange(3000) % 8]).tolist())
    near = near_classes([str(i) for i in range(3000)], vectors)
    assert near.n == 3000 * 2999 // 2
    assert len(near.pairs) == 10
    assert str(near).endswith("and 4,498,490 more")


def test_unseen_classes_with_near_names_are_named() -> None:
    vectors = unit([1, 0, 0], [0.8, 0.6, 0], [0.9, 0.5, 0], [0, 0.3, 1], [0, 0, 1])
    unseen = np.array([True, False, True, True, True])
    assert near_classes(NAMES, vectors, 0.7).n == 4  # with the seen one
    line = confused_line(NAMES, vectors, unseen)
    assert line.startswith("2 pairs of unseen classes whose names are near each other")
    assert f"{NAMES[3]} and {NAMES[4]} (0.9" in line
    assert f"{NAMES[0]} and {NAMES[2]} (0.8" in line
    assert NAMES[1] not in line
    assert "sentence_minilm" in line
    assert confused_line(NAMES, np.eye(5, dtype=np.float32), unseen) == ""


def test_a_report_may_have_classes_of_the_same_words() -> None:
    vocabulary = Words.of("face")
    assert len(resolve(["face", "faces", "zzz"], vocabulary, strict=False)) == 3
    with pytest.raises(InputError, match="same words"):
        resolve(["face", "faces", "zzz"], vocabulary, on_missing="drop")
