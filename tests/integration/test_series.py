"""Runs over several seeds and splits: their table, and series that are interrupted and go on."""

from __future__ import annotations

import csv
import json
import re
import runpy
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.configs import ALONE, CHOOSING, FEW, SMALL_NETWORK
from helpers.options import last_given
from helpers.paths import ROOT
from omegaconf import DictConfig

from devise_exp.core.errors import InputError
from devise_exp.pipelines.series import train_series
from devise_exp.reports.comparison import SUMMARISED
from devise_exp.runs.folder import RunFolder
from devise_exp.training.module import DeviseModule

SUMMARIES = [f"summary.{ending}" for ending in ("csv", "html", "md", "tex")]
METHODS = ["devise", "conse_pretraining", "eszsl", "ale", "devise_cosine", "chance"]
QUICK = (*FEW, *ALONE)
Series = tuple[Path, dict[str, float]]
Config = Callable[..., DictConfig]


def metrics(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return result


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """When each file below was written, and its content."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes()) for p in files}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def figures(runs: list[dict[str, Any]], method: str, key: str) -> list[float]:
    """A method's figure in each run, [] where it has none; chance is the same for both means."""
    start = "" if method == "devise" else f"method/{method}/"
    keys = [key, key.removesuffix("/class_mean")] if method == "chance" else [key]
    result = [run[start + k] for k in keys for run in runs if start + k in run]
    return result[: len(runs)]


def shown_columns(runs: list[dict[str, Any]]) -> list[str]:
    """Without hit@5, which three unseen classes do not have."""
    return [name.key for name in SUMMARISED if name.key in runs[0]]


# The runs and their table


def test_each_seed_has_a_finished_run_folder_of_its_own(series: Series) -> None:
    folder, _ = series
    assert names(folder) == ["seed=1", "seed=2", "seeds.yaml", *SUMMARIES]
    runs = [RunFolder.existing(folder / f"seed={seed}") for seed in (1, 2)]
    for seed, this in enumerate(runs, 1):
        assert (this.config().seed, this.config().seeds) == (seed, 1)
        assert this.method_names() == METHODS[:-1]
        for name in ("report.md", "results.csv", "checkpoints/best.ckpt", "gallery"):
            assert (this.path / name).exists()
    one, two = (metrics(this.path) for this in runs)
    assert set(one) ^ set(two) == {"rehearsals", "choices"}  # by what each was chosen
    assert two["choices"] == "seed=1"
    assert one["split/fingerprint"] == two["split/fingerprint"]
    assert not np.array_equal(
        runs[0].embedded("devise").seen.vectors, runs[1].embedded("devise").seen.vectors
    )


def test_the_mean_of_every_figure_is_returned(series: Series) -> None:
    folder, values = series
    one, two = (metrics(folder / f"seed={seed}") for seed in (1, 2))
    numbers = {key: v for key, v in one.items() if isinstance(v, int | float)}
    both = {key: v for key, v in numbers.items() if key in two}
    assert values == pytest.approx({key: (v + two[key]) / 2 for key, v in both.items()})
    assert {"val/hit@1", "all/H@1", "method/eszsl/calibrated/H@1"} <= set(values)
    assert any(v != two[key] for key, v in both.items())


def test_the_csv_summary_has_mean_and_deviation_of_both_seeds(series: Series) -> None:
    folder, _ = series
    runs = [metrics(folder / f"seed={seed}") for seed in (1, 2)]
    with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    assert list(rows) == METHODS
    for method, row in rows.items():
        assert row["split/fingerprint"] == runs[0]["split/fingerprint"]
        for key in shown_columns(runs):
            both = figures(runs, method, key)
            assert bool(both) == bool(row[key])
            if both:
                assert float(row[key]) == pytest.approx(np.mean(both), abs=1e-12)
            if both and method != "chance":
                assert float(row[f"{key}/sd"]) == pytest.approx(np.std(both, ddof=1), abs=1e-12)


def cells(text: str, ending: str) -> dict[str, list[str]]:
    """The table's lines by method, each cell as its text."""
    text = text.replace(r"\_", "_")
    if ending == "html":
        rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line) for line in text.splitlines()]
    else:
        mark = {"md": "|", "tex": "&"}[ending]
        rows = [line.strip("|").split(mark) for line in text.splitlines() if mark in line]
    return {row[0].strip(): row[1:] for row in rows if row}


