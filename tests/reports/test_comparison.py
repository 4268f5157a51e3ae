"""Runs side by side and methods over seeds, on run folders with known figures."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml
from helpers.outputs import method_output
from rich.console import Console
from typer.testing import CliRunner

from devise_exp.core.errors import InputError
from devise_exp.evaluation import evaluator
from devise_exp.evaluation.metrics import intervals
from devise_exp.evaluation.protocols import standard_protocols
from devise_exp.evaluation.records import method_key
from devise_exp.index.exact import ExactIndex
from devise_exp.reports import comparison
from devise_exp.reports.comparison import SUMMARISED, Comparison, of_recipes
from devise_exp.reports.comparison_cells import Cell
from devise_exp.reports.comparison_formats import FORMATS, marked_cell, rich_table
from devise_exp.reports.tables import BEST, TIED, Marked
from devise_exp.runs.config_names import UNFINISHED
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.results import runs_in
from devise_exp.ui.cli.runs import compare as command

app = typer.Typer()
app.command()(command)

UNSEEN = "unseen/hit@1/class_mean"
CONFIG = {"seed": 0, "loss": {"_target_": "devise_exp.methods.losses.hinge_rank", "margin": 1.0}}


def make(
    folder: Path,
    figures: Mapping[str, float],
    config: Mapping[str, Any] | None = None,
    split: str = "aaaa",
) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({**CONFIG, **(config or {})}))
    (folder / "metrics.json").write_text(json.dumps({"split/fingerprint": split, **figures}))
    return folder


def with_bounds(key: str, value: float, half: float) -> dict[str, float]:
    return {key: value, f"{key}/lo": value - half, f"{key}/hi": value + half}


def by_seed(base: Path, methods: Mapping[str, list[float]], key: str = UNSEEN) -> list[Path]:
    """A run folder for each seed, with the methods' figures."""
    n = len(next(iter(methods.values())))
    return [
        make(
            base / f"seed={seed}",
            {method_key(name, key): values[seed] for name, values in methods.items()},
            {"seed": seed},
        )
        for seed in range(n)
    ]


def cells(table: Comparison, key: str = UNSEEN) -> dict[tuple[str, ...], Cell | None]:
    at = [name.key for name in table.columns].index(key)
    return {line.names: line.cells[at] for line in table.lines}


# Grouping


def test_runs_that_differ_in_the_seed_alone_are_one_line(tmp_path: Path) -> None:
    folders = by_seed(tmp_path, {"devise": [0.30, 0.33, 0.31]})
    folders.append(make(tmp_path / "other", {UNSEEN: 0.2}, {"loss": {"_target_": "x.cosine"}}))
    table = comparison.compare(runs_in(folders))
    assert table.heads == ("run", "differs in", "seeds")
    (first, cell), (second, alone) = cells(table).items()
    assert first == (f"{tmp_path}/{{seed=0,seed=1,seed=2}}", "loss=hinge_rank loss.margin=1.0", "3")
    assert second == (str(tmp_path / "other"), "loss=cosine", "1")
    assert cell is not None
    assert alone is not None
    assert cell.value == pytest.approx(0.94 / 3)
    assert cell.sd == pytest.approx(np.std([0.30, 0.33, 0.31], ddof=1))
    half = 4.302652729911275 * cell.sd / 3**0.5  # Student's t of two degrees of freedom, by table
    assert (cell.lo, cell.hi) == pytest.approx((cell.value - half, cell.value + half))
    assert (alone.value, alone.sd) == (0.2, None)


def test_recipes_go_by_the_names_that_they_are_given(tmp_path: Path) -> None:
    created = {name: by_seed(tmp_path / name, {"devise": v, "softmax": [0.9, 0.9, 0.9]})
            for name, v in {"a": [0.30, 0.31, 0.32], "b": [0.1, 0.2, 0.15]}.items()}  # fmt: skip
    table = of_recipes("loss", {name: runs_in(folders) for name, folders in created.items()})
    assert (table.heads, table.n) == (("loss",), 3)
    first, second = (cells(table)[name,] for name in ("a", "b"))
    assert first is not None
    assert second is not None
    assert (first.value, first.mark) == (pytest.approx(0.31), BEST)
    assert (second.value, second.mark) == (pytest.approx(0.15), "")


def test_a_folder_of_seeds_stands_for_its_runs_in_the_order_of_seeds(tmp_path: Path) -> None:
    by_seed(tmp_path / "job", {"devise": [i / 20 for i in range(12)]})
    (tmp_path / "multirun.yaml").write_text("Hydra's own")
    runs = runs_in([tmp_path / "job", tmp_path / "multirun.yaml"])
    assert [run.settings["seed"] for run in runs] == list(range(12))


