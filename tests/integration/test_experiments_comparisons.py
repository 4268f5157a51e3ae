"""The six comparisons of experiments/comparisons: what they tell train.py, and their tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from helpers.paths import ROOT
from helpers.scripts import load_script
from omegaconf import DictConfig
from PIL import Image

from devise_exp.pipelines.grid_tables import NOTE, jobs_in
from devise_exp.reports.tables import BEST

MAKE = ROOT / "experiments" / "comparisons" / "make.py"
SEEN, UNSEEN = "seen/hit@1/class_mean", "unseen/hit@1/class_mean"


@pytest.fixture(scope="module")
def make() -> ModuleType:
    return load_script(MAKE)


def trial(
    folder: Path,
    number: int,
    overrides: list[str],
    split: str,
    figures: list[float],
    error: str = "",
) -> None:
    base = folder / str(number)
    base.mkdir(parents=True)
    note = {"number": number, "overrides": overrides, "seconds": 60.0, "error": error}
    (base / NOTE).write_text(json.dumps(note))
    for seed, value in enumerate(figures):
        this = base / f"seed={seed}"
        this.mkdir()
        (this / "config.yaml").write_text(yaml.safe_dump({"seed": seed, "told": overrides}))
        metrics = {"split/fingerprint": split, SEEN: 0.9, UNSEEN: value, "all/H@1": 0.1}
        (this / "metrics.json").write_text(json.dumps(metrics))


def test_train_takes_what_the_plans_tell_it(
    make: ModuleType, composed: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLOVE", "vectors")
    for plan in make.PLANS.values():
        for overrides in plan.grids:
            keys, values = zip(*(override.split("=", 1) for override in overrides), strict=True)
            swept = [value.split(",") for value in values]
            for i in (0, -1):  # the first values, and the last ones
                chosen = [f"{k}={v[i]}" for k, v in zip(keys, swept, strict=True)]
                config = composed(*make.SHARED, *chosen, "data.root=pictures")
                if "word_vectors=glove" in overrides:
                    assert str(config.word_vectors.path).startswith("vectors/glove.6B.")


def test_a_table_has_a_row_for_each_trial_failed_ones_too(make: ModuleType, tmp_path: Path) -> None:
    shared = ["method=none", "prior=none"]
    trial(tmp_path, 0, [*shared, "loss=softmax"], "aaaa", [0.30, 0.32])
    trial(tmp_path, 1, [*shared, "loss=cosine"], "aaaa", [], "no such file")
    trial(tmp_path, 2, [*shared, "loss=mse"], "aaaa", [0.20, 0.22])
    plan = make.PLANS["losses"]
    table = make.table_of(plan, jobs_in(tmp_path))
    assert list(table.columns.values()) == ["seen hit@1", "unseen hit@1"]
    assert [line.names[0] for line in table.lines] == ["softmax", "cosine", "mse"]
    softmax, cosine, mse = (line.cells[1] for line in table.lines)
    assert cosine is None
    assert (softmax.value, softmax.mark) == (pytest.approx(0.31), BEST)
    assert mse.value == pytest.approx(0.21)
    make.draw(plan, table, tmp_path / "figure.png")
    assert Image.open(tmp_path / "figure.png").size[0] > 900


def test_rows_of_several_splits_are_not_ranked(make: ModuleType, tmp_path: Path) -> None:
    arguments = {"9": [0.1, 0.2, 0.3], "null": [0.4, 0.5, 0.6]}
    for i, (n, values) in enumerate(arguments.items()):
        for j, value in enumerate(values):
            this = [f"split.n_seen={n}", f"trainer.max_epochs={i}", f"split.seed={j}"]
            trial(tmp_path, 3 * i + j, this, f"{n} {j}", [value])
    plan = make.PLANS["seen_classes"]
    table = make.table_of(plan, jobs_in(tmp_path))
    assert [line.names[0] for line in table.lines] == ["9", "all"]
    assert table.n == 3
    assert [line.cells[1].value for line in table.lines] == pytest.approx([0.2, 0.5])
    assert {cell.mark for line in table.lines for cell in line.cells} == {""}
    make.draw(plan, table, tmp_path / "figure.png")
    assert Image.open(tmp_path / "figure.png").size[0] > 900
