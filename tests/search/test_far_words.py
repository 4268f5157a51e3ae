"""Words that are far from all trained classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from devise_exp.search.answers import find_images
from devise_exp.search.far_words import FarWord, far_limit, far_line
from devise_exp.search.saved_run import Run


def test_the_limit_is_the_cosine_that_nearly_all_classes_reach() -> None:
    """41 directions: each trained one but the last has a neighbour ten degrees away."""
    angles = np.radians([*range(0, 200, 10), 250, 204])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    seen = np.arange(21)
    nearest = []
    for i, angle in enumerate(angles):
        others = [angles[j] for j in seen if j != i]
        nearest.append(max(np.cos(angle - other) for other in others))
    assert far_limit(vectors, seen) == pytest.approx(np.quantile(nearest, 0.05))
    assert np.cos(np.radians(60)) < far_limit(vectors, seen) <= np.cos(np.radians(10))
    assert far_limit(vectors[:1], np.array([0])) == -1


@pytest.mark.parametrize("text", ["cat", "2*cat -algebra", "algebra", "cat algebra, law"])
def test_names_of_a_query_are_told_if_they_are_far(searchable: Path, text: str) -> None:
    run = Run.open(searchable)
    seen, _ = run.folder.class_ids()
    names, limit = list(run.classes), far_limit(run.class_vectors, seen)
    answer = find_images(run, text)
    for word in answer.far:
        vector = run.vocabulary.vector(word.text)
        cosines = run.class_vectors[seen] @ (vector / np.linalg.norm(vector))
        assert word.nearest == names[seen[cosines.argmax()]]
        assert word.cosine == pytest.approx(cosines.max(), abs=1e-6)
        assert word.cosine < limit
    expected = {"algebra": ["algebra"], "cat algebra, law": ["law"]}.get(text, [])
    assert [w.text for w in answer.far if w.text in ("algebra", "law", "cat")] == expected


def test_the_line_is_bounded() -> None:
    words = [FarWord(text=f"w{i}", nearest="apple", cosine=0.212) for i in range(5)]
    one = far_line((words[0],), "try --space pretraining")
    assert one == (
        "w0: the nearest trained class is apple, cosine 0.21: far from all trained classes; "
        "try --space pretraining"
    )
    assert "and 2 more: far from all trained classes" in far_line(tuple(words))