def test_what_changes_no_figure_makes_no_difference(tmp_path: Path) -> None:
    one = make(tmp_path / "1", {UNSEEN: 0.3}, {"logger": {"_target_": "a.B"}, "seed": 0})
    two = make(tmp_path / "2", {UNSEEN: 0.4}, {"logger": None, "seed": 1, "resume": "x"})
    (line,) = comparison.compare(runs_in([one, two])).lines
    assert line.cells[0] is not None
    assert line.cells[0].value == pytest.approx(0.35)


def test_the_same_seed_twice_is_two_lines(tmp_path: Path) -> None:
    folders = [make(tmp_path / str(i), {UNSEEN: 0.3 + i / 10}) for i in range(2)]
    table = comparison.compare(runs_in(folders))
    assert [cell.value for cell in cells(table).values() if cell] == [0.3, 0.4]


def test_columns_without_a_figure_are_left_out_and_methods_are_listed(tmp_path: Path) -> None:
    figures = {UNSEEN: 0.3, "all/AUSUC": 0.2, "calibrated/H@1": 0.4, "method/conse/all/AUSUC": 0.1,
               "method/chance/unseen/hit@1": 0.04}  # fmt: skip
    runs = runs_in([make(tmp_path / "run", figures)])
    alone = comparison.compare(runs)
    assert [name.key for name in alone.columns] == ["calibrated/H@1", UNSEEN, "all/AUSUC"]
    assert alone.heads == ("run",)
    table = comparison.compare(runs, methods=True)
    assert [line.names[1] for line in table.lines] == ["devise", "conse", "chance"]
    assert [c and c.value for c in table.lines[1].cells] == [None, None, 0.1]
    assert [c and c.value for c in table.lines[2].cells] == [None, 0.04, None]


# What is marked


def test_over_seeds_the_best_and_what_a_paired_test_cannot_tell_from_it_are_marked(
    tmp_path: Path,
) -> None:
    values = {
        "devise": [0.30, 0.34, 0.28, 0.33, 0.31],
        "near": [0.31, 0.32, 0.28, 0.325, 0.30],  # now above, now below
        "always_below": [v - 0.01 - i / 2000 for i, v in enumerate([0.30, 0.34, 0.28, 0.33, 0.31])],
        "chance": [0.05] * 5,
    }
    table = comparison.summary(by_seed(tmp_path, values))
    actual = {names[0]: cell for names, cell in cells(table).items()}
    assert {name: cell.mark for name, cell in actual.items() if cell} == {
        "devise": BEST,
        "near": TIED,
        "always_below": "",
        "chance": "",
    }
    best, below = actual["devise"], actual["always_below"]
    assert best is not None
    assert below is not None
    # Unpaired, the intervals of "always_below" and the best overlap: the pairing tells them apart.
    assert best.lo is not None
    assert below.hi is not None
    assert below.hi > best.lo
    assert (table.n, table.fingerprint) == (5, "aaaa")


def test_a_summary_has_the_methods_in_their_order_and_the_columns_of_the_readme(
    tmp_path: Path,
) -> None:
    keys = [name.key for name in SUMMARISED]
    folders = []
    for seed in range(2):
        figures = {
            method_key(name, key): (i + seed) / 100
            for name in ("devise", "zeta", "alpha")
            for i, key in enumerate(keys)
        }
        folders.append(make(tmp_path / f"seed={seed}", figures, {"seed": seed}))
    table = comparison.summary(folders)
    assert [line.names for line in table.lines] == [("devise",), ("zeta",), ("alpha",)]
    assert list(table.columns.values()) == [
        "calibrated u", "calibrated s", "calibrated H", "seen hit@1", "unseen hit@1",
        "unseen hit@5", "u", "s", "H", "AUSUC",
    ]  # fmt: skip
    assert [c.value for c in table.lines[1].cells if c] == pytest.approx(
        [(i + 0.5) / 100 for i in range(10)]
    )


def test_a_summary_says_which_methods_had_the_classifier_of_the_pretraining(tmp_path: Path) -> None:
    figures = {method_key(name, UNSEEN): 0.5 for name in ("devise", "eszsl", "eszsl_prior")}
    said = {**figures, "pretraining/methods": "devise, eszsl_prior"}
    table = comparison.of_methods(runs_in([make(tmp_path / "run", said)]))
    assert table.heads == ("method", "pretraining")
    assert [line.names for line in table.lines] == [
        ("devise", "yes"), ("eszsl", ""), ("eszsl_prior", "yes"),
    ]  # fmt: skip
    text = FORMATS["markdown"](table)
    assert "pretraining: the method had the classifier of the pretraining" in text
    before = comparison.of_methods(runs_in([make(tmp_path / "before", figures)]))
    assert before.heads == ("method",)


