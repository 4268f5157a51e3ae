"""Whoever stops a training reads how it goes on, whenever that was."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.command import command
from devise_exp.core.errors import Terminated
from devise_exp.pipelines.commands import _hydra_main
from devise_exp.pipelines.resumed import what_is_left
from devise_exp.runs.folder import RunFolder


def test_a_run_sayswhat_is_left_of_it(tmp_path: Path) -> None:
    run, config = RunFolder(tmp_path / "run"), OmegaConf.create({})
    assert what_is_left(run, config) == "the run had not begun; the same command starts it"
    run.path.mkdir()
    (run.path / "UNFINISHED").touch()
    assert f"resume={run.path}" in what_is_left(run, config)
    with_loss = OmegaConf.create({"loss": {"_target_": "my_loss.mine"}})
    assert what_is_left(run, with_loss).endswith(f"resume={run.path} trust=true")
    (run.path / "metrics.json").touch()
    assert f"resume={run.path}" in what_is_left(run, config)
    run.finish()
    assert what_is_left(run, config) == f"the run is finished: {run.path}"


@pytest.mark.parametrize(
    ("stop", "code", "line"),
    [
        (KeyboardInterrupt, 130, "interrupted: nothing had begun; the same command starts it"),
        (Terminated, 143, "terminated: nothing had begun; the same command starts it"),
    ],
)
def test_a_stop_before_a_training_begins_says_how_to_go_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stop: type[KeyboardInterrupt],
    code: int,
    line: str,
) -> None:
    def stopped(config: DictConfig) -> None:
        raise stop

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", "hydra.run.dir=run"])
    with pytest.raises(SystemExit) as ended:
        command(_hydra_main(stopped, "config"))()
    assert ended.value.code == code
    assert capsys.readouterr().err.splitlines()[-1] == line
