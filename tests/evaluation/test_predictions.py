"""Predictions: the file gives hit@k of the metrics, by a slow second count, at ties too."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from devise_exp.core.vectors import normalize_rows
from devise_exp.evaluation.evaluator import evaluate
from devise_exp.evaluation.predictions import predictions, sample_of
from devise_exp.evaluation.protocols import EmbeddedImages, MethodOutput, standard_protocols
from devise_exp.index.exact import ExactIndex
from devise_exp.reports.predictions import PartImages, write_predictions

SEEN, UNSEEN, EXTRA = np.arange(8), np.arange(8, 14), np.arange(14, 17)
NAMES = [f"class {i:02}" for i in range(17)]


@pytest.fixture(scope="module")
def models() -> list[MethodOutput]:
    """Two methods; vectors of few values, so that many similarities are the same."""
    rng = np.random.default_rng(0)
    outputs = []
    for name, gamma in (("devise", 0.25), ("other", None)):
        vectors = normalize_rows(rng.integers(-1, 2, (17, 3)) + 1e-9).astype(np.float32)
        parts = {}
        for part, ids in (("seen", SEEN), ("unseen", UNSEEN), ("train", SEEN)):
            images = normalize_rows(rng.integers(-1, 2, (90, 3)) + 1e-9).astype(np.float32)
            truth = np.random.default_rng(len(part)).choice(ids, 90)  # the same for both
            parts[part] = EmbeddedImages(images, truth)
        outputs.append(MethodOutput(name=name, class_vectors=vectors, parts=parts, gamma=gamma))
    return outputs


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def hits_in(rows: list[dict[str, str]], k: int) -> tuple[float, float]:
    """hit@k over images and over classes, counted one by one."""
    of_class = defaultdict(list)
    for row in rows:
        of_class[row["class"]].append(row["rank"] != "" and int(row["rank"]) <= k)
    every = [hit for hits in of_class.values() for hit in hits]
    shares = [sum(of_class[name]) / len(of_class[name]) for name in sorted(of_class)]
    return sum(every) / len(every), float(np.mean(shares))


def test_the_file_gives_hit_at_k_of_every_protocol_to_the_last_digit(
    models: list[MethodOutput], tmp_path: Path
) -> None:
    protocols = standard_protocols(
        SEEN, UNSEEN, EXTRA, train=True, overlapping=UNSEEN[:2], calibrated=True,
        unidentified=UNSEEN[2:3],
    )  # fmt: skip
    evaluation = evaluate(models, protocols, ExactIndex)
    tables = predictions(models, protocols, evaluation.neighbours, 5)
    images = {
        part: PartImages([f"{part}/{i}" for i in range(90)], {f"{part}/3": f"/at/{part}/3.png"})
        for part in ("seen", "unseen", "train")
    }
    path = write_predictions(tmp_path, "csv", tables, images, NAMES, 5)
    assert path == tmp_path / "predictions.csv"
    by_protocol = defaultdict(list)
    for row in rows_of(path):
        by_protocol[row["method"], row["protocol"]].append(row)
    hits = [r for r in evaluation.report.records if r.metric == "hit" and r.method != "chance"]
    assert {(r.method, r.protocol) for r in hits} == set(by_protocol)
    assert len({r.protocol for r in hits}) == 12
    for record in hits:
        rows = by_protocol[record.method, record.protocol]
        of_images, of_classes = hits_in(rows, record.k or 0)
        assert record.value == (of_images if record.average == "image" else of_classes), record
        if (record.k or 0) <= 5 and record.average == "image":
            named = [
                row["class"] in [row[f"label_{j}"] for j in range(1, record.k + 1)] for row in rows
            ]
            assert sum(named) / len(named) == record.value
    ties = [
        row for row in by_protocol["devise", "seen"] if row["similarity_1"] == row["similarity_2"]
    ]
    assert len(ties) > 20
    assert {row["path"] for row in by_protocol["devise", "all_unseen"]} == {"", "/at/unseen/3.png"}
    assert {row["part"] for row in by_protocol["devise", "all_seen"]} == {"test"}


def test_similarities_are_what_ranks(models: list[MethodOutput]) -> None:
    protocols = standard_protocols(SEEN, UNSEEN, calibrated=True)
    evaluation = evaluate(models, protocols, ExactIndex)
    by_name = {
        table.protocol: table
        for table in predictions(models[:1], protocols, evaluation.neighbours, 4)
    }
    model, images = models[0], models[0].unseen.vectors
    for name, gamma in (("all_unseen", 0.0), ("calibrated_unseen", 0.25)):
        table = by_name[name]
        for row, labels, similarities in zip(
            table.rows, table.labels, table.similarities, strict=True
        ):
            plain = images[row].astype(float) @ model.class_vectors[labels].astype(float).T
            lowered = plain - gamma * np.isin(labels, SEEN)
            np.testing.assert_allclose(similarities, lowered, atol=1e-6)
            assert (np.diff(similarities) <= 1e-6).all()


def test_a_large_part_is_sampled_evenly_and_the_same_in_all_protocols(
    models: list[MethodOutput],
) -> None:
    assert sample_of(9, 9).tolist() == list(range(9))
    assert sample_of(9, 3).tolist() == [0, 4, 8]
    protocols = standard_protocols(SEEN, UNSEEN, overlapping=UNSEEN[:2])
    evaluation = evaluate(models[:1], protocols, ExactIndex)
    tables = {
        table.protocol: table
        for table in predictions(models[:1], protocols, evaluation.neighbours, 5, 30)
    }
    assert len(tables["seen"].rows) == len(tables["unseen"].rows) == 30
    parts = [tables[f"unseen_{name}"] for name in ("clean", "leaked")]
    assert sorted(row for part in parts for row in part.rows) == tables["unseen"].rows.tolist()
    assert all(len(part.rows) for part in parts)
    assert np.isin(parts[1].truth, UNSEEN[:2]).all()