def test_of_single_runs_a_figure_is_tied_where_intervals_overlap(tmp_path: Path) -> None:
    folders = [
        make(tmp_path / name, with_bounds("all/H@1", value, 0.02), {"trainer": name})
        for name, value in (("a", 0.30), ("b", 0.27), ("c", 0.25))
    ]
    folders.append(make(tmp_path / "d", {"all/H@1": 0.29}, {"trainer": "d"}))  # no interval
    table = comparison.compare(runs_in(folders))
    marks = [cell.mark for cell in cells(table, "all/H@1").values() if cell]
    assert marks == [BEST, TIED, "", ""]


def saved_neighbours(folder: Path, answers: np.ndarray, truth: np.ndarray) -> None:
    vectors = np.eye(4, dtype=np.float32)
    run = RunFolder(folder)
    run.save_embedded(
        method_output("devise", vectors, vectors, np.arange(4), vectors[truth], truth)
    )
    run.save_arrays("neighbours", {"unseen": np.stack([answers, 3 - answers], axis=1)})


def test_the_same_images_are_compared_pair_by_pair(tmp_path: Path) -> None:
    """Two runs whose intervals overlap, but one is right wherever the other is, and more often."""
    truth = np.repeat([0, 1], 100)
    right = {"good": np.arange(200) % 100 < 50, "poor": np.arange(200) % 100 < 44}
    folders = []
    for name, hits in right.items():
        low, high = intervals.interval(hits, truth)
        figures = {UNSEEN: hits.mean(), f"{UNSEEN}/lo": low, f"{UNSEEN}/hi": high}
        folder = make(tmp_path / name, figures, {"trainer": name})
        folders.append(folder)
    marks = [c.mark for c in cells(comparison.compare(runs_in(folders))).values() if c]
    assert marks == [BEST, TIED]  # nothing but the intervals is known
    for folder, hits in zip(folders, right.values(), strict=True):
        saved_neighbours(folder, np.where(hits, truth, 1 - truth), truth)
    marks = [c.mark for c in cells(comparison.compare(runs_in(folders))).values() if c]
    assert marks == [BEST, ""]


