"""Words that are found and mean something else than the images show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig

from devise_exp.text.labels import class_vectors, resolve
from devise_exp.text.word_checks import WordCheck, check_words
from devise_exp.text.word_vectors.vectors import WordVectors, random_word_vectors

GROCERIES = [
    "Avocado", "Banana", "Lemon", "Lime", "Mango", "Nectarine", "Papaya", "Peach", "Pineapple",
    "Plum", "Pomegranate", "Asparagus", "Cabbage", "Carrot", "Cucumber", "Garlic", "Ginger", "Leek",
    "Mushroom", "Onion", "Pepper", "Potato", "Tomato", "Zucchini", "Conference", "Kaiser", "Anjou",
    "Royal-Gala", "Pear", "Melon",
]  # fmt: skip
SPORTS = [
    "archery", "baseball", "basketball", "bowling", "boxing", "cricket", "curling", "fencing",
    "football", "golf", "hockey", "judo", "lacrosse", "polo", "rowing", "rugby", "snowboarding",
    "surfing", "swimming", "tennis", "volleyball", "weightlifting", "gaga", "mushing", "rings",
]  # fmt: skip


@pytest.fixture(scope="module")
def glove(composed: Callable[..., DictConfig]) -> WordVectors:
    vectors: WordVectors = instantiate(composed().word_vectors)
    return vectors


def checks(names: list[str], vocabulary: WordVectors) -> dict[str, WordCheck]:
    resolutions = resolve(names, vocabulary, strict=False)
    vectors = class_vectors(resolutions, vocabulary)
    return dict(zip(names, check_words(resolutions, vectors, vocabulary), strict=True))


@pytest.mark.parametrize(
    ("names", "suspects", "innocent"),
    [
        (GROCERIES, {"Conference", "Kaiser", "Anjou", "Royal-Gala"}, {"Banana", "Pear", "Onion"}),
        (SPORTS, {"gaga", "mushing", "rings"}, {"tennis", "rugby", "judo"}),
    ],
)
def test_words_of_another_meaning_are_suspects(
    glove: WordVectors, names: list[str], suspects: set[str], innocent: set[str]
) -> None:
    marked = {name for name, check in checks(names, glove).items() if check.suspect}
    assert suspects <= marked
    assert not innocent & marked


def test_a_check_says_what_the_word_means_and_how_rare_it_is(glove: WordVectors) -> None:
    check = checks(GROCERIES, glove)["Conference"]
    assert "meeting" in check.nearest
    assert check.rank == glove.rank("conference")
    assert check.distance is not None
    assert check.distance > 0.8
    assert checks(["wingsuit", "cat"], glove)["wingsuit"].suspect == "rare"
    assert checks(["cat"], glove)["cat"].distance is None


def test_a_vector_of_another_class_is_a_suspect(glove: WordVectors) -> None:
    assert checks(["cat", "dog", "cats"], glove)["dog"].suspect == ""
    resolutions = resolve(["face", "Face"], glove, {"Face": "face"}, strict=False)
    twin = check_words(resolutions, class_vectors(resolutions, glove), glove)[1]
    assert twin.suspect == "the vector of face"


def test_vectors_without_words_have_no_neighbours() -> None:
    vocabulary = random_word_vectors(8)
    check = checks(["cat", "dog"], vocabulary)["cat"]
    assert (check.nearest, check.rank) == ((), None)
    assert np.isfinite(check.distance or np.nan)
