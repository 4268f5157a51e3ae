"""Means over random draws, and whether their interval tells chance from a leak."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from helpers.outputs import method_output
from helpers.word_queries import evaluate_word_queries
from scipy import stats

from devise_exp.core.vectors import normalize_rows
from devise_exp.evaluation import evaluator
from devise_exp.evaluation.draws import against_chance, mean_records, split_draws
from devise_exp.evaluation.metrics.hits import class_mean
from devise_exp.evaluation.metrics.intervals import interval
from devise_exp.evaluation.protocols import MethodOutput, standard_protocols
from devise_exp.evaluation.records import CHANCE, MetricRecord, flatten, parse
from devise_exp.index.exact import ExactIndex

SEEN, UNSEEN, DIM, DRAWS = np.arange(5), np.arange(5, 9), 6, 4


def drawn(seed: int = 0) -> MethodOutput:
    """Nine classes of random vectors in four draws side by side; images lie near their classes."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(9, DRAWS * DIM)).astype(np.float32)
    truths = [np.repeat(ids, [3, 5, 2, 4, 6][: len(ids)]) for ids in (SEEN, UNSEEN)]
    images = [vectors[t] + 2 * rng.normal(size=(len(t), DRAWS * DIM)).astype(np.float32)
              for t in truths]  # fmt: skip
    return method_output(
        "random", vectors, images[0], truths[0], images[1], truths[1],
        draws=DRAWS, is_projection=True, reports_search=True,
    )  # fmt: skip


def alone(output: MethodOutput, draw: int) -> MethodOutput:
    """One draw, cut out by hand."""
    columns = slice(draw * DIM, (draw + 1) * DIM)
    arrays: list[np.ndarray] = []
    for side in ("seen", "unseen"):
        part = output.parts[side]
        arrays += [normalize_rows(part.vectors[:, columns]), part.class_ids]
    vectors = normalize_rows(output.class_vectors[:, columns])
    return method_output("random", vectors, *arrays, is_projection=True, reports_search=True)


def records_of(*outputs: MethodOutput) -> dict[str, MetricRecord]:
    """Records by key of the last output, beside a model that is the same in all calls."""
    model = alone(drawn(9), 0)
    both = (model, *outputs)
    report = evaluator.evaluate(both, standard_protocols(SEEN, UNSEEN), ExactIndex).report
    searched, _ = evaluate_word_queries(both, SEEN, UNSEEN, np.zeros(9, dtype=bool))
    return {r.key: r for r in (*report.records, *searched) if r.method == "random"}


def test_every_metric_is_the_mean_of_draws_measured_one_by_one() -> None:
    output = drawn()
    single = [records_of(alone(output, i)) for i in range(DRAWS)]
    means = records_of(output)
    assert means.keys() == single[0].keys()
    assert {"unseen", "all", "search/unseen_pairs"} <= {r.protocol for r in means.values()}
    for key, record in means.items():
        values = np.array([records[key].value for records in single])
        assert record.value == pytest.approx(values.mean(), abs=1e-12)
        assert record.draws == DRAWS
        assert record.classes_low is record.classes_high is None
        if values.std() > 0:
            error = values.std(ddof=1) / DRAWS**0.5
            expected = stats.t.interval(0.95, DRAWS - 1, values.mean(), error)
            assert (record.low, record.high) == pytest.approx(np.clip(expected, 0, 1), abs=1e-9)


def test_the_memory_of_draws_is_that_of_one_of_them() -> None:
    vectors = np.ones((20_000, 40 * 8), dtype=np.float32)  # 25.6 MB; a draw of 40 has 0.64 MB
    truth = np.zeros(len(vectors), dtype=np.int64)
    output = method_output("random", vectors[:9], vectors, truth, vectors[:9], truth[:9], draws=40)
    tracemalloc.start()
    for draw in split_draws(output):
        assert draw.seen.vectors.shape == (20_000, 8)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * 0.64e6


def test_draws_that_are_all_equal_have_an_interval_with_a_width() -> None:
    record = MetricRecord(
        method="random", protocol="seen", metric="hit", k=1, average="class", value=1.0
    )
    (mean,) = mean_records([[record]] * 10)
    assert (mean.value, mean.low, mean.high) == (1.0, pytest.approx(0.025**0.1), 1.0)