def evaluated(folder: Path, right: Mapping[str, np.ndarray], seed: int = 0) -> Path:
    """The folder of a run whose methods name these of the images of classes 2 and 3 rightly, the
    others as the other class; all images of the classes 0 and 1 rightly.
    """
    vectors, seen = np.eye(4, dtype=np.float32), np.array([0, 1])
    truth = np.repeat([2, 3], len(right["devise"]) // 2)
    models = [
        method_output(name, vectors, vectors[seen], seen, vectors[np.where(hits, truth, 5 - truth)],
                 truth) for name, hits in right.items()
    ]  # fmt: skip
    actual = evaluator.evaluate(models, standard_protocols(seen, np.array([2, 3])), ExactIndex)
    run = RunFolder(make(folder, actual.report.values, {"seed": seed}))
    run.save_embedded(models[0])
    run.save_arrays("neighbours", actual.neighbours)
    return folder


HITS = {"devise": np.arange(200) % 100 < 60, "conse": np.arange(200) % 100 < 54}


@pytest.mark.parametrize("seeds", [1, 3])
def test_methods_that_no_seed_changes_are_compared_pair_by_pair_over_the_images(
    tmp_path: Path, seeds: int
) -> None:
    """One is right wherever the other is, and more often; a third is right as often elsewhere."""
    right = {**HITS, "eszsl": np.arange(200) % 100 >= 43}
    folders = [evaluated(tmp_path / f"seed={seed}", right, seed) for seed in range(seeds)]
    actual = {names[0]: cell for names, cell in cells(comparison.summary(folders)).items()}
    best, below = actual["devise"], actual["conse"]
    assert best is not None
    assert below is not None
    assert best.lo is not None
    assert below.hi is not None
    assert best.lo < below.hi < best.value + 0.1  # the intervals overlap, and are over images
    marks = {name: cell.mark for name, cell in actual.items() if cell}
    assert marks == {"devise": BEST, "conse": "", "eszsl": TIED, "chance": ""}
    assert best.sd == (None if seeds == 1 else 0.0)


def test_a_figure_that_a_seed_changes_is_compared_over_the_seeds(tmp_path: Path) -> None:
    folders = []
    for seed in range(3):
        above = np.arange(200) % 100 < (50, 60, 55)[seed]
        folders.append(evaluated(tmp_path / str(seed), {"devise": above, "conse": HITS["conse"]},
                                 seed))  # fmt: skip
    table = cells(comparison.summary(folders))
    assert [cell.mark for cell in table.values() if cell] == [BEST, TIED, ""]


def test_nothing_is_marked_where_the_best_is_no_better_than_a_guess(tmp_path: Path) -> None:
    """Two labels are left of each image, so a guess has a half."""
    marks = []
    for n in (50, 51):
        right = {"devise": np.arange(200) % 100 < n, "conse": np.arange(200) % 100 < 40}
        table = comparison.summary([evaluated(tmp_path / str(n), right, 0)])
        column = cells(table, "unseen/hit@1/class_mean").values()
        marks.append([cell.mark for cell in column if cell])
    assert marks == [["", "", ""], [BEST, "", ""]]


@pytest.mark.parametrize("seeds", [1, 3])
def test_published_figures_are_no_competitors_and_have_no_interval(
    tmp_path: Path, seeds: int
) -> None:
    values = {"devise": [0.30, 0.34, 0.32], "conse": [0.2, 0.21, 0.22],
              "published_devise": [0.62] * 3}  # fmt: skip
    folders = by_seed(tmp_path, {name: this[:seeds] for name, this in values.items()})
    actual = {names[0]: cell for names, cell in cells(comparison.summary(folders)).items()}
    assert actual["published_devise"] == Cell(value=0.62)
    assert marked_cell(actual["published_devise"]) == Marked("62.0")
    assert actual["devise"] is not None
    assert actual["devise"].mark == BEST


# What is refused


def test_different_splits_are_refused_with_both_named(tmp_path: Path) -> None:
    make(tmp_path / "one", {UNSEEN: 0.3})
    make(tmp_path / "two", {UNSEEN: 0.3}, split="bbbb")
    result = CliRunner().invoke(app, [str(tmp_path / "one"), str(tmp_path / "two")])
    assert result.exit_code == 2
    (line,) = result.output.splitlines()
    for part in ("error:", "aaaa", "bbbb", str(tmp_path / "one"), str(tmp_path / "two")):
        assert part in line


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("metrics.json", "{"),
        ("metrics.json", "[1]"),
        ("metrics.json", "{}"),
        ("metrics.json", None),
        ("config.yaml", ": ["),
        ("config.yaml", None),
        (UNFINISHED, ""),
    ],
)
def test_a_missing_or_damaged_run_is_one_line_and_exit_code_2(
    tmp_path: Path, file: str, content: str | None
) -> None:
    folder = make(tmp_path / "run", {UNSEEN: 0.3})
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content)
    result = CliRunner().invoke(app, [str(folder)])
    assert result.exit_code == 2
    assert len(result.output.splitlines()) == 1
    assert str(folder) in result.output


def test_no_run_and_an_unknown_format_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "multirun.yaml").write_text("")
    run = make(tmp_path / "run", {UNSEEN: 0.3})
    for arguments in (
        [tmp_path / "multirun.yaml"],
        [run, "--format", "pdf"],
        [run, "--out", tmp_path / "table.pdf"],
        [run, "--out", run / "metrics.json" / "table.csv"],
    ):
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        assert result.exit_code == 2
        assert len(result.output.splitlines()) == 1


def test_a_summary_of_several_recipes_is_refused(tmp_path: Path) -> None:
    folders = [make(tmp_path / str(m), {UNSEEN: 0.3}, {"margin": m}) for m in range(2)]
    with pytest.raises(InputError, match=r"over seeds.*margin"):
        comparison.summary(folders)


# As text


@pytest.fixture
def table(tmp_path: Path) -> Comparison:
    """Two lines whose names hold what each format must escape."""
    good = make(
        tmp_path / "a_b & 50%",
        with_bounds(UNSEEN, 0.3107, 0.017) | {"all/H@1": 0.0151},
        {"labels": "=<i>x|y</i>\n\x1b[31m"},
    )
    poor = make(tmp_path / "two", with_bounds(UNSEEN, 0.3004, 0.023), {"labels": "plain"})
    return comparison.compare(runs_in([good, poor]))