@pytest.mark.parametrize("ending", ["md", "tex", "html"])
def test_the_other_summaries_show_the_same_means_in_per_cent(series: Series, ending: str) -> None:
    folder, _ = series
    runs = [metrics(folder / f"seed={seed}") for seed in (1, 2)]
    table = cells((folder / f"summary.{ending}").read_text(encoding="utf-8"), ending)
    assert [name for name in table if name in METHODS] == METHODS
    for method in METHODS:
        columns = shown_columns(runs)  # after what a row is about
        for key, cell in zip(columns, table[method][-len(columns) :], strict=True):
            shown = re.findall(r"\d+(?:\.\d+)?", cell)
            both = figures(runs, method, key)
            assert bool(shown) == bool(both)
            if both:
                half = 0.5 * 10.0 ** -len(shown[0].partition(".")[2])
                assert abs(float(shown[0]) - 100 * np.mean(both)) <= half + 1e-9


# Interrupted, gone on with, and longer


@pytest.fixture
def half_done(series: Series, tmp_path: Path) -> Path:
    """A series whose second seed has not begun."""
    folder = Path(shutil.copytree(series[0], tmp_path / "half"))
    shutil.rmtree(folder / "seed=2")
    for name in SUMMARIES:
        (folder / name).unlink()
    return folder


