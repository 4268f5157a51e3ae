"""A training that changed nothing is called so above its table, and in its files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.configs import ALONE, FEW
from omegaconf import DictConfig

from devise_exp.pipelines.learning import learned_nothing
from devise_exp.pipelines.prepare import features_of, prepare
from devise_exp.pipelines.recipe import recipe_of
from devise_exp.pipelines.series import train_series

Config = Callable[..., DictConfig]


def trained(config: DictConfig, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said before the table."""
    train_series(config, folder)
    return capsys.readouterr().err


def test_a_rate_that_changes_no_weight_is_said_above_the_table(
    composed: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    few = [option for option in FEW if not option.startswith("optimizer.lr")]
    said = trained(composed(*few, *ALONE, "optimizer.lr=1e-10"), tmp_path / "still", capsys)
    assert "the training learned nothing: the loss of the training images stayed at" in said
    assert "raise optimizer.lr or trainer.max_epochs" in said
    about = json.loads((tmp_path / "still/metrics.json").read_text())
    assert about["training"].startswith("learned nothing: ")
    assert "learned nothing" in (tmp_path / "still/report.md").read_text()
    said = trained(composed(*few, *ALONE, "optimizer.lr=0.01"), tmp_path / "moved", capsys)
    assert "learned nothing" not in said
    assert "training" not in json.loads((tmp_path / "moved/metrics.json").read_text())


def test_a_look_at_the_loss_draws_no_random_number_of_the_run(composed: Config) -> None:
    config = composed(*FEW, *ALONE, "loss=hinge_rank", "loss.violators=first", "prior=none")
    data, recipe = prepare(config), recipe_of(config, 100)
    task = data.task(features_of(config, data), config.seed)
    blank = recipe.new_projection(task.features.dim, task.class_vectors.shape[1])
    before = torch.get_rng_state()
    assert learned_nothing(recipe, task, blank, 0.0) is not None  # it is its own first state
    assert torch.equal(torch.get_rng_state(), before)
    assert blank.training
    assert learned_nothing(recipe, task, blank, 1.0) is None
    with torch.no_grad():
        next(blank.parameters()).mul_(-3)
    assert learned_nothing(recipe, task, blank, 0.0) is None
