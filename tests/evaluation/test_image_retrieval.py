"""The quality of searches against plain loops over raw embeddings."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from helpers.outputs import method_output
from helpers.word_queries import evaluate_word_queries

from devise_exp.core.errors import InputError
from devise_exp.evaluation.image_ranking import NUMBERS_AT_ONCE, rank_images
from devise_exp.evaluation.image_retrieval import (
    Sizes,
    evaluate_image_queries,
    word_queries,
)
from devise_exp.evaluation.metrics.intervals import mean_interval
from devise_exp.evaluation.metrics.retrieval import average_precision
from devise_exp.evaluation.protocols import MethodOutput
from devise_exp.evaluation.records import flatten

SEEN, UNSEEN = np.array([0, 2, 3, 5, 6]), np.array([1, 4, 7])
COMPOUND = np.array([True, True, False, True, False, False, False, False])
COUNTS = {0: 7, 2: 3, 3: 9, 5: 4, 6: 1, 1: 8, 4: 2, 7: 5}


def unit(rows: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled.astype(np.float32)


def embedded(name: str = "devise", seed: int = 0, noise: float = 1.0, dim: int = 6) -> MethodOutput:
    """Eight classes, of which each image is near its own; unequal numbers of images a class."""
    rng = np.random.default_rng(seed)
    vectors = unit(rng.normal(size=(8, dim)))

    def images(classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        order = np.random.default_rng(5)  # the same rows for every model
        truth = order.permutation(np.repeat(classes, [COUNTS[c] for c in classes]))
        return unit(vectors[truth] + noise * rng.normal(size=(len(truth), dim))), truth

    sides = (*images(SEEN), *images(UNSEEN))
    return method_output(name, vectors, *sides, is_projection=name != "conse")


def softmax_like(model: MethodOutput) -> MethodOutput:
    """A model that names seen classes only and has no embedding of unseen images."""
    one_hot = np.zeros((8, len(SEEN)), dtype=np.float32)
    one_hot[SEEN] = np.eye(len(SEEN))
    shares = (
        np.random.default_rng(3).random((len(model.seen.vectors), len(SEEN))).astype(np.float32)
    )
    none = slice(0, 0)
    return method_output("softmax", one_hot, shares, model.seen.class_ids, shares[none], SEEN[none])


def relevance(
    query: np.ndarray,
    vectors: np.ndarray,
    relevant: list[bool],
    centre: np.ndarray | float = 0.0,
) -> list[bool]:
    """Every cosine about the centre, sorted, in plain Python; of equal ones the first row is
    first.
    """
    wanted = (query / math.hypot(*query) - centre).tolist()
    vectors = vectors - centre
    cosines = [
        sum(a * b for a, b in zip(wanted, row, strict=True))
        / math.hypot(*wanted)
        / math.hypot(*row)
        for row in vectors.tolist()
    ]
    order = sorted(range(len(cosines)), key=lambda row: -cosines[row])
    return [relevant[row] for row in order]


def chance_of(r: int, n: int) -> float:
    """Expected average precision: hit i of r is at place p in C(p-1, i-1) C(n-p, r-i) rankings."""
    total = sum(
        (
            Fraction(i, p) * math.comb(p - 1, i - 1) * math.comb(n - p, r - i)
            for i in range(1, r + 1)
            for p in range(i, n - r + i + 1)
        ),
        Fraction(),
    )
    return float(total / math.comb(n, r) / r)


def figures_of(ranked: list[list[bool]]) -> dict[str, float]:
    """P@k and mAP of relevance in ranked order, in plain Python."""
    n = len(ranked[0])
    values = {
        f"P@{k}": sum(sum(row[:k]) / k for row in ranked) / len(ranked) for k in (1, 5, 10) if k < n
    }
    averages = []
    for row in ranked:
        places = [p for p, is_relevant in enumerate(row, 1) if is_relevant]
        averages.append(sum(i / p for i, p in enumerate(places, 1)) / len(places))
    chances = [chance_of(sum(row), n) for row in ranked]
    shares = sum(sum(row) / n for row in ranked) / len(ranked)
    chance = {f"chance/{name}": shares for name in values}
    return {**values, "mAP": sum(averages) / len(averages)} | {
        **chance,
        "chance/mAP": sum(chances) / len(chances),
    }


def by_words(*args: Any) -> tuple[dict[str, float], Sizes]:
    records, sizes = evaluate_word_queries(*args)
    return flatten(records), sizes


def by_images(*args: Any, **options: Any) -> tuple[dict[str, float], Sizes]:
    records, sizes = evaluate_image_queries(*args, **options)
    return flatten(records), sizes


def points(values: dict[str, float]) -> dict[str, float]:
    return {name: v for name, v in values.items() if name.rsplit("/", 1)[-1] not in ("lo", "hi")}


def gallery_of(model: MethodOutput, side: str) -> tuple[np.ndarray, list[int]]:
    if side == "all":
        sides = [gallery_of(model, s) for s in ("seen", "unseen")]
        return np.concatenate([v for v, _ in sides]), [t for _, ids in sides for t in ids]
    return model.parts[side].vectors, model.parts[side].class_ids.tolist()


# Names


@pytest.mark.parametrize("seed", range(3))
def test_every_metric_of_names_equals_plain_loops(seed: int) -> None:
    first = embedded(seed=seed)
    conse = embedded("conse", seed=seed + 100, noise=2)
    models = first, softmax_like(first), conse, embedded("random_vectors", seed=seed + 200)
    values, sizes = by_words(models, SEEN, UNSEEN, COMPOUND)
    expected: dict[str, float] = {}
    for protocol, side, queries, n in (
        ("seen", "seen", [(c,) for c in SEEN], 24),
        ("unseen", "unseen", [(c,) for c in UNSEEN], 15),
        ("all_seen", "all", [(c,) for c in SEEN], 39),
        ("all_unseen", "all", [(c,) for c in UNSEEN], 39),
        ("seen_compound", "seen", [(0,), (3,)], 24),
        ("unseen_compound", "unseen", [(1,)], 15),
        ("seen_pairs", "seen", list(combinations(SEEN, 2)), 24),
        ("unseen_pairs", "unseen", list(combinations(UNSEEN, 2)), 15),
    ):
        assert sizes.pop(f"search/{protocol}") == (len(queries), n)
        for model in models:
            if model.name == "softmax" and side != "seen":
                continue
            vectors, truth = gallery_of(model, side)
            ranked = [
                relevance(
                    sum(model.class_vectors[c] for c in classes) / len(classes),
                    vectors,
                    [t in classes for t in truth],
                    model.class_vectors[SEEN].mean(axis=0) if model.is_projection else 0.0,
                )
                for classes in queries
            ]
            start = "" if model.name == "devise" else f"method/{model.name}/"
            for name, value in figures_of(ranked).items():
                if name.startswith("chance/"):
                    name = name.removeprefix("chance/")
                    expected[f"method/chance/search/{protocol}/{name}"] = value
                else:
                    expected[f"{start}search/{protocol}/{name}"] = value
    assert not sizes
    assert points(values) == pytest.approx(expected, abs=1e-9)
    # Not a trivial case: the first is better than chance, and not perfect.
    assert values["method/chance/search/unseen/mAP"] < values["search/unseen/mAP"] < 1
    assert values["search/all_unseen/mAP"] < values["search/unseen/mAP"]


def test_every_mean_has_its_interval_around_it() -> None:
    model = embedded()
    values, _ = by_words([model], SEEN, UNSEEN, COMPOUND)
    for name, value in points(values).items():
        if "chance" in name:
            assert f"{name}/lo" not in values
        else:
            assert 0 <= values[f"{name}/lo"] <= value <= values[f"{name}/hi"] <= 1
    centre = model.class_vectors[SEEN].mean(axis=0)
    ranked = [
        relevance(
            model.class_vectors[c], model.seen.vectors, (model.seen.class_ids == c).tolist(), centre
        )
        for c in SEEN
    ]
    averages = average_precision(np.array(ranked))
    bounds = tuple(values[f"search/seen/mAP/{bound}"] for bound in ("lo", "hi"))
    assert bounds == pytest.approx(mean_interval(averages))
    assert bounds[0] < bounds[1]


def test_names_at_their_own_images_are_found_first() -> None:
    model = embedded(noise=0)
    values, _ = by_words([model], SEEN, UNSEEN, COMPOUND)
    for protocol in ("seen", "unseen", "all_seen", "all_unseen", "seen_compound"):
        assert values[f"search/{protocol}/mAP"] == pytest.approx(1)
    # Of the seen classes 7, 3, 9, 4 and 1 images: five places cannot all be right.
    assert values["search/seen/P@5"] == pytest.approx((1 + 3 / 5 + 1 + 4 / 5 + 1 / 5) / 5)


def test_what_has_no_image_or_no_name_of_several_words_is_left_out() -> None:
    model = embedded()
    kept = model.unseen.class_ids == 4
    few = method_output(
        "devise",
        model.class_vectors,
        model.seen.vectors,
        model.seen.class_ids,
        model.unseen.vectors[kept],
        UNSEEN[[1, 1]],
    )
    values, sizes = by_words([few], SEEN, UNSEEN, np.zeros(8, dtype=bool))
    assert sizes == {
        "search/seen": (5, 24),
        "search/all_seen": (5, 26),
        "search/all_unseen": (1, 26),
        "search/seen_pairs": (10, 24),
    }
    assert {name.split("/")[-2] for name in points(values)} == {n.split("/")[1] for n in sizes}


def test_what_no_ranking_can_get_wrong_is_left_out() -> None:
    """With two classes every image is relevant to their one pair; with one, to its name."""
    model = embedded()
    of_two = np.isin(model.unseen.class_ids, UNSEEN[:2])
    for kept, left_out in (
        (of_two, {"search/unseen_pairs"}),
        (model.unseen.class_ids == UNSEEN[0], {"search/unseen", "search/unseen_compound"}),
    ):
        images = model.unseen.vectors[kept], model.unseen.class_ids[kept]
        few = method_output(
            "devise", model.class_vectors, model.seen.vectors, model.seen.class_ids, *images
        )
        values, sizes = by_words([few], SEEN, UNSEEN, np.ones(8, dtype=bool))
        asked = {f"search/{q.name}" for q in word_queries(few, SEEN, UNSEEN, np.ones(8, bool))}
        assert asked - set(sizes) == left_out
        assert not [name for name in values if any(f"{p}/" in name for p in left_out)]
    spaces = {"devise": (model.seen.vectors, few.unseen.vectors)}
    _, sizes = evaluate_image_queries(spaces, model.seen.class_ids, few.unseen.class_ids)
    assert set(sizes) == {"similar/seen"}


def test_precision_of_a_whole_gallery_is_left_out() -> None:
    """P@5 of five images is the share of relevant ones, whatever their order."""
    rng = np.random.default_rng(0)
    vectors, truth = unit(rng.normal(size=(5, 4))), np.array([0, 0, 1, 1, 1])
    of_names = rank_images(vectors[:2], np.array([[0], [1]]), vectors, truth)
    assert set(of_names) == {("P", 1), ("mAP", None)}
    of_six = rank_images(
        vectors[:1], np.array([[0]]), unit(rng.normal(size=(6, 4))), truth[[0, *range(5)]]
    )
    assert set(of_six) == {("P", 1), ("P", 5), ("mAP", None)}


def test_further_labels_of_the_model_change_nothing() -> None:
    model, control = embedded(), embedded("conse", seed=4)
    plain = by_words([model, control], SEEN, UNSEEN, COMPOUND)
    wide = model.with_labels(unit(np.random.default_rng(9).normal(size=(15, 6))))
    assert by_words([wide, control], SEEN, UNSEEN, COMPOUND) == plain


def test_of_many_pairs_as_many_are_drawn_again() -> None:
    rng = np.random.default_rng(0)
    n = 60  # 1770 pairs
    vectors, truth = unit(rng.normal(size=(n, 8))), np.arange(n)
    model = method_output("devise", vectors, vectors, truth, vectors[:2], truth[:2])
    asked = {q.name: q for q in word_queries(model, truth, truth[:2], truth < 0)}
    pairs = asked["seen_pairs"].classes
    assert pairs.shape == (500, 2)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert len({tuple(pair) for pair in pairs.tolist()}) == 500
    assert set(pairs.ravel().tolist()) == set(range(n))  # from all over
    again = {q.name: q for q in word_queries(model, truth, truth[:2], truth < 0)}
    np.testing.assert_array_equal(again["seen_pairs"].classes, pairs)
    np.testing.assert_array_equal(asked["unseen_pairs"].classes, [[0, 1]])
    few = {q.name: q for q in word_queries(model, truth[7:32], truth[:2], truth < 0)}
    every = sorted(map(tuple, few["seen_pairs"].classes.tolist()))
    assert every == list(combinations(range(7, 32), 2))


def test_images_of_the_same_similarity_stay_in_row_order() -> None:
    vectors = np.eye(2, dtype=np.float32)
    same = np.tile(unit(np.array([[1.0, 1.0]])), (6, 1))
    truth = np.array([1, 0, 1, 0, 0, 1])
    model = method_output("conse", vectors, same, truth, same[:1], np.array([1]))
    values, _ = by_words([model], np.array([0]), np.array([1]), np.zeros(2, dtype=bool))
    assert values["search/seen/mAP"] == pytest.approx((1 / 2 + 2 / 4 + 3 / 5) / 3)
    assert values["search/seen/P@1"] == 0
    # So do those whose cosines are the same sum in another order: float32 would tell them apart.
    rng = np.random.default_rng(0)
    images = rng.permuted(np.tile(np.arange(1.0, 400.0), (60, 1)), axis=1)
    truth = np.repeat([0, 1], [20, 40])
    model = method_output("conse", np.ones((2, 399)), images, truth, images[:0], truth[:0])
    values, _ = by_words([model], np.array([0]), truth[:0], np.zeros(2, dtype=bool))
    assert values["search/seen/mAP"] == 1
    # Twins tie wherever they stand, however long their vectors are to sum.
    one = rng.normal(size=(101, 333)).astype(np.float32)
    twins = np.concatenate([one, one])
    classes = np.repeat([0, 1], 101)  # the first of each pair of twins is of class 0
    model = method_output(
        "conse", rng.normal(size=(2, 333)), twins, classes, twins[:0], classes[:0]
    )
    values, _ = by_words([model], np.array([0, 1]), classes[:0], classes[:2] < 0)
    places = np.arange(1, 102)
    firsts, seconds = (places / (2 * places - 1)).mean(), 0.5
    assert values["search/seen/mAP"] == pytest.approx((firsts + seconds) / 2)


# Images


def test_every_metric_of_images_equals_plain_loops() -> None:
    model, other = embedded(), embedded("other", seed=8, dim=9)
    spaces = {
        "devise": (model.seen.vectors, model.unseen.vectors),
        "backbone": (3 * other.seen.vectors, other.unseen.vectors / 2),
    }
    values, sizes = by_images(spaces, model.seen.class_ids, model.unseen.class_ids)
    # The one image of class 6 has no other of its class: no query, but among the others.
    assert sizes == {"similar/seen": (23, 23), "similar/unseen": (15, 14)}
    expected: dict[str, float] = {}
    for space, sides in spaces.items():
        for side, vectors in zip(("seen", "unseen"), sides, strict=True):
            truth = model.parts[side].class_ids.tolist()
            ranked = []
            for row, true in enumerate(truth):
                others = [r for r in range(len(truth)) if r != row]
                if any(truth[r] == true for r in others):
                    relevant = [truth[r] == true for r in others]
                    ranked.append(relevance(vectors[row], vectors[others], relevant))
            for name, value in figures_of(ranked).items():
                if name.startswith("chance/"):
                    name = name.removeprefix("chance/")
                    expected[f"method/chance/similar/{side}/{name}"] = value
                else:
                    expected[f"similar/{space}/{side}/{name}"] = value
    assert points(values) == pytest.approx(expected, abs=1e-9)
    for name in points(values):
        if not name.startswith("method/chance"):
            assert values[f"{name}/lo"] <= values[name] <= values[f"{name}/hi"]


def test_an_image_does_not_find_itself() -> None:
    # Each image's nearest is itself; its one fellow is the farthest of all.
    vectors = np.array([[1, 0], [0, 1], [-1, 0.01], [0.01, -1]], dtype=np.float32)
    truth = np.array([0, 1, 0, 1])
    values, _ = by_images({"devise": (vectors, vectors[:0])}, truth, truth[:0])
    assert values["similar/devise/seen/P@1"] == 0
    assert values["similar/devise/seen/mAP"] == pytest.approx(1 / 3)
    # A twin is another image, and is found.
    twins = np.repeat(vectors[:2], 2, axis=0)
    values, _ = by_images({"devise": (twins, twins)}, truth[[0, 0, 1, 1]], truth)
    assert values["similar/devise/seen/mAP"] == 1
    assert values["similar/devise/unseen/P@1"] == 0


def test_the_same_images_ask_in_each_space() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(4, size=120)
    vectors = rng.normal(size=(120, 5)).astype(np.float32)
    turned = vectors @ np.linalg.qr(rng.normal(size=(5, 5)))[0]  # the same cosines
    spaces = {"devise": (vectors, vectors[:9]), "backbone": (2 * turned, turned[:9])}
    values, sizes = by_images(spaces, truth, truth[:9], max_queries=10)
    assert sizes["similar/seen"] == (10, 119)
    mine = {n: v for n, v in values.items() if n.startswith("similar/devise/")}
    for name, value in mine.items():
        assert values[name.replace("devise", "backbone")] == pytest.approx(value)
    everyone, _ = by_images(spaces, truth, truth[:9])
    assert everyone["similar/devise/seen/mAP"] != values["similar/devise/seen/mAP"]
    again = by_images(spaces, truth, truth[:9], max_queries=10)
    assert again == (values, sizes)


def test_a_side_where_nothing_can_be_asked_is_left_out() -> None:
    vectors = np.eye(3, dtype=np.float32)
    alone = {"devise": (vectors, vectors)}
    values, sizes = by_images(alone, np.array([0, 1, 2]), np.array([3, 3, 4]))
    assert set(sizes) == {"similar/unseen"}
    assert not [name for name in values if "/seen/" in name]
    assert {n.rsplit("/", 1)[-1] for n in points(values)} == {"P@1", "mAP"}  # of two others


@pytest.mark.parametrize(
    ("n", "dim", "n_asking"),
    [(2100, 4, 2100), (2100, 2000, 30)],
    ids=["rankings", "vectors"],  # what exceeds a block
)
def test_what_does_not_fit_into_one_block_gives_the_same_figures(
    n: int, dim: int, n_asking: int
) -> None:
    assert max(n * n_asking, n * dim) > NUMBERS_AT_ONCE
    rng = np.random.default_rng(0)
    truth = np.arange(100, 100 + n)  # alone in its class: no query
    asking = rng.permutation(n)[:n_asking]
    truth[asking] = np.arange(n_asking) % 5
    vectors = rng.normal(size=(n, dim))
    vectors[asking] += 0.3 * rng.normal(size=(5, dim))[truth[asking]]
    unlike = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = unlike[asking] @ unlike.T
    similarity[np.arange(n_asking), asking] = -np.inf
    relevant = truth[np.argsort(-similarity, axis=1)[:, :-1]] == truth[asking, None]
    precision = relevant.cumsum(axis=1) / np.arange(1, n)
    average = (precision * relevant).sum(axis=1) / relevant.sum(axis=1)
    spaces = {"devise": (vectors.astype(np.float32), vectors[:0])}
    values, sizes = by_images(spaces, truth, truth[:0], max_queries=n)
    assert sizes == {"similar/seen": (n_asking, n - 1)}
    assert values["similar/devise/seen/mAP"] == pytest.approx(average.mean(), abs=1e-5)
    assert values["similar/devise/seen/P@10"] == pytest.approx(relevant[:, :10].mean(), abs=1e-4)
    assert values["method/chance/similar/seen/mAP"] < average.mean() < 0.95


def test_vectors_that_cannot_be_searched_are_named() -> None:
    model = embedded()
    seen, unseen = model.seen.vectors, model.unseen.vectors
    truths = model.seen.class_ids, model.unseen.class_ids
    broken = seen.copy()
    broken[3, 1] = np.nan
    with pytest.raises(InputError, match="row 3 of the images holds NaN or infinity"):
        by_images({"backbone": (broken, unseen)}, *truths)
    with pytest.raises(ValueError, match="backbone: embeddings and truths differ in number"):
        by_images({"backbone": (seen[1:], unseen)}, *truths)
