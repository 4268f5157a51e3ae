"""Quick studies, and how tests run them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
from omegaconf import DictConfig, OmegaConf
from optuna.trial import TrialState

from devise_exp.core.config import compose_config
from devise_exp.pipelines.sweep import worker as worker_module
from devise_exp.pipelines.sweep.storage import STORAGE, STUDY
from devise_exp.pipelines.sweep.study_config import study_of
from devise_exp.pipelines.sweep.trial_queue import TrialQueue
from devise_exp.pipelines.sweep.worker_id import worker_id
from helpers.images import draw

TPE = {
    "_target_": "optuna.samplers.TPESampler", "_partial_": True, "n_startup_trials": 3,
}  # fmt: skip


MEDIAN = {"_target_": "optuna.pruners.MedianPruner", "n_startup_trials": 1}


TRIALS = 6


def spec(**parts: Any) -> DictConfig:
    plain = {
        "name": "small", "overrides": [], "space": {"seed": {"low": 0, "high": 99}},
        "objectives": {"val/hit@1": "maximize"}, "trials": TRIALS, "round": 3, "seed": 0,
        "sampler": TPE, "pruner": None,
    }  # fmt: skip
    return OmegaConf.create({**plain, **parts})


def write_studies(image_tree: Path, base: Path) -> Path:
    """A folder of studies over quick trainings on enough small classes for class folds."""
    images = shutil.copytree(image_tree, base / "images")
    for c, name in enumerate(("giraffe", "octopus", "sunflower", "pyramid")):
        for i in range(6):
            draw(images / name / f"{i}.png", (40 * c, 250 - 40 * c, 90), seed=1000 + 10 * c + i)
    overrides = [
        "data=image_folder", f"data.root={images}",
        "features.num_workers=0", "features.dtype=float32",
        "trainer.max_epochs=3", "class_folds=2", "prior=none", "training.batch_size=16",
    ]  # fmt: skip
    space = {
        "loss": ["softmax", "cosine"],
        "optimizer.lr": {"low": 1e-3, "high": 1.0, "log": True},
        "projection.hidden": {"low": 4, "high": 32},
    }
    folder = base / "studies"
    (folder / "study").mkdir(parents=True)
    config = spec(overrides=overrides, space=space, pruner=MEDIAN)
    OmegaConf.save(config, folder / "study" / "small.yaml")
    config.objectives = {"rehearsal/AUSUC": "maximize", "cost/weights": "minimize"}
    config.merge_with({"name": "two", "pruner": None, "trials": 5})
    OmegaConf.save(config, folder / "study" / "two.yaml")
    config.objectives = {"unseen/hit@1": "maximize"}
    OmegaConf.save(config, folder / "study" / "unseen.yaml")
    return folder


def in_process(
    studies: Path, folder: Path, name: str = "small", storage: str | None = None, **options: Any
) -> TrialQueue:
    """Run a study in this process, without the command; its queue when all are done."""
    kept = f"storage={storage or folder / 'journal.log'}"
    config = compose_config([f"study={name}", f"folder={folder}", kept], "sweep", studies)
    folder.mkdir(exist_ok=True)
    config.study.merge_with(options)
    os.environ[STUDY] = OmegaConf.to_yaml(config.study, resolve=True)
    os.environ[STORAGE] = config.storage
    worker_module.work()
    return TrialQueue.open(study_of(config.study), config.storage)


def facts(trials: list[optuna.trial.FrozenTrial]) -> list[tuple]:
    """All of a study's trials that must not hang on workers, machines or time."""
    return [
        (t.number, t.state, t.params, t.values, t.intermediate_values, t.user_attrs.get("error"))
        for t in trials
    ]


def command(*arguments: str) -> subprocess.Popen:
    code = "from devise_exp.ui.cli.main import app; app()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "sweep", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def left_by_this_process(queue: TrialQueue) -> None:
    """What a worker that could give nothing back has left, once it has ended."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for trial in queue.trials():
        if trial.state == TrialState.RUNNING:
            queue.mark(trial._trial_id, "worker", f"{worker_id().rpartition(':')[0]}:{gone.pid}")