def test_an_interrupted_series_that_was_moved_goes_on_to_the_same_summary(
    series: Series,
    half_done: Path,
    composed: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step = DeviseModule.training_step

    def stop_midway(self: Any, batch: Any, index: int) -> Any:
        if self.current_epoch == 1:
            raise KeyboardInterrupt
        return step(self, batch, index)

    first = state(half_done / "seed=1")
    monkeypatch.setattr(DeviseModule, "training_step", stop_midway)
    with pytest.raises(KeyboardInterrupt, match=f"devise-exp train resume={half_done}$"):
        train_series(composed(f"resume={half_done}"), tmp_path / "unused")
    monkeypatch.undo()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Lightning had switched it off
    assert RunFolder(half_done / "seed=2").unfinished
    assert not (half_done / "summary.md").exists()
    moved = half_done.rename(tmp_path / "moved")
    (tmp_path / "new").mkdir()  # as Hydra does
    assert train_series(composed(f"resume={moved}"), tmp_path / "new") == series[1]
    assert names(tmp_path) == ["moved"]
    assert state(moved / "seed=1") == first
    for name in ("seed=2/metrics.json", "seed=2/results.csv", *SUMMARIES):
        assert (moved / name).read_bytes() == (series[0] / name).read_bytes()


def test_further_seeds_may_join(series: Series, composed: Config, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(series[0], tmp_path / "series"))
    before = [state(folder / f"seed={seed}") for seed in (1, 2)]
    values = train_series(composed(*CHOOSING, "seeds=3"), folder)
    assert [state(folder / f"seed={seed}") for seed in (1, 2)] == before
    runs = [metrics(folder / f"seed={seed}") for seed in (1, 2, 3)]
    assert values["all/AUSUC"] == pytest.approx(np.mean([run["all/AUSUC"] for run in runs]))
    table = cells((folder / "summary.md").read_text(encoding="utf-8"), "md")
    seen = np.mean([run["seen/hit@1/class_mean"] for run in runs])
    at = [head.strip() for head in table["method"]].index("seen hit@1")
    shown = float(re.findall(r"[\d.]+", table["devise"][at])[0])
    assert shown == pytest.approx(100 * seen, abs=0.5)
    again = train_series(composed(f"resume={folder}"), tmp_path / "unused")  # nothing left to do
    assert again == values


# Several splits


def test_each_split_has_its_runs_and_its_table(splits: Series) -> None:
    folder, values = splits
    assert names(folder) == ["seeds.yaml", "split=3", "split=4", *SUMMARIES]
    runs = []
    for split in (3, 4):
        base = folder / f"split={split}"
        assert names(base) == ["seed=1", *SUMMARIES]
        assert RunFolder.existing(base / "seed=1").split().seed == split
        runs.append(metrics(base / "seed=1"))
        with (base / "summary.csv").open(encoding="utf-8", newline="") as file:
            row = next(csv.DictReader(file))
        assert row["split/fingerprint"] == runs[-1]["split/fingerprint"]
        assert float(row["all/AUSUC"]) == runs[-1]["all/AUSUC"]
    assert runs[0]["split/fingerprint"] != runs[1]["split/fingerprint"]
    assert values["all/AUSUC"] == pytest.approx(np.mean([run["all/AUSUC"] for run in runs]))


def test_the_table_over_splits_has_their_mean_interval_and_range(splits: Series) -> None:
    folder, _ = splits
    runs = [metrics(folder / f"split={split}/seed=1") for split in (3, 4)]
    with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["devise", "devise_cosine", "chance"]
    for method in ("devise", "devise_cosine"):
        for key in shown_columns(runs):
            both, row = figures(runs, method, key), rows[method]
            assert float(row[key]) == pytest.approx(np.mean(both), abs=1e-12)
            assert float(row[f"{key}/sd"]) == pytest.approx(np.std(both, ddof=1), abs=1e-12)
            assert (float(row[f"{key}/min"]), float(row[f"{key}/max"])) == (min(both), max(both))
    text = (folder / "summary.md").read_text(encoding="utf-8")
    assert "over 2 splits" in text
    assert "differ in split.seed alone (3, 4)" in text
    assert "classes are unseen in at least one of the splits" in text


def test_a_series_over_splits_goes_on_to_further_ones_past_one_that_fails(
    splits: Series, composed: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(splits[0], tmp_path / "series"))
    (folder / "split=5/seed=1").mkdir(parents=True)
    (folder / "split=5/seed=1/mine.txt").write_text("no run has written this")
    before = [state(folder / f"split={split}/seed=1") for split in (3, 4)]
    with pytest.raises(InputError, match=r"1 of 4 splits failed.*split=5: .*mine\.txt"):
        train_series(composed(f"resume={folder}", "split_seeds=4"), tmp_path / "unused")
    assert [state(folder / f"split={split}/seed=1") for split in (3, 4)] == before
    assert "split=5 failed: " in capsys.readouterr().err
    text = (folder / "summary.md").read_text(encoding="utf-8")
    assert "over 3 of 4 splits" in text
    assert "split.seed alone (3, 4, 6; the others failed, are not finished or not given)" in text
    shutil.rmtree(folder / "split=5")
    values = train_series(composed(f"resume={folder}"), tmp_path / "unused")  # goes on
    runs = [metrics(folder / f"split={split}/seed=1") for split in (3, 4, 5, 6)]
    assert values["all/AUSUC"] == pytest.approx(np.mean([run["all/AUSUC"] for run in runs]))
    assert "over 4 splits" in (folder / "summary.md").read_text(encoding="utf-8")


def test_a_series_over_splits_that_was_stopped_has_the_table_of_those_finished(
    splits: Series, composed: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(splits[0], tmp_path / "series"))

    def stop(self: Any, batch: Any, index: int) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(DeviseModule, "training_step", stop)
    with pytest.raises(KeyboardInterrupt, match=f"devise-exp train resume={folder}$"):
        train_series(composed(f"resume={folder}", "split_seeds=3"), tmp_path / "unused")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Lightning had switched it off
    assert "over 2 of 3 splits" in (folder / "summary.md").read_text(encoding="utf-8")


def test_a_series_that_is_stopped_at_its_end_is_finished(
    series: Series, composed: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(series[0], tmp_path / "series"))
    for name in SUMMARIES:
        (folder / name).unlink()

    def stop(table: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("devise_exp.pipelines.series_tables.rich_table", stop)
    with pytest.raises(KeyboardInterrupt, match=f"^the series is finished: {folder}$"):
        train_series(composed(f"resume={folder}"), tmp_path / "unused")
    assert names(folder) == names(series[0])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "this split has no seed"),
        ({"seed": 0}, "split.seed changes neither classes nor rows of this split"),
    ],
)
def test_splits_that_would_all_be_the_same_are_refused(
    composed: Config, tmp_path: Path, options: dict[str, int], words: str
) -> None:
    config = composed(*last_given([*QUICK, "split_seeds=3"]))
    config.split = {"_target_": "helpers.splits.first_classes", "_partial_": True, **options}
    with pytest.raises(InputError, match=f"^split_seeds=3: {words}.*leave split_seeds=1"):
        train_series(config, tmp_path / "series")
    assert names(tmp_path) == []


