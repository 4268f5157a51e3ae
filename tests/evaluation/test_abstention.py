"""None of these: the records of an evaluation against slow loops over images and labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from devise_exp.core.vectors import centre_of, centre_rows, normalize_rows
from devise_exp.evaluation.abstention import search_abstention_records
from devise_exp.evaluation.evaluator import evaluate
from devise_exp.evaluation.protocols import EmbeddedImages, MethodOutput, standard_protocols
from devise_exp.evaluation.records import flatten, parse
from devise_exp.index.exact import ExactIndex

SEEN, UNSEEN = np.array([0, 2, 3, 5, 6]), np.array([1, 4, 7])


@pytest.fixture(scope="module")
def model() -> MethodOutput:
    rng = np.random.default_rng(5)
    vectors = normalize_rows(rng.normal(size=(8, 4)))
    parts = {}
    for part, ids in (("seen", SEEN), ("unseen", UNSEEN)):
        truth = rng.choice(ids, 40)
        images = normalize_rows(vectors[truth] + 0.6 * rng.normal(size=(40, 4)))
        parts[part] = EmbeddedImages(images, truth)
    return MethodOutput(
        name="devise", class_vectors=vectors, parts=parts, none_threshold=0.8, is_projection=True
    )


def pairs(high: list[float], low: list[float]) -> float:
    return float(np.mean([[0.5 * (a == b) + (a > b) for b in low] for a in high]))


def best(image: np.ndarray, vectors: np.ndarray, labels: list[int]) -> float:
    return max(float(image @ vectors[label]) for label in labels)


def test_the_records_are_those_of_slow_loops(model: MethodOutput) -> None:
    values = evaluate([model], standard_protocols(SEEN, UNSEEN), ExactIndex).report.values
    vectors, every = model.class_vectors, list(range(8))
    among_seen = {
        part: [best(image, vectors, SEEN.tolist()) for image in images.vectors]
        for part, images in model.parts.items()
    }
    area = pairs(among_seen["seen"], among_seen["unseen"])
    assert values["seen_vs_unseen/AUROC"] == pytest.approx(area, abs=1e-6)
    scores = {}
    for part, images in model.parts.items():
        known = [best(image, vectors, every) for image in images.vectors]
        unknown = [
            best(image, vectors, [label for label in every if label != c])
            for image, c in zip(images.vectors, images.class_ids.tolist(), strict=True)
        ]
        scores[part] = known, unknown
    scores["all"] = tuple(scores["seen"][i] + scores["unseen"][i] for i in (0, 1))
    for part, key in (("seen", "_seen"), ("unseen", "_unseen"), ("all", "")):
        known, unknown = scores[part]
        start = f"known_vs_unknown{key}"
        assert values[f"{start}/AUROC"] == pytest.approx(pairs(known, unknown), abs=1e-6)
        assert values[f"{start}/threshold"] == 0.8
        assert values[f"{start}/kept"] == np.mean([s >= 0.8 for s in known])
        assert values[f"{start}/rejected"] == np.mean([s < 0.8 for s in unknown])


def test_without_a_threshold_there_is_the_area_alone(model: MethodOutput) -> None:
    output = replace(model, none_threshold=None)
    report = evaluate([output], standard_protocols(SEEN, UNSEEN), ExactIndex).report
    assert "known_vs_unknown/AUROC" in report.values
    assert "known_vs_unknown/threshold" not in report.values
    records = parse(report.values)
    assert [r for r in records if r.metric == "AUROC"] == [
        r for r in report.records if r.metric == "AUROC"
    ]


def test_searches_are_asked_the_same(model: MethodOutput) -> None:
    plain = replace(model, name="other", is_projection=False)
    records = search_abstention_records([model, plain], SEEN)
    values = flatten(records)
    centre = centre_of(model.class_vectors, SEEN)
    truth = np.concatenate([model.seen.class_ids, model.unseen.class_ids])
    images = np.concatenate([model.seen.vectors, model.unseen.vectors])
    for key, about in (("", True), ("method/other/", False)):
        rows, words = images, model.class_vectors
        if about:
            rows, words = centre_rows(rows, centre), centre_rows(words, centre)
        known, unknown = [], []
        for c in np.unique(truth).tolist():
            known.append(max(float(words[c] @ row) for row in rows))
            unknown.append(max(float(words[c] @ row) for row in rows[truth != c]))
        area = values[f"{key}search/known_vs_unknown/AUROC"]
        assert area == pytest.approx(pairs(known, unknown), abs=1e-6)
