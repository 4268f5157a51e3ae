"""The space `pretraining`: which vector a pretraining class has, and where images lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.backbones import IMAGENET_1K

from devise_exp.evaluation.kinds import imagenet1k_kinds
from devise_exp.features.backbones.base import Backbone, Head, Preprocess
from devise_exp.methods.pretraining_words import (
    PretrainingWords,
    category_vectors,
    missing_classifier,
    pretraining_words,
)
from devise_exp.text.word_vectors import glove_6b_50d

SIZES = Preprocess(resize=8, crop=8)
KNOWN = Backbone(
    name="net",
    build=lambda: pytest.fail("no network is needed"),
    feature_dim=2,
    preprocess=SIZES,
    categories=("cat", "dog"),
    head=Head(np.eye(2, dtype=np.float32), np.zeros(2, dtype=np.float32)),
)


def unit(vector: np.ndarray) -> np.ndarray:
    wide = np.asarray(vector, dtype=np.float64)
    return wide / np.linalg.norm(wide, axis=-1, keepdims=True)


def test_two_classes_by_hand() -> None:
    """Both vectors lie opposite each other about their mean, so the likelier class decides."""
    words = PretrainingWords(
        ids=np.array([2, 0]),  # of three classes; that in the middle has no word
        categories=("east", "north"),
        vectors=np.array([[1, 0], [0, 1]], dtype=np.float32),
    )
    head = Head(np.array([[0, 1], [9, 9], [1, 0]], dtype=np.float32), np.array([0.5, 9, 0]))
    features = np.array([[3, 1], [1, 3], [1.2, 1]])
    east, north = unit(np.array([1, -1])), unit(np.array([-1, 1]))
    np.testing.assert_allclose(words.centre, [0.5, 0.5])
    np.testing.assert_allclose(words.embed(features, head), [east, north, north], atol=1e-6)


def test_images_lie_at_the_mixture_of_their_ten_likeliest_classes() -> None:
    rng = np.random.default_rng(0)
    k, dim = 30, 6
    vectors = unit(rng.normal(size=(k, dim))).astype(np.float32)
    words = PretrainingWords(
        ids=np.arange(k), categories=tuple(f"c{i}" for i in range(k)), vectors=vectors
    )
    head = Head(rng.normal(size=(k, 4)).astype(np.float32), rng.normal(size=k).astype(np.float32))
    features = rng.normal(size=(7, 4)).astype(np.float32)
    centre = sum(v.astype(float) for v in vectors) / k
    for row, image in zip(words.embed(features, head), features, strict=True):
        logits = [float(image @ w + b) for w, b in zip(*head, strict=True)]
        best = sorted(range(k), key=lambda i: -logits[i])[:10]
        mixture = sum(np.exp(logits[i] / 2) * unit(vectors[i] - centre) for i in best)
        np.testing.assert_allclose(row, unit(mixture), atol=1e-5)


def test_a_class_stands_for_its_kinds_too() -> None:
    """ "dog" is nearer to a breed than to a boat; by the names of the breeds alone it is not."""
    table = glove_6b_50d()
    plain = category_vectors(IMAGENET_1K, table)
    words = pretraining_words(IMAGENET_1K, plain, table)
    assert words is not None
    i = IMAGENET_1K.index("Border collie")
    senses = [
        sense.synonyms
        for sense in imagenet1k_kinds().senses
        if sense.relation == "includes" and i in sense.classes and 2 <= len(sense.classes) <= 150
    ]
    (name,) = category_vectors(["Border collie"], table)
    kinds = [v for v in category_vectors([", ".join(s) for s in senses], table) if v is not None]
    assert name is not None
    expected = unit(name + unit(np.mean(kinds, axis=0)))
    row = words.ids.tolist().index(i)
    np.testing.assert_allclose(words.vectors[row], expected, atol=1e-5)
    assert words.categories[row] == "Border collie"
    assert [IMAGENET_1K[j] for j in words.ids] == list(words.categories)
    dog = unit(table.vector("dog") - 0.0)

    def nearest(vectors: np.ndarray) -> set[int]:
        cosines = unit(vectors - vectors.mean(axis=0)) @ unit(dog - vectors.mean(axis=0))
        return {int(words.ids[j]) for j in np.argsort(-cosines)[:50]}

    breeds = set(range(151, 269))
    alone = np.stack([v for v in plain if v is not None])
    assert len(nearest(words.vectors) & breeds) > 40 > len(nearest(alone) & breeds)


def test_classes_of_another_pretraining_have_their_names_alone() -> None:
    table, names = glove_6b_50d(), ["cat", "xqzzv", "dog, hound"]
    vectors = category_vectors(names, table)
    assert vectors[1] is None
    words = pretraining_words(names, vectors, table)
    assert words is not None
    assert (words.categories, words.ids.tolist()) == (("cat", "dog, hound"), [0, 2])
    np.testing.assert_allclose(words.vectors[0], unit(table.vector("cat")), atol=1e-6)
    assert pretraining_words(names[:2], vectors[:2], table) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"categories": None}, "nobody has published"),
        ({"categories": ()}, "random weights"),
        ({"trainable": True}, "no longer fits"),
        ({"head": None}, "are not those that its own classifier takes"),
    ],
    ids=["known", "unpublished", "random", "trained", "other_features"],
)
def test_why_a_backbone_cannot_name_images(change: dict[str, object], reason: str | None) -> None:
    line = missing_classifier(replace(KNOWN, **change))  # type: ignore[arg-type]
    assert line is None if reason is None else reason in str(line)
