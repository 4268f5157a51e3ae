"""Runs trained, evaluated and opened from Python code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.configs import ALONE, FEW

import devise_exp
from devise_exp.core.errors import InputError


def test_a_run_is_trained_evaluated_and_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = devise_exp.train(*FEW, *ALONE, folder="run")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    again = devise_exp.evaluate(run, "protocols=[unseen]")
    assert again["unseen/hit@1"] == metrics["unseen/hit@1"]
    assert devise_exp.open_run("run").classes == run.classes


def test_several_runs_are_refused() -> None:
    with pytest.raises(InputError, match="call train for every seed"):
        devise_exp.train(*FEW, "seeds=2")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["los=cosine"], "no option los: did you mean loss"),
        (["data=image_folder", "data.root=/nowhere"], "/nowhere does not exist"),
        (["optimizer.lr=-1"], "optimizer.lr=-1: give a number from 1e-10 to 1000"),
    ],
)
def test_wrong_input_is_the_error_that_a_command_prints(
    tmp_path: Path, options: list[str], words: str
) -> None:
    with pytest.raises(InputError, match=words) as raised:
        devise_exp.train(*FEW, *options, folder=tmp_path / "run")
    assert len(str(raised.value).splitlines()) == 1
    with pytest.raises(InputError, match="nowhere: not a run folder"):
        devise_exp.evaluate(tmp_path / "nowhere")
