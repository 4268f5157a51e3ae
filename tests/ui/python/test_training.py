"""Runs trained and evaluated from Python code, in a process that goes on as it was."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.configs import ALONE, FEW
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

import devise_exp
from devise_exp.core.errors import InputError
from devise_exp.core.paths import CONF


def state_of_process() -> list[object]:
    return [
        signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM),
        GlobalHydra.instance().hydra, random.getstate(), np.random.get_state()[1].tolist(),
        torch.get_rng_state().tolist(), torch.are_deterministic_algorithms_enabled(),
        torch.get_num_threads(),
    ]  # fmt: skip


def test_a_run_is_trained_evaluated_and_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with initialize_config_dir(str(CONF), version_base="1.3"):  # as somebody's own notebook has
        before = state_of_process()
        run = devise_exp.train(*FEW, *ALONE, folder="run", training__patience=5)
        assert state_of_process() == before
    assert capsys.readouterr().out == ""
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    again = devise_exp.evaluate(run, "protocols=[unseen]")
    assert again["unseen/hit@1"] == metrics["unseen/hit@1"] == run.metrics["unseen/hit@1"]
    assert devise_exp.evaluate("run", ks=[1]).keys() < run.metrics.keys()
    assert devise_exp.open_run("run").classes == run.classes
    assert (tmp_path / "outputs" / "latest").resolve() == tmp_path / "run"

    results = []
    thread = threading.Thread(
        target=lambda: results.append(
            devise_exp.train(*FEW, *ALONE, folder=tmp_path / "again", training__patience=5)
        )
    )
    thread.start()
    thread.join()
    assert results[0].metrics == run.metrics


def test_ctrl_c_leaves_a_run_that_goes_on(tmp_path: Path) -> None:
    options = [*FEW[:7], "trainer.max_epochs=60", *FEW[8:], *ALONE]
    folder = tmp_path / "run"

    def press_ctrl_c() -> None:
        while not (folder / "checkpoints" / "last.ckpt").exists():
            time.sleep(0.002)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press_ctrl_c, daemon=True).start()
    with pytest.raises(KeyboardInterrupt, match="the run is not finished; go on with: "):
        devise_exp.train(*options, folder=folder)
    assert (folder / "UNFINISHED").is_file()
    hidden = {path.name for path in folder.rglob(".*")}
    assert hidden <= {".hydra"}  # and no file that is being written
    with pytest.raises(InputError, match="this run did not finish"):
        devise_exp.open_run(folder)
    resumed = devise_exp.train(resume=folder)
    assert resumed.path == folder
    assert resumed.metrics["unseen/hit@1"] >= 0
    whole = devise_exp.train(*options, folder=tmp_path / "whole")
    assert resumed.metrics == whole.metrics


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
    assert not list(tmp_path.iterdir())


def test_a_wrong_keyword_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for options in ({"lr": 1}, {"data": "image_folder", "root": "nowhere"}, {"loss": "cosin"}):
        with pytest.raises(InputError):
            devise_exp.train(**options)
    assert not list(tmp_path.iterdir())
