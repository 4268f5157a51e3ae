"""Grids: every job a row, whatever the launcher; a failed one does not stop the others."""

from __future__ import annotations

import csv
import json
import os
import re
import runpy
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.configs import ALONE, SMALL_NETWORK
from helpers.options import last_given
from helpers.paths import ROOT
from helpers.wandb import wandb_group

from devise_exp.pipelines import grid_tables
from devise_exp.pipelines.grid_tables import NOTE, GridJob, jobs_in, tables_of

SMALL = [
    "data=image_folder", *SMALL_NETWORK, "projection=linear",
    "trainer.max_epochs=1", "training.batch_size=16", "features.num_workers=0", "logger=none",
    "optimizer=sgd", "loss=mse", *ALONE,
]  # fmt: skip
FAILING = "1e+30"


@dataclass(frozen=True)
class Ended:
    folder: Path
    code: object
    out: str
    err: str


def multirun(
    folder: Path,
    tree: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    *more: str,
) -> Ended:
    """python train.py -m, in this process."""
    arguments = ["-m", *SMALL, f"data.root={tree}", f"hydra.sweep.dir={folder}", *more]
    monkeypatch.setattr(sys, "argv", ["train.py", *last_given(arguments)])
    code: object = 0
    try:
        runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    except SystemExit as end:
        code = end.code
    out, err = capsys.readouterr()
    return Ended(folder, code, out, err)


