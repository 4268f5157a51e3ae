"""Unseen classes that pass the overlap audit: in a grid of train.py, and in evaluate.py."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest
from helpers.configs import ALONE, FEW, TINY
from helpers.options import last_given
from helpers.paths import ROOT

from devise_exp.data.verdict_kinds import CLEAN, kind_of
from devise_exp.pipelines.grid_tables import jobs_in, tables_of
from devise_exp.runs.folder import RunFolder

CLEAN_SPLIT = ("split=clean", "split.n_unseen=2", *TINY)


def run_script(name: str, arguments: list[str], folder: Path, patch: pytest.MonkeyPatch) -> None:
    """python NAME ARGUMENTS in this process, in a working folder."""
    patch.chdir(folder)
    patch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(ROOT / name), run_name="__main__")


def test_a_grid_over_clean_splits_is_trained_and_evaluated_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = last_given([*FEW, *ALONE, *CLEAN_SPLIT, "split.seed=0,1", "hydra.sweep.dir=grid"])
    run_script("train.py", ["-m", *options], tmp_path, monkeypatch)
    jobs = jobs_in(tmp_path / "grid")
    assert [job.error for job in jobs] == ["", ""]
    assert len(tables_of(jobs)) == 2  # a table for each split
    drawn = []
    for job in jobs:
        run = RunFolder.existing(job.folder)
        assert run.split().name == "clean2"
        unseen = [record for record in run.classes() if not record.seen]
        assert {kind_of(record.verdict) for record in unseen} == {CLEAN}
        assert len(run.overlapping_ids()) == 0
        drawn.append({record.name for record in unseen})
    assert [len(names) for names in drawn] == [2, 2]
    first = jobs[0].folder
    before = json.loads((first / "metrics.json").read_text(encoding="utf-8"))
    run_script("evaluate.py", [f"run_dir={first}"], tmp_path, monkeypatch)
    again = json.loads((first / "evaluations/1/metrics.json").read_text(encoding="utf-8"))
    compared = [key for key in again if "hit@" in key and key in before]
    assert compared
    assert {key: again[key] for key in compared} == {key: before[key] for key in compared}
