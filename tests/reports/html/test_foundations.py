"""What a page says its figures rest on, on the runs of a real series."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from devise_exp.reports import comparison
from devise_exp.reports.html.foundations import foundations
from devise_exp.reports.html.page import PAGE, refresh_splits, write_html
from devise_exp.reports.html.shown_run import ShownRun
from devise_exp.reports.titles import PROTOCOL_TITLES
from devise_exp.runs.folder import RunFolder

Series = tuple[Path, dict[str, float]]


@pytest.fixture
def run(splits: Series, tmp_path: Path) -> Path:
    """The copy of a run of a series over splits."""
    folder = Path(shutil.copytree(splits[0], tmp_path / "series"))
    return folder / "split=3/seed=1"


def answers(run: Path) -> dict[str, str]:
    return {a.question: " ".join(a.sentences) for a in foundations(ShownRun(run))}


def answer(run: Path, start: str) -> str:
    (text,) = (text for question, text in answers(run).items() if question.startswith(start))
    return text


def change(run: Path, name: str, **values: Any) -> None:
    content = json.loads((run / name).read_text(encoding="utf-8"))
    inner = content["about"] if name == "about.json" else content
    inner.update(values)
    (run / name).write_text(json.dumps(content), encoding="utf-8")


def test_the_unseen_classes_with_who_chose_and_checked_them(run: Path) -> None:
    records = RunFolder(run).classes()
    unseen = [record.name for record in records if not record.seen]
    text = answer(run, "Which unseen classes")
    assert f"3 of the {len(records)} classes are unseen" in text
    assert "drawn at random (split random3, split.seed=3)" in text
    assert "by words and kinds" in text
    verdicts = RunFolder(run).details().verdicts(unseen)
    clean = [name for name, verdict in verdicts.items() if verdict == "clean"]
    assert all(name in text for name in unseen)
    assert not clean or f"{len(clean)} clean, none of the pretraining's classes: {clean[0]}" in text


def test_a_backbone_of_unknown_classes_has_checked_nothing(run: Path) -> None:
    change(run, "about.json", **{"leak/checked_by": "nothing (classes unknown)"})
    text = answer(run, "Which unseen classes")
    assert "Nothing was checked" in text
    assert "verdicts" not in text


def test_how_many_images_and_classes_stand_behind_each_figure(run: Path) -> None:
    split, classes = RunFolder(run).split(), RunFolder(run).classes()
    text = answer(run, "How many images")
    assert f"{len(split.train):,} images of {len(classes) - 3} seen classes trained" in text
    assert f"{len(split.val):,} others of them chose its epoch" in text
    (table,) = (a.table for a in foundations(ShownRun(run)) if a.table)
    rows = {row[1]: row[2:] for row in table.rows}
    by_class: dict[str, int] = {}
    for row in split.unseen:
        by_class[row.split("/")[0]] = by_class.get(row.split("/")[0], 0) + 1
    low, high = min(by_class.values()), max(by_class.values())
    assert rows["unseen among unseen"] == (str(len(split.unseen)), "3", f"{low} – {high}", 3)
    assert list(rows) == [title for title in PROTOCOL_TITLES.values() if title in rows]
    assert rows["seen among all"][0] == str(len(split.test))
    assert rows["seen among all"][3] == len(classes)


def test_what_random_vectors_mean_beside_chance(run: Path) -> None:
    assert not any("random vectors" in question for question in answers(run))
    key = "method/random_vectors/unseen/hit@1/class_mean"
    bounds = {f"{key}/classes_lo": 0.25, f"{key}/classes_hi": 0.41}
    change(run, "metrics.json", **{key: 0.33}, **bounds)
    text = answer(run, "What do random vectors")
    assert "chance, which is 33.3 for unseen hit@1" in text
    assert "25 - 41 over classes, of one draw of the vectors, contains chance" in text
    change(run, "metrics.json", **{f"{key}/lo": 0.2, f"{key}/hi": 0.3, f"{key}/draws": 10})
    text = answer(run, "What do random vectors")
    assert "20 - 30 over 10 draws of the vectors, does not contain chance" in text


def test_how_sure_gamma_is(run: Path) -> None:
    assert not any("gamma" in question for question in answers(run))
    change(run, "metrics.json", **{"calibrated/factor": 0.2})
    change(run, "about.json", rehearsals=4)
    text = answer(run, "How sure is gamma")
    assert "gamma is 0.200, chosen by 4 class folds" in text
    assert "the run has not noted" in text
    change(run, "metrics.json", **{"calibrated/factor/lo": 0.05, "calibrated/factor/hi": 0.3})
    text = answer(run, "How sure is gamma")
    assert "within 0.050 to 0.300 (95 %), so that it is hardly known" in text


def test_another_split_is_estimated_from_the_classes_of_one_run(run: Path) -> None:
    classes = json.loads((run / "diagnostics.json").read_text())["classes"]
    shares = [entry["hit@1"] for entry in classes if not entry["seen"]]
    text = answer(run, "What would another split give?")
    assert "with split_seeds=10 measures it" in text
    half = stats.t.ppf(0.975, len(shares) - 1) * np.std(shares, ddof=1) * (2 / len(shares)) ** 0.5
    low, high = max(0.0, np.mean(shares) - half), min(1.0, np.mean(shares) + half)
    shown = re.search(r"may well give ([\d.]+) - ([\d.]+)", text)
    assert shown is not None
    assert [float(shown[1]), float(shown[2])] == pytest.approx([100 * low, 100 * high], abs=0.5)


def test_the_page_of_a_series_has_the_measured_interval(run: Path) -> None:
    series = run.parents[1]
    table = comparison.over_splits([series])
    cell = table.lines[0].cells[1]
    assert cell is not None
    (series / "summary.csv").rename(series / "later.csv")  # as while the series is trained
    before = write_html(ShownRun(run)).read_text(encoding="utf-8")
    assert "Measured, in the series" not in before
    refresh_splits(run, table)
    after = (run / PAGE).read_text(encoding="utf-8")
    text = html.unescape(re.sub("<[^>]*>", "", after))
    assert "Measured, in the series that this run belongs to: over 2 splits, unseen hit@1" in text
    assert "95 % of the mean" in text
    (series / "later.csv").rename(series / "summary.csv")
    assert write_html(ShownRun(run)).read_text(encoding="utf-8") == after  # whenever it is written
