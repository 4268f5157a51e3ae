"""What other processes do beside a run and within a series: the figures of one process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.class_folds import QUICK
from helpers.configs import ALONE, FEW
from helpers.wandb import wandb_inspect
from omegaconf import DictConfig, OmegaConf

from devise_exp.core import side_work
from devise_exp.pipelines.series import train_series
from devise_exp.runs import results

# Trains by the config of the first argument, with three processors; tells of each result that
# another process has left.
BESIDE = """
import sys, torch
from pathlib import Path
from omegaconf import OmegaConf
from devise_exp.core import side_work
from devise_exp.pipelines.series import train_series
leave = side_work.SideWork._leave
def leave_and_tell(self, name, result):
    leave(self, name, result)
    print("DONE", name, file=sys.stderr, flush=True)
side_work.SideWork._leave = leave_and_tell
side_work.processors = lambda: 3
torch.set_num_threads(3)
train_series(OmegaConf.load(sys.argv[1]), Path(sys.argv[2]))
"""
Train = Callable[[DictConfig], tuple[dict[str, float], list[str]]]


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Trains alone and beside others; the metrics alone, and the lines on stderr of the latter."""

    def train(config: DictConfig) -> tuple[dict[str, float], list[str]]:
        with monkeypatch.context() as alone:
            alone.setattr(side_work, "processors", lambda: 1)
            values = train_series(config, tmp_path / "alone")
        OmegaConf.save(config, tmp_path / "config.yaml", resolve=True)
        command = [sys.executable, "-c", BESIDE, tmp_path / "config.yaml", tmp_path / "beside"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
        return values, done.stderr.splitlines()

    return train


def done_by_others(lines: list[str]) -> set[str]:
    return {line.partition(" ")[2] for line in lines if line.startswith("DONE")}


def test_other_processes_beside_a_run_change_no_figure(
    both: Train, composed: Callable[..., DictConfig], tree: Path, tmp_path: Path
) -> None:
    options = (*QUICK, "word_vectors=random", f"data.root={tree}")
    alone, lines = both(composed(*options))
    assert done_by_others(lines) >= {"class fold 0", "gallery"}  # the first of their queues
    beside = results.read(tmp_path / "beside").metrics
    assert {name: beside[name] for name in alone} == pytest.approx(alone, abs=1e-4)


def test_seeds_at_once_are_those_of_one_after_the_other(
    both: Train, composed: Callable[..., DictConfig], tmp_path: Path
) -> None:
    options = [option for option in (*FEW, *ALONE) if option != "logger=none"]
    _, lines = both(composed(*options, "seeds=4"))
    assert done_by_others(lines) & {"seed=2", "seed=3", "seed=4"}
    splits = [line.partition("split ")[0] for line in lines if "split " in line]
    assert sorted(splits) == ["", *(f"beside/seed={seed}: " for seed in (2, 3, 4))]
    for seed in (1, 2, 3, 4):
        alone, beside = (tmp_path / way / f"seed={seed}" for way in ("alone", "beside"))
        values, others = (results.read(folder).metrics for folder in (alone, beside))
        numbers = {k: v for k, v in values.items() if isinstance(v, int | float)}
        assert {name: others[name] for name in numbers} == pytest.approx(numbers, abs=1e-4)
        (logged,) = beside.glob("wandb/offline-run-*/*.wandb")
        summary = json.loads(wandb_inspect(logged, "--summary", "--json"))["summary"]
        assert summary["seen/hit@1"] == pytest.approx(values["seen/hit@1"], abs=1e-4)
