"""Runs on several splits: their mean, interval and range, and what is not averaged."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml
from scipy import stats
from typer.testing import CliRunner

from devise_exp.core.errors import InputError
from devise_exp.evaluation.records import method_key
from devise_exp.reports import comparison
from devise_exp.reports.comparison import Comparison
from devise_exp.reports.comparison_cells import Cell
from devise_exp.reports.comparison_formats import FORMATS
from devise_exp.reports.html.split_answer import splits_section
from devise_exp.reports.tables import BEST, TIED
from devise_exp.runs.results import runs_in
from devise_exp.ui.cli.runs import compare as command

app = typer.Typer()
app.command()(command)

UNSEEN = "unseen/hit@1/class_mean"
DEVISE = [0.30, 0.42, 0.36, 0.28, 0.39]


def make(folder: Path, figures: Mapping[str, float], split: int, seed: int, **more: Any) -> Path:
    folder.mkdir(parents=True)
    config = {"seed": seed, "split": {"_target_": "a.random_split", "seed": split}, **more}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    fingerprint = {"split/fingerprint": f"f{split}"}
    (folder / "metrics.json").write_text(json.dumps(fingerprint | figures))
    return folder


def series(
    base: Path,
    methods: Mapping[str, Sequence[Sequence[float | None]]],
    ordered: int | None = None,
    **more: Any,
) -> Path:
    """The folder of a series: method -> figures by split and seed, None for none."""
    splits = next(iter(methods.values()))
    for i, seeds in enumerate(splits):
        for j in range(len(seeds)):
            figures = {method_key(name, UNSEEN): of[i][j] for name, of in methods.items()}
            present = {key: value for key, value in figures.items() if value is not None}
            make(base / f"split={i}/seed={j}", present, i, j, **more)
    number = len(splits) if ordered is None else ordered
    config = {"split_seeds": number, "seeds": len(splits[0])}
    (base / "seeds.yaml").write_text(yaml.safe_dump(config))
    return base


def single(values: Sequence[float | None]) -> list[list[float | None]]:
    """Figures of one seed on each split."""
    return [[value] for value in values]


def cells(table: Comparison) -> dict[str, Cell]:
    return {line.names[0]: cell for line in table.lines if (cell := line.cells[0])}


# The mean


def test_mean_interval_and_range_are_over_splits(tmp_path: Path) -> None:
    table = comparison.over_splits([series(tmp_path / "s", {"devise": single(DEVISE)})])
    cell = cells(table)["devise"]
    mean, sd = 0.35, 0.06  # by hand: deviations -5, 7, 1, -7, 4; their squares sum up to 140
    sd = (0.0140 / 4) ** 0.5
    half = 2.7764451051977987 * sd / 5**0.5  # Student's t of four degrees of freedom, by table
    assert (cell.value, cell.sd) == (pytest.approx(mean), pytest.approx(sd))
    assert (cell.lo, cell.hi) == (pytest.approx(mean - half), pytest.approx(mean + half))
    assert (cell.min, cell.max, cell.splits) == (0.28, 0.42, 5)


def test_the_seeds_of_a_split_are_averaged_first(tmp_path: Path) -> None:
    values = [[0.2, 0.4], [0.5, 0.5], [0.1, 0.5]]
    cell = cells(comparison.over_splits([series(tmp_path / "s", {"devise": values})]))["devise"]
    means = np.array([0.3, 0.5, 0.3])
    lo, hi = stats.t.interval(0.95, 2, means.mean(), stats.sem(means))
    assert cell.value == pytest.approx(means.mean())
    assert (cell.lo, cell.hi) == (pytest.approx(max(lo, 0)), pytest.approx(hi))
    assert (cell.min, cell.max) == (pytest.approx(0.3), pytest.approx(0.5))


def test_no_interval_leaves_the_shares_that_there_are(tmp_path: Path) -> None:
    table = comparison.over_splits([series(tmp_path / "s", {"devise": single([0.0, 0.99])})])
    assert (cells(table)["devise"].lo, cells(table)["devise"].hi) == (0.0, 1.0)


def test_equal_splits_have_no_spread_in_place_of_an_interval_of_no_width(tmp_path: Path) -> None:
    methods = {"devise": single([1.0] * 5), "eszsl": single(DEVISE)}
    table = comparison.over_splits([series(tmp_path / "s", methods)])
    cell = cells(table)["devise"]
    assert (cell.value, cell.sd, cell.lo, cell.hi) == (1.0, 0.0, None, None)
    text = FORMATS["markdown"](table)
    assert "| no spread |" in text
    assert "all splits have the same figure" in text
    assert "100.0 – 100.0 |" not in text.split("95 % of the mean", 1)[1].split("lowest", 1)[0]
    assert "100.0 in every split" in splits_section(table)
    assert (
        "no spread"
        not in FORMATS["html"](
            comparison.over_splits([series(tmp_path / "t", {"devise": single(DEVISE)})])
        ).lower()
    )


def test_what_differs_from_the_best_is_tested_split_by_split(tmp_path: Path) -> None:
    """Always a little below the best: unpaired, the intervals overlap by far."""
    below = [value - 0.01 - i / 1000 for i, value in enumerate(DEVISE)]
    near = [0.36, 0.35, 0.33, 0.33, 0.33]
    methods = {
        "devise": single(DEVISE),
        "below": single(below),
        "near": single(near),
        "chance": single([0.05] * 5),
    }
    actual = cells(comparison.over_splits([series(tmp_path / "s", methods)]))
    marks = {name: cell.mark for name, cell in actual.items()}
    assert marks == {"devise": BEST, "below": "", "near": TIED, "chance": ""}
    for name, values in (("below", below), ("near", near)):  # a second implementation
        assert (stats.ttest_rel(DEVISE, values).pvalue >= 0.05) == (marks[name] == TIED)


def test_a_method_that_a_split_lacks_says_over_how_many(tmp_path: Path) -> None:
    values: list[float | None] = [0.2, None, 0.25, 0.22, 0.3]
    methods = {"devise": single(DEVISE), "eszsl": single(values)}
    table = comparison.over_splits([series(tmp_path / "s", methods)])
    assert cells(table)["eszsl"].splits == 4
    text = FORMATS["markdown"](table)
    assert "[4]" in text
    assert "[n]: only n of the splits have the metric" in text


# What the table says


@pytest.mark.parametrize("form", ["markdown", "latex", "html"])
def test_each_form_has_mean_interval_and_range(tmp_path: Path, form: str) -> None:
    table = comparison.over_splits([series(tmp_path / "s", {"devise": single(DEVISE)})])
    text = FORMATS[form](table).replace("--", "–").replace(r"$\pm$", "±").replace("\\", "")
    for cell in ("35 ± 6", "28 – 42", "over 5 splits", "95 % of the mean", "lowest – highest"):
        assert cell in text


def test_the_page_says_that_a_split_has_none_right(tmp_path: Path) -> None:
    table = comparison.over_splits([series(tmp_path / "s", {"devise": single([0.0, 0.2, 0.1])})])
    text = splits_section(table)
    assert "unseen hit@1 has a mean of 10 (its 95 % interval is 0 to 35; " in text
    assert "the splits range from 0 to 20)" in text


def test_the_csv_has_them_to_the_last_digit(tmp_path: Path) -> None:
    table = comparison.over_splits([series(tmp_path / "s", {"devise": single(DEVISE)})])
    (row,) = csv.DictReader(StringIO(FORMATS["csv"](table)))
    assert float(row[UNSEEN]) == pytest.approx(np.mean(DEVISE), abs=1e-15)
    assert (row[f"{UNSEEN}/min"], row[f"{UNSEEN}/max"]) == ("0.28", "0.42")
    assert row[f"{UNSEEN}/splits"] == "5"
    assert row["split/fingerprint"] == "f0 f1 f2 f3 f4"


def test_a_series_that_is_not_finished_says_how_many_splits_are(tmp_path: Path) -> None:
    base = series(tmp_path / "s", {"devise": single(DEVISE)}, ordered=7)
    (base / "split=5/seed=0").mkdir(parents=True)  # begun
    table = comparison.over_splits([base])
    text = FORMATS["markdown"](table)
    assert "over 5 of 7 splits" in text
    assert "the others failed, are not finished or not given" in text
    assert [line.names for line in table.lines] == [("devise",)]


def test_a_split_counts_when_all_its_seeds_are_finished(tmp_path: Path) -> None:
    base = series(tmp_path / "s", {"devise": [[0.2, 0.3], [0.3, 0.4], [0.5, 0.4]]})
    (base / "split=1/seed=1/metrics.json").unlink()
    cell = cells(comparison.over_splits([base]))["devise"]
    assert (cell.min, cell.max, cell.splits) == (pytest.approx(0.25), pytest.approx(0.45), 2)


def test_of_a_series_without_a_finished_split_a_line_says_how_to_go_on(tmp_path: Path) -> None:
    base = series(tmp_path / "s", {"devise": single([0.2])}, ordered=3)
    (base / "split=0/seed=0/metrics.json").unlink()
    with pytest.raises(InputError, match=r"no split .* is finished: go on with it .*resume="):
        runs_in([base], several_splits=True)


# compare


def test_compare_shows_the_methods_of_one_series(tmp_path: Path) -> None:
    base = series(tmp_path / "s", {"devise": single(DEVISE), "eszsl": single(DEVISE[::-1])})
    result = CliRunner().invoke(app, [str(base), "--format", "csv"], catch_exceptions=False)
    rows = list(csv.DictReader(StringIO(result.stdout)))
    assert [row["method"] for row in rows] == ["devise", "eszsl"]
    assert float(rows[0][UNSEEN]) == pytest.approx(0.35)


def test_some_splits_of_a_finished_series_say_that_others_were_not_given(tmp_path: Path) -> None:
    base = series(tmp_path / "s", {"devise": single(DEVISE)})
    given = [base / "split=0/seed=0", base / "split=3/seed=0"]
    text = FORMATS["markdown"](comparison.compare(runs_in(given, several_splits=True)))
    assert "over 2 of 5 splits" in text
    assert "(0, 3; the others failed, are not finished or not given)" in text


def test_recipes_on_the_same_splits_are_a_line_each_and_paired(tmp_path: Path) -> None:
    below = [value - 0.01 - i / 1000 for i, value in enumerate(DEVISE)]
    one = series(tmp_path / "one", {"devise": single(DEVISE)}, loss="a")
    two = series(tmp_path / "two", {"devise": single(below)}, loss="b")
    table = comparison.compare(runs_in([one, two], several_splits=True))
    assert table.heads == ("run", "differs in", "splits")
    assert [line.names for line in table.lines] == [
        (str(one), "loss=a", "5"),
        (str(two), "loss=b", "5"),
    ]
    assert [cell.mark for line in table.lines for cell in line.cells if cell] == [BEST, ""]


def test_runs_that_differ_in_more_than_the_seed_of_the_split_are_refused(tmp_path: Path) -> None:
    folders = [
        make(tmp_path / str(i), {UNSEEN: 0.3}, i, 0, loss=loss) for i, loss in enumerate("ab")
    ]
    with pytest.raises(InputError, match=r"different splits do not compare: .*differ in .*loss"):
        comparison.compare(runs_in(folders, several_splits=True))


def test_a_recipe_on_fewer_splits_is_refused(tmp_path: Path) -> None:
    one = series(tmp_path / "one", {"devise": single(DEVISE)}, loss="a")
    two = series(tmp_path / "two", {"devise": single(DEVISE[:3])}, loss="b")
    with pytest.raises(InputError) as refused:
        comparison.compare(runs_in([one, two], several_splits=True))
    line = str(refused.value)
    assert f"{one}/split=0/seed=0 has split.seed 0, 1, 2, 3, 4" in line
    assert f"{two}/split=0/seed=0 has 0, 1, 2: give the runs of the same splits of both" in line
    assert "f0" not in line  # a split that both have is none that differs
    middle = [two / "split=0/seed=0", two / "split=2/seed=0"]
    with pytest.raises(InputError, match=r"has split.seed 0, 1, 2, 3, 4, .* has 0, 2: give"):
        comparison.compare(runs_in([one, *middle], several_splits=True))


def test_a_stopped_series_given_by_its_folder_says_how_to_go_on(tmp_path: Path) -> None:
    base = series(tmp_path / "s", {"devise": single(DEVISE[:1])}, ordered=3)
    for given in (base, base / "split=0/seed=0"):
        result = CliRunner().invoke(app, [str(given)], catch_exceptions=False)
        assert f"devise-exp train resume={base} goes on with the others" in result.stderr
        assert "the one split of 3 that is finished" in result.stderr
    second = make(base / "split=1/seed=0", {UNSEEN: 0.3}, 1, 0)
    result = CliRunner().invoke(app, [str(second)], catch_exceptions=False)
    assert "one of the 3 splits of this series: give its folder" in result.stderr


def test_one_seed_of_the_split_on_two_data_sets_is_refused(tmp_path: Path) -> None:
    one = make(tmp_path / "1", {UNSEEN: 0.3}, 0, 0)
    two = make(tmp_path / "2", {UNSEEN: 0.3, "split/fingerprint": 0}, 0, 1)
    text = json.loads((two / "metrics.json").read_text()) | {"split/fingerprint": "other"}
    (two / "metrics.json").write_text(json.dumps(text))
    with pytest.raises(InputError, match=r"both with split.seed=0: their images or classes differ"):
        comparison.compare(runs_in([one, two], several_splits=True))


def test_elsewhere_splits_are_not_mixed(tmp_path: Path) -> None:
    base = series(tmp_path / "s", {"devise": single(DEVISE)})
    with pytest.raises(InputError, match="different splits do not compare"):
        runs_in([base])