# What is refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["seeds=0"], "seeds=0: give a whole number from 1 on"),
        (["seeds=true"], "seeds=true"),
        (["seeds=1.5"], "seeds=1.5"),
        (["split_seeds=-1"], "split_seeds=-1"),
        (["seeds=2", "seed=-1"], "seed=-1: give a whole number from 0 to"),
        (["split_seeds=2", "split.seed=a"], "split.seed=a"),
        (["split_seeds=2", "hyperparameters_from=x"], "hyperparameters_from is a run on one split"),
        (["seeds=2", "hyperparameters_from=no/seed=1"], "no/seed=1: not a run folder"),
        (["seeds=2", "resume=nothing"], "nothing: not a run folder"),
        (["resume=nothing"], "nothing: not a run folder"),
        (["resume=7"], "7: not a run folder"),
        (["seeds=2", "trainer.max_epochs=0"], "trainer.max_epochs=0"),
        (["seeds=2", "data=image_folder", "data.root=nowhere"], "nowhere does not exist"),
        (["split_seeds=2", "data=image_folder", "data.root=nowhere"], "nowhere does not exist"),
    ],
)
def test_what_cannot_be_ends_in_one_line_and_leaves_nothing_behind(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", *last_given([*QUICK, *options])])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    err = capsys.readouterr().err
    line = err.splitlines()[-1]  # Hydra and the training speak before
    assert line.startswith("error: ")
    assert "Traceback" not in err
    assert words in line
    assert not [path for path in tmp_path.rglob("*") if path.name != "outputs"]


def test_a_run_goes_on_as_no_series(composed: Config, series: Series, tmp_path: Path) -> None:
    config = composed("seeds=2")
    config.resume = str(series[0] / "seed=0")
    with pytest.raises(InputError, match=r"seed=0: no series \(it has no seeds.yaml\)"):
        train_series(config, tmp_path / "new")


def test_a_wrong_option_is_told_before_features_are_extracted(
    composed: Config, image_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVISE_CACHE", str(tmp_path / "cache"))
    config = composed(
        "data=image_folder", f"data.root={image_tree}", *SMALL_NETWORK,
        "word_vectors=random", "features.num_workers=0", "logger=none",
        *ALONE, "seeds=2", "trainer.max_epochs=0",
    )  # fmt: skip
    with pytest.raises(InputError, match=r"trainer\.max_epochs=0"):
        train_series(config, tmp_path / "series")
    assert names(tmp_path) == []


@pytest.mark.parametrize("options", [("seeds=2", "loss=cosine"), ("seed=7",), ("split_seeds=2",)])
def test_a_series_takes_no_run_of_another_config(
    series: Series, composed: Config, options: tuple[str, ...]
) -> None:
    before = state(series[0])
    with pytest.raises(InputError, match="holds a series of another config: go on with that one"):
        train_series(composed(*CHOOSING, *options), series[0])
    assert state(series[0]) == before


def test_the_folder_of_a_single_run_takes_no_series(series: Series, composed: Config) -> None:
    base = series[0] / "seed=1"
    before = state(series[0])
    with pytest.raises(InputError, match="holds a single run: train into another"):
        train_series(composed(*CHOOSING, "seeds=2"), base)
    assert state(series[0]) == before