def test_no_ranking_of_a_draw_stands_for_all() -> None:
    output = drawn()
    model = alone(drawn(9), 0)
    evaluation = evaluator.evaluate((model, output), standard_protocols(SEEN, UNSEEN), ExactIndex)
    assert not [name for name in evaluation.neighbours if "random" in name]
    assert set(evaluation.curves) == {"random"} - {"random"} | {model.name}
    assert evaluation.report.n["unseen"] == (len(output.unseen.class_ids), len(UNSEEN))


def test_draws_of_one_space_stay_as_they_are() -> None:
    output = alone(drawn(), 0)
    assert list(split_draws(output)) == [output]
    with pytest.raises(ValueError, match="5 draws do not divide a width of 24"):
        method_output("x", np.ones((9, 24), np.float32), *[np.ones((1, 24)), np.zeros(1)] * 2,
                      draws=5)  # fmt: skip


def test_the_number_of_draws_is_read_again() -> None:
    records = mean_records([
        [MetricRecord(method="r", protocol="unseen", metric="hit", k=1, average="class", value=v)]
        for v in (0.1, 0.3)
    ])  # fmt: skip
    flat = flatten(records)
    assert flat["method/r/unseen/hit@1/class_mean/draws"] == 2
    assert parse(flat) == tuple(records)
    assert (records[0].low, records[0].high) == (0.0, 1.0)  # t of 2 draws: .2 -+ 12.7 * .1


def test_draws_of_different_metrics_are_no_mean() -> None:
    one, two = (MetricRecord(protocol="all", metric="H", k=k, value=0.5) for k in (1, 2))
    with pytest.raises(ValueError, match="different metrics"):
        mean_records([[one], [two]])


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.03, 0.056, "at chance: 4.0 in [3.0, 5.6], hit@1 among unseen labels over 10 draws"),
        (0.041, 0.06, "NOT at chance: 4.0 outside [4.1, 6.0], "),
        (0.01, 0.039, "NOT at chance: 4.0 outside [1.0, 3.9], "),
    ],
)
def test_a_sentence_says_whether_chance_lies_within(low: float, high: float, words: str) -> None:
    hit = {"protocol": "unseen", "metric": "hit", "k": 1}
    control = MetricRecord(
        method="r", average="class", value=0.04, low=low, high=high, draws=10, **hit
    )
    chance = MetricRecord(method=CHANCE, average="image", value=0.04, **hit)
    (text,) = against_chance([control, chance]).values()
    assert text.startswith(words)
    assert ("leaks" in text) == text.startswith("NOT")
    assert against_chance([control]) == {}
    # Of two classes in one place of the hierarchy, either is right for the other.
    near = MetricRecord(method=CHANCE, protocol="unseen", metric="hp", k=1, value=0.08)
    assert against_chance([control, chance, near]) == {"r": text}
    assert against_chance([control, near]) == {}


def covered(rng: np.random.Generator, classes: int, images: int, draws: int) -> tuple[bool, bool]:
    """Whether chance lies in the interval over draws, and in that over the images of one draw.

    A correct tool: vectors of unseen classes that have nothing to do with where the images lie,
    which is near a centre of their class.
    """
    truth = np.repeat(np.arange(classes), images)
    of_draws, values = [], []
    for _ in range(draws):
        centres = rng.normal(size=(classes, 10))
        embedded = centres[truth] + 0.5 * rng.normal(size=(len(truth), 10))
        vectors = normalize_rows(rng.normal(size=(classes, 10)))
        hits = (embedded @ vectors.T).argmax(axis=1) == truth
        value = class_mean(hits, truth)
        of_draws.append([MetricRecord(protocol="unseen", metric="hit", k=1, average="class",
                                      value=value)])  # fmt: skip
        values.append(hits)
    (mean,) = mean_records(of_draws)
    assert mean.low is not None
    assert mean.high is not None
    low, high = interval(values[0], truth, resamples=200)
    return mean.low <= 1 / classes <= mean.high, low <= 1 / classes <= high


def test_chance_lies_in_the_interval_of_a_correct_tool_19_times_of_20() -> None:
    """The interval over the images of one draw, which was printed before, mostly misses it."""
    rng = np.random.default_rng(0)
    times = np.array([covered(rng, classes=20, images=20, draws=10) for _ in range(400)])
    over_draws, over_images = times.mean(axis=0)
    assert 0.92 <= over_draws <= 0.98
    assert over_images < 0.6