@pytest.fixture
def ended(
    tmp_path: Path, image_tree: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> Ended:  # fmt: skip
    """Two learning rates, one of which fails, for two seeds."""
    grids = f"optimizer.lr={FAILING},0.01", "seed=0,1"
    return multirun(tmp_path / "grid", image_tree, monkeypatch, capsys, *grids)


def test_a_failed_job_is_a_row_and_the_exit_code(
    ended: Ended, tmp_path: Path, image_tree: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert "Error executing" not in ended.err
    jobs = jobs_in(ended.folder)
    assert [job.number for job in jobs] == [0, 1, 2, 3]
    assert [bool(job.error) for job in jobs] == [True, True, False, False]
    assert all("optimizer.lr=1e+30: give a number" in job.error for job in jobs[:2])
    rows = list(csv.DictReader((ended.folder / "trials.csv").open()))
    assert [row["trial"] for row in rows] == ["0", "1", "2", "3"]
    for row in rows[2:]:
        metrics = json.loads((Path(row["folder"]) / "metrics.json").read_text())
        assert float(row["seen/hit@1"]) == metrics["seen/hit@1"]
        assert float(row["unseen/hit@1/class_mean/lo"]) == metrics["unseen/hit@1/class_mean/lo"]
        assert row["error"] == ""
    (table,) = tables_of(jobs)
    assert table.n == 2  # both seeds on one line
    text = (ended.folder / "trials.md").read_text()
    assert text.count("give a number from 1e-10") == 2
    assert "4 jobs, 2 failed" in ended.err
    for job in jobs[:2]:
        assert ended.err.count(f"{job.folder / 'error.txt'}\n") == 2  # when it fails, and at last
        whole = (job.folder / "error.txt").read_text()
        assert whole.startswith("Traceback")
        assert "optimizer.lr=1e+30: give a number" in whole.splitlines()[-1]
    assert not any((job.folder / "error.txt").exists() for job in jobs[2:])
    # The same grid by another launcher, in processes of its own: the same numbers.
    grids = "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", f"optimizer.lr={FAILING},0.01"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    other = multirun(tmp_path / "joblib", image_tree, monkeypatch, capsys, *grids, "seed=0,1")
    assert other.code == 1
    again = list(csv.DictReader((other.folder / "trials.csv").open()))
    for one, two in zip(rows, again, strict=True):
        same = {key for key in one if key not in ("seconds", "folder")}
        assert {key: one[key] for key in same} == {key: two[key] for key in same}


def test_a_table_is_sorted_by_seen_validation_images(ended: Ended) -> None:
    runs = [job.folder for job in jobs_in(ended.folder) if not job.error]
    for value, run in zip((0.2, 0.7), runs, strict=True):
        metrics = json.loads((run / "metrics.json").read_text()) | {"val/hit@1": value}
        (run / "metrics.json").write_text(json.dumps(metrics))
        config = (run / "config.yaml").read_text()
        (run / "config.yaml").write_text(config.replace("lr: 0.01", f"lr: {value}"))
    (table,) = tables_of(jobs_in(ended.folder))
    assert [line.cells[0].value for line in table.lines if line.cells[0]] == [0.7, 0.2]


def test_splits_that_differ_have_a_table_each(
    tmp_path: Path, image_tree: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    done = multirun(tmp_path / "g", image_tree, monkeypatch, capsys, "split.seed=0,1")
    assert done.code == 0
    first, second = tables_of(jobs_in(done.folder))
    assert first.fingerprint != second.fingerprint


def test_a_note_that_cannot_be_read_is_a_failed_job(tmp_path: Path) -> None:
    good = {"number": 3, "overrides": ["seed=3"], "seconds": 1.5, "error": ""}
    notes = {"0": "", "1": json.dumps(good)[:20], "2": "[]", "3": json.dumps(good)}
    for name, text in notes.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / NOTE).write_text(text)
    (tmp_path / "4" / NOTE).mkdir(parents=True)
    result = jobs_in(tmp_path)
    assert [job.number for job in result] == [0, 1, 2, 3, 4]
    assert [bool(job.error) for job in result] == [True, True, True, False, True]
    assert all("trial.json cannot be read" in job.error for job in result if job.error)


def test_no_error_breaks_the_table(tmp_path: Path) -> None:
    failed = [
        GridJob(
            folder=tmp_path,
            number=0,
            overrides=("a=x|y",),
            seconds=1.0,
            error="shape (2 | 3)\nand more",
        )
    ]
    *_, row = grid_tables._markdown([], failed).splitlines()
    assert row == r"| 0 | a=x\|y | shape (2 \| 3)\\nand more |"
    assert re.split(r"(?<!\\)\|", row)[2:3] == [r" a=x\|y "]


def test_a_note_of_an_earlier_grid_that_stays_ends_the_new_one(
    tmp_path: Path, image_tree: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    (tmp_path / "g/7/trial.json").mkdir(parents=True)  # a folder cannot be unlinked, as by root
    done = multirun(tmp_path / "g", image_tree, monkeypatch, capsys, "seed=0,1")
    assert done.code == 2
    assert done.err.count("\n") == 1, done.err
    assert done.err.startswith("error: ")
    assert "trial.json: of an earlier grid, and cannot be removed" in done.err
    assert not (tmp_path / "g/0").exists()


@pytest.mark.parametrize("more", [(), ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")])
def test_a_job_that_leaves_no_note_is_a_failed_one(
    tmp_path: Path, image_tree: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture, more: tuple[str, ...],
) -> None:  # fmt: skip
    """A folder is in the way of what it would write; that of an earlier grid is none of this."""
    (tmp_path / "g/0/error.txt/sub").mkdir(parents=True)
    (tmp_path / "g/7").mkdir()
    os.utime(tmp_path / "g/7", (0, 0))
    done = multirun(tmp_path / "g", image_tree, monkeypatch, capsys, "seed=0,1", *more)
    assert done.code == 1
    assert [job.number for job in jobs_in(done.folder)] == [1]
    assert "2 jobs, 1 failed" in done.err
    rows = list(csv.DictReader((done.folder / "trials.csv").open()))
    assert [row["error"] != "" for row in rows] == [False, True]
    assert "it left no trial.json" in rows[1]["error"]


def test_a_stopped_grid_goes_on(
    tmp_path: Path, image_tree: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    """What is there is kept, unless it is of another config."""
    multirun(tmp_path / "g", image_tree, monkeypatch, capsys, "seed=3")
    weights = tmp_path / "g/0/checkpoints/best.ckpt"
    before = weights.stat().st_mtime_ns
    done = multirun(tmp_path / "g", image_tree, monkeypatch, capsys, "seed=3,4")
    assert done.code == 0
    assert "0: was finished before" in done.err
    assert "2 jobs, 0 failed" in done.err
    assert weights.stat().st_mtime_ns == before
    rows = list(csv.DictReader((done.folder / "trials.csv").open()))
    assert [row["overrides"].split()[-1] for row in rows] == ["seed=3", "seed=4"]
    assert all(row["error"] == "" and float(row["val/hit@1"]) > 0 for row in rows)
    other = multirun(tmp_path / "g", image_tree, monkeypatch, capsys, "seed=5")
    assert other.code == 1
    assert "this run is finished" in other.err


def test_runs_and_grids_of_one_process_have_their_own_wandb_groups(
    tmp_path: Path, image_tree: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    options = [o for o in SMALL if o != "logger=none"]
    arguments = ["train.py", *options, f"data.root={image_tree}"]
    monkeypatch.setattr(sys, "argv", [*arguments, f"hydra.run.dir={tmp_path / 'alone'}"])
    runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    for name in ("first", "second"):
        multirun(tmp_path / "day" / name, image_tree, monkeypatch, capsys, "logger=wandb")
    groups = {
        str(file.parents[2].relative_to(tmp_path)): wandb_group(file)
        for file in tmp_path.rglob("run-*.wandb")
    }
    assert groups == {"alone": "", "day/first/0": "day first", "day/second/0": "day second"}
    assert not [name for name in os.environ if name in ("WANDB_RUN_GROUP", "WANDB_MODE")]
    assert "wandb:" not in capsys.readouterr().err