def test_figures_have_the_decimals_that_their_interval_supports(table: Comparison) -> None:
    best, other = (line.cells[0] for line in table.lines)
    assert marked_cell(best) == Marked("31.1", BEST, "29.4 – 32.8")
    assert str(marked_cell(best)) == "31.1 (29.4 – 32.8)"
    assert marked_cell(other) == Marked("30", TIED)
    assert marked_cell(None) is None
    assert marked_cell(Cell(value=0.3064, sd=0.0152, lo=0.28, hi=0.33)) == Marked("30.6 ± 1.5")
    assert marked_cell(Cell(value=0.3064, sd=0.0252, lo=0.28, hi=0.33)) == Marked("31 ± 3")
    assert marked_cell(Cell(value=0.2, sd=0.0, lo=0.2, hi=0.2)) == Marked("20.0 ± 0.0")


def test_csv_holds_every_figure_to_the_last_digit(table: Comparison) -> None:
    records = list(csv.DictReader(StringIO(FORMATS["csv"](table))))
    for record, line in zip(records, table.lines, strict=True):
        cell = line.cells[0]
        assert cell is not None
        assert (float(record[UNSEEN]), float(record[f"{UNSEEN}/lo"])) == (cell.value, cell.lo)
        assert record[f"{UNSEEN}/mark"] == cell.mark
        assert record["split/fingerprint"] == "aaaa"
    assert records[1]["all/H@1"] == ""


def test_a_name_is_no_formula_in_a_spreadsheet(tmp_path: Path) -> None:
    folders = [make(tmp_path / x, {UNSEEN: 0.3}, {"=1+1": x}) for x in "ab"]
    text = FORMATS["csv"](comparison.compare(runs_in(folders)))
    assert [row[1] for row in csv.reader(StringIO(text))][1:] == ["'=1+1=a", "'=1+1=b"]


def test_markdown_is_a_table_with_the_best_in_bold(table: Comparison) -> None:
    lines = [x for x in FORMATS["markdown"](table).splitlines() if x.startswith("|")]
    split = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    assert {len(row) for row in split} == {4}
    assert [row[2].strip() for row in split[2:]] == ["**31.1**", "*30*"]
    assert "a\\_b" in lines[2]
    assert "\x1b" not in "".join(lines)
    assert r"\<i>" in lines[2]


def test_latex_escapes_its_special_characters(table: Comparison) -> None:
    text = FORMATS["latex"](table)
    body = text[text.index(r"\hline") :]
    row = next(line for line in body.splitlines() if "two" not in line and "a\\_b" in line)
    assert r"a\_b \& 50\%" in row
    assert r"\textless{}i\textgreater{}x\textbar{}y" in row
    assert len(re.findall(r"(?<!\\)&", row)) == 3
    assert r"\textbf{31.1}" in row
    assert r"\textit{30}" in body
    assert not re.search(r"(?<!\\)[%#_$]", text.replace(r"$\pm$", ""))


def test_html_is_escaped_and_well_formed(table: Comparison) -> None:
    class Parser(HTMLParser):
        tags: tuple[str, ...] = ()
        text = ""

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            self.tags += (tag,)

        def handle_data(self, data: str) -> None:
            self.text += data

    parser = Parser()
    parser.feed(FORMATS["html"](table))
    assert parser.tags.count("tr") == 3
    assert parser.tags.count("i") == 1  # the tied figure, not the name
    assert "labels==<i>x|y</i>" in parser.text
    assert "29.4 – 32.8" in parser.text


def test_the_command_prints_a_table_or_writes_a_file(tmp_path: Path) -> None:
    folders = by_seed(tmp_path, {"devise": [0.301, 0.323], "conse": [0.29, 0.29]})
    arguments = [str(folder) for folder in folders]
    shown = CliRunner().invoke(app, [*arguments, "--methods"]).output
    assert re.search(r"devise\s+31.2 ± 1.6 \*", shown)
    assert re.search(r"conse\s+29.0 ± 0.0 ~", shown)
    for name, start in (("t.csv", "run,"), ("t.md", "| run"), ("t.tex", "\\begin"),
                        ("t.html", "<!doctype")):  # fmt: skip
        result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / name)])
        assert result.exit_code == 0, result.output
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)
    as_text = CliRunner().invoke(app, [*arguments, "--format", "markdown"]).output
    assert as_text == (tmp_path / "t.md").read_text(encoding="utf-8")


def test_a_narrow_terminal_loses_no_figure(table: Comparison) -> None:
    def numbers(width: int) -> list[str]:
        out = StringIO()
        Console(file=out, width=width).print(rich_table(table))
        text = out.getvalue()
        return sorted(re.findall(r"\d\d\.\d", text[: text.index("Per cent")]))

    assert numbers(80) == numbers(200) == ["29.4", "31.1", "32.8"]
