"""The figures of an evaluation against plain loops over raw embeddings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from devise_exp import evaluation, protocols
from devise_exp.errors import InputError
from devise_exp.evaluation import EvalReport
from devise_exp.index import ExactIndex, Index, NmslibIndex
from devise_exp.protocols import Embedded, Protocol

SEEN, UNSEEN = np.array([0, 2, 3, 5, 6]), np.array([1, 4, 7])
INDEXES: dict[str, Callable[[np.ndarray], Index]] = {
    "exact": ExactIndex,
    "hnsw": NmslibIndex,
    "brute_force": lambda vectors: NmslibIndex(vectors, method="brute_force"),
}


def unit(rows: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled.astype(np.float32)


def embedded(name: str = "devise", seed: int = 0, noise: float = 1.0, dim: int = 6) -> Embedded:
    """Eight classes, of which each image is near its own; unequal numbers of images a class."""
    rng = np.random.default_rng(seed)
    vectors = unit(rng.normal(size=(8, dim)))
    counts = {0: 7, 2: 3, 3: 9, 5: 4, 6: 1, 1: 8, 4: 2, 7: 5}

    def images(classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        truth = rng.permutation(np.repeat(classes, [counts[c] for c in classes]))
        return unit(vectors[truth] + noise * rng.normal(size=(len(truth), dim))), truth

    return Embedded(name, vectors, *images(SEEN), *images(UNSEEN))


def run(
    *models: Embedded, index: str = "exact", extra: Any = None, **options: Any
) -> tuple[EvalReport, dict[str, np.ndarray]]:
    chosen = protocols.between(SEEN, UNSEEN, extra)
    return evaluation.evaluate(models, chosen, INDEXES[index], **options)


def by_hand(model: Embedded, images: str, candidates: list[int], k: int) -> tuple[float, float]:
    """(hit@k per image, mean of the classes' hit@k): every cosine, sorted, in plain Python."""
    queries = getattr(model, images).tolist()
    truths = getattr(model, f"{images}_truth").tolist()
    vectors = model.class_vectors.tolist()
    hits: dict[int, list[bool]] = {}
    for query, truth in zip(queries, truths, strict=True):
        cosines = {
            c: sum(a * b for a, b in zip(query, vectors[c], strict=True))
            / math.hypot(*query)
            / math.hypot(*vectors[c])
            for c in candidates
        }
        ranked = sorted(candidates, key=lambda c: -cosines[c])
        hits.setdefault(truth, []).append(truth in ranked[:k])
    everything = [hit for own in hits.values() for hit in own]
    class_means = [sum(own) / len(own) for own in hits.values()]
    return sum(everything) / len(everything), sum(class_means) / len(class_means)


@pytest.mark.parametrize("seed", range(3))
def test_every_figure_equals_plain_loops(seed: int) -> None:
    models = embedded(seed=seed), embedded("conse", seed=seed + 100, noise=2.0)
    values = run(*models)[0].values
    expected: dict[str, float] = {}
    for model, prefix in zip(models, ("", "method/conse/"), strict=True):
        for protocol, images, candidates in (
            ("seen", "seen", SEEN),
            ("unseen", "unseen", UNSEEN),
            ("all_seen", "seen", np.arange(8)),
            ("all_unseen", "unseen", np.arange(8)),
        ):
            for k in (k for k in (1, 2, 3, 5, 10, 20) if k <= len(candidates)):
                name = f"{prefix}{protocol}/hit@{k}"
                figures = by_hand(model, images, candidates.tolist(), k)
                expected[name], expected[f"{name}/class_mean"] = figures
                expected[f"method/chance/{protocol}/hit@{k}"] = k / len(candidates)
        u, s = (expected[f"{prefix}all_{i}/hit@1/class_mean"] for i in ("unseen", "seen"))
        expected[f"{prefix}all/H@1"] = 2 * u * s / (u + s)
    expected["index/recall@10"] = 1.0
    points = {name: v for name, v in values.items() if name.rsplit("/", 1)[-1] not in ("lo", "hi")}
    assert points == pytest.approx(expected, abs=1e-12)
    assert 0 < values["all_unseen/hit@1"] < values["unseen/hit@1"] < 1  # not a trivial case


def test_every_share_has_its_interval_around_it() -> None:
    values = run(embedded())[0].values
    shares = [
        n for n in values if "/hit@" in n and "chance" not in n and n[-3:] not in ("/lo", "/hi")
    ]
    assert len(shares) == 2 * (4 + 3 + 4 + 4)  # per image and per class, ks up to the candidates
    for name in shares:
        assert 0 <= values[f"{name}/lo"] <= values[name] <= values[f"{name}/hi"] <= 1
    assert values["seen/hit@1/lo"] < values["seen/hit@1"] < values["seen/hit@1/hi"]


def test_the_three_indexes_agree_to_the_last_digit() -> None:
    models = embedded(), embedded("conse", seed=7)
    exact, exact_neighbours = run(*models)
    for index in ("hnsw", "brute_force"):
        report, neighbours = run(*models, index=index)
        assert report == exact
        for name, found in neighbours.items():
            np.testing.assert_array_equal(found, exact_neighbours[name])


def test_an_index_that_misses_neighbours_says_so() -> None:
    class Reversed(ExactIndex):
        """Half wrong: the farthest half instead of the nearest."""

        def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            ids, similarities = super().search(queries, len(self))
            return ids[:, ::-1][:, :k], similarities[:, ::-1][:, :k]

    rng = np.random.default_rng(0)
    vectors, rows = unit(rng.normal(size=(20, 4))), np.arange(20)
    model = Embedded("devise", vectors, vectors, rows, vectors[:1], rows[:1])
    # Ten of twenty from the other end, and all of ten: the worse one counts.
    chosen = [Protocol("seen", "seen", rows), Protocol("unseen", "unseen", rows[:10])]
    report, _ = evaluation.evaluate([model], chosen, Reversed)
    assert report.values["index/recall@10"] == 0.0
    assert report.values["seen/hit@10"] == 0.0


def test_neighbours_are_class_ids_best_first() -> None:
    model = embedded()
    _, neighbours = run(model)
    assert set(neighbours) == {"seen", "unseen", "all_seen", "all_unseen"}
    similarity = model.unseen @ model.class_vectors[UNSEEN].T
    expected = UNSEEN[np.argsort(-similarity, axis=1)]
    np.testing.assert_array_equal(neighbours["unseen"], expected)
    assert neighbours["all_seen"].shape == (len(model.seen), 5)


def test_a_model_that_cannot_name_a_class_is_left_out_where_it_is_a_candidate() -> None:
    one_hot = np.zeros((8, len(SEEN)), dtype=np.float32)
    one_hot[SEEN] = np.eye(len(SEEN))
    probabilities = unit(np.random.default_rng(3).random((24, len(SEEN))))
    model = embedded()
    none = slice(0, 0)
    softmax = Embedded(
        "softmax", one_hot, probabilities, model.seen_truth, probabilities[none], SEEN[none]
    )
    values = run(model, softmax)[0].values
    protocols = {n.split("/")[2] for n in values if n.startswith("method/softmax/")}
    assert protocols == {"seen"}
    right = SEEN[probabilities.argmax(axis=1)] == model.seen_truth
    assert values["method/softmax/seen/hit@1"] == right.mean()
    assert "method/softmax/all/H@1" not in values


def test_extra_labels_give_two_more_protocols_and_change_no_other() -> None:
    model, control = embedded(), embedded("conse", seed=4)
    plain = run(model, control)[0].values
    extra = unit(np.random.default_rng(9).normal(size=(15, 6)))
    wide = model.with_labels(extra)
    values = run(wide, control, extra=8 + np.arange(15))[0].values
    assert {name: values[name] for name in plain} == plain
    more = {name.split("/")[0] for name in values if name not in plain}
    assert more == {"extra_seen", "extra_unseen", "method"}
    candidates = list(range(23))
    for images in ("seen", "unseen"):
        figures = values[f"extra_{images}/hit@3"], values[f"extra_{images}/hit@3/class_mean"]
        assert figures == pytest.approx(by_hand(wide, images, candidates, 3))
        assert values[f"method/chance/extra_{images}/hit@20"] == 20 / 23
    # A control has no vector for them.
    assert not [name for name in values if name.startswith("method/conse/extra")]
    assert values["extra_unseen/hit@1"] <= values["all_unseen/hit@1"]


def test_ks_null_stops_at_the_number_of_candidates() -> None:
    values = run(embedded())[0].values
    ks = {
        p: {n.split("@")[1].split("/")[0] for n in values if n.startswith(f"{p}/hit")}
        for p in ("seen", "unseen", "all_seen")
    }
    assert ks == {"seen": {"1", "2", "3", "5"}, "unseen": {"1", "2", "3"},
                  "all_seen": {"1", "2", "3", "5"}}  # fmt: skip


@pytest.mark.parametrize(
    ("ks", "words"),
    [
        ([1, 4], ("ks=[1, 4]", "hit@4", "3 candidates of unseen", "between 1 and 3")),
        ([6], ("hit@6", "5 candidates of seen")),
        ([0], ("hit@0", "between 1 and 5")),
        ([True], ("hit@True",)),
        (["a"], ("hit@a",)),
        ([1.5], ("hit@1.5",)),
        ([], ("ks=[]", "asks nothing")),
        ("1", ("ks=['1']",)),
    ],
)
def test_a_k_that_cannot_be_asked_names_the_protocol_and_its_candidates(
    ks: Any, words: tuple[str, ...]
) -> None:
    with pytest.raises(InputError) as caught:
        run(embedded(), ks=ks)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


def test_the_ks_that_were_asked_are_reported_once_each() -> None:
    one = run(embedded(), ks=[3, 1, 3])[0].values
    assert {n.split("@")[1].split("/")[0] for n in one if "/hit@" in n} == {"1", "3"}
    assert run(embedded(), ks=2)[0] == run(embedded(), ks=[2])[0]
    assert not [name for name in run(embedded(), ks=[2])[0].values if name.endswith("H@1")]


def test_an_image_whose_class_is_no_candidate_is_an_error() -> None:
    with pytest.raises(InputError, match="no true answer"):
        evaluation.evaluate([embedded()], [Protocol("seen", "unseen", SEEN)], ExactIndex)


def test_protocols_are_chosen_by_name() -> None:
    available = protocols.between(SEEN, UNSEEN)
    assert protocols.select(available, None) == available
    assert protocols.select(available, "unseen") == (available[1],)
    # H needs both generalised protocols.
    for names, has_h in ((["all_unseen"], False), (["seen", "all_seen"], False),
                         (["all_seen", "all_unseen"], True)):  # fmt: skip
        chosen = protocols.select(available, names)
        report, neighbours = evaluation.evaluate([embedded()], chosen, ExactIndex)
        assert set(report.n) == set(neighbours) == set(names)
        assert ("all/H@1" in report.values) is has_h
    for wrong in (["foo"], ["seen", "extra_seen"], [], "sen"):
        with pytest.raises(InputError, match="choose among seen, unseen, all_seen, all_unseen"):
            protocols.select(available, wrong)


def test_embeddings_and_truths_of_different_number_are_refused() -> None:
    model = embedded()
    with pytest.raises(ValueError, match="differ in number"):
        Embedded("x", model.class_vectors, model.seen, model.seen_truth[1:], *[model.unseen] * 2)
