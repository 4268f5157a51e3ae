"""Which rows of hp@k are shown, and what is said of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.outputs import method_output

from devise_exp.evaluation import evaluator
from devise_exp.evaluation.evaluator import EvalReport
from devise_exp.evaluation.protocols import standard_protocols
from devise_exp.evaluation.records import MetricRecord, parse
from devise_exp.index.exact import ExactIndex
from devise_exp.reports import run_tables
from devise_exp.reports.hierarchical_rows import (
    hierarchical_rows,
    left_out,
    support_of,
    support_text,
    without_thin,
)
from devise_exp.reports.html.metric_tables import metric_tables
from devise_exp.reports.html.shown_run import ShownRun
from devise_exp.text.wordnet.hierarchy import UNPLACED

SEEN, UNSEEN = np.arange(8), np.arange(8, 14)
ABOUT: dict[str, str | int | float] = {"data": "d", "backbone": "b", "word_vectors": "w"}


def hops_without(*unplaced: int) -> np.ndarray:
    hops = np.random.default_rng(1).integers(1, 5, (14, 14)).astype(np.int32)
    hops = np.minimum(hops, hops.T)
    np.fill_diagonal(hops, 0)
    for c in unplaced:
        hops[c] = hops[:, c] = UNPLACED
    return hops


def report_of(*unplaced: int) -> EvalReport:
    """A report of 8 seen and 6 unseen classes, some without a place."""
    rng = np.random.default_rng(0)
    truths = np.repeat(SEEN, 3), np.repeat(UNSEEN, 5)
    models = []
    for name in ("devise", "conse"):
        vectors = rng.normal(size=(14, 6)).astype(np.float32)
        queries = [(vectors[t] + rng.normal(size=(len(t), 6))).astype(np.float32) for t in truths]
        models.append(method_output(name, vectors, queries[0], truths[0], queries[1], truths[1]))
    protocols = standard_protocols(SEEN, UNSEEN)
    hops = hops_without(*unplaced)
    return evaluator.evaluate(models, protocols, ExactIndex, None, dict(ABOUT), hops).report


@pytest.fixture(scope="module")
def thin() -> EvalReport:
    """Two of the unseen classes have no place, so four are left: one too few."""
    return report_of(0, 8, 9)


def test_the_counts_are_of_classes_and_images_with_a_place(thin: EvalReport) -> None:
    support = support_of(thin.records)
    assert support == {
        "seen": (7, 21), "unseen": (4, 20), "all_seen": (7, 21), "all_unseen": (4, 20),
    }  # fmt: skip
    assert (thin.values["unseen/hp_classes"], thin.values["unseen/hp_images"]) == (4, 20)
    assert support_of(parse(json.loads(json.dumps(thin.values)))) == support
    assert support_text("seen", support) == "7 classes, 21 images"
    assert support_text("seen", {"seen": (1, 1)}) == "1 class, 1 image"
    assert support_text("train", support) == ""


def test_rows_on_fewer_than_five_classes_are_left_out_and_one_line_says_so(
    thin: EvalReport,
) -> None:
    assert set(hierarchical_rows(thin.records)) == {"seen", "all_seen"}
    line = (
        "hp@k left out, as fewer than 5 of their classes stand in WordNet: "
        "unseen among unseen (4 classes), unseen among all (4 classes)"
    )
    assert left_out(thin.records) == line
    assert run_tables.caption(thin).endswith(f" · {line}")
    assert {r.protocol for r in without_thin(thin.records) if r.metric == "hp"} == {
        "seen", "all_seen",
    }  # fmt: skip
    assert "unseen/hp@2" in thin.values  # metrics.json keeps it, with its counts beside it


def test_five_classes_are_enough() -> None:
    report = report_of(8)
    assert set(hierarchical_rows(report.records)) == {"seen", "unseen", "all_seen", "all_unseen"}
    assert left_out(report.records) == ""
    assert "hp@k" not in run_tables.caption(report)
    assert without_thin(report.records) == list(report.records)


def test_where_no_class_has_a_place_the_line_says_so() -> None:
    report = report_of(*UNSEEN.tolist())
    assert "unseen among unseen (0 classes)" in left_out(report.records)
    assert "unseen/hp@1" not in report.values


def test_a_run_that_did_not_count_keeps_its_rows() -> None:
    older = [MetricRecord(protocol="unseen", metric="hp", k=1, value=0.5)]
    assert list(hierarchical_rows(older)) == ["unseen"]
    assert left_out(older) == ""


def test_the_page_has_the_counts_in_its_headings(thin: EvalReport, tmp_path: Path) -> None:
    run_tables.write(thin, tmp_path, "a run")
    (tmp_path / "config.yaml").write_text("seed: 0\n")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    metrics["split/fingerprint"] = "0123456789abcdef"
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    tables = metric_tables(ShownRun(tmp_path))
    assert [table.title for table in tables["hierarchical"]] == [
        "Hierarchical precision, seen among seen (7 classes, 21 images)",
        "Hierarchical precision, seen among all (7 classes, 21 images)",
    ]
    assert "unseen among unseen (4 classes)" in tables["hierarchical_left_out"]
