"""Class texts against images: the nearest text by a hand-made cosine, and who has no texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from helpers.baselines import planted, unseen_hit

from devise_exp.core.errors import InputError
from devise_exp.methods.baselines import ClipZeroShot
from devise_exp.methods.joint_texts import JointTexts


def encode(groups: Sequence[Sequence[str]]) -> np.ndarray:
    """A text tower of three numbers; the mean of unit vectors of each group."""
    rows = []
    for group in groups:
        vectors = [np.array([len(t), t.count("a"), t.count("e")], dtype=float) for t in group]
        mean = np.mean([v / np.linalg.norm(v) for v in vectors], axis=0)
        rows.append(mean / np.linalg.norm(mean))
    return np.array(rows, dtype=np.float32)


def test_it_is_the_cosine_and_nothing_else() -> None:
    task = planted()
    fitted = ClipZeroShot().fit(task)
    assert task.texts is not None
    images = task.features.features.astype(float)
    for row, embedded in zip(images[:40], fitted.embed(images[:40]), strict=True):
        slow = [
            sum(x * y for x, y in zip(row, text, strict=True)) / np.sqrt((row**2).sum())
            for text in task.texts.class_vectors.tolist()
        ]
        np.testing.assert_allclose(fitted.class_vectors @ embedded, slow, atol=1e-5)
    assert unseen_hit(fitted, task) > 0.9


def test_class_texts_are_the_templates_of_the_method_or_the_runs_vectors() -> None:
    vectors = np.eye(2, 3, dtype=np.float32)
    texts = JointTexts(names=("cat", "an eel"), average=encode, class_vectors=vectors)
    assert texts.vectors("t", None) is vectors
    expected = encode([["a cat.", "the cat"], ["an eel.", "the an eel"]])
    np.testing.assert_array_equal(texts.vectors("t", ["a {}.", "the {}"]), expected)
    of_others = replace(texts, class_vectors=None)  # the run has other word vectors: 80 templates
    np.testing.assert_array_equal(of_others.vectors("t", None), texts.vectors("t", 80))
    with pytest.raises(InputError, match=r"^method\.mine\.templates holds 'no'"):
        texts.vectors("method.mine.templates", ["no"])


def test_without_a_text_tower_it_is_refused() -> None:
    with pytest.raises(InputError, match=r"no text tower .* choose backbone=open_clip"):
        ClipZeroShot().fit(replace(planted(), texts=None))
