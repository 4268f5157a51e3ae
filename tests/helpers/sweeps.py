"""Quick studies, and how tests run them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.config import compose_config
from devise_exp.pipelines.sweep.executors import Executor, Job, Result
from devise_exp.pipelines.sweep.results import Results
from devise_exp.pipelines.sweep.study_config import study_of
from devise_exp.pipelines.sweep.sweep import run_rounds
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


class Here(Executor):
    """Runs trials in this process, one after the other."""

    def __exit__(self, *error: object) -> None:
        """Nothing has to be ended."""

    def outcomes(
        self, function: Callable[[Job], Result], jobs: Sequence[Job]
    ) -> Iterator[tuple[Job, Result | None]]:
        for job in jobs:
            yield job, function(job)


def results_of(
    studies: Path, folder: Path, name: str = "small", storage: str | None = None, **options: Any
) -> Results:
    """What a storage has of a study, by default that of its folder."""
    config = compose_config([f"study={name}"], "sweep", studies)
    config.study.merge_with(options)
    return Results.open(study_of(config.study), storage or str(folder / "journal.log"))


def in_process(
    studies: Path, folder: Path, name: str = "small", storage: str | None = None, **options: Any
) -> Results:
    """Run a study in this process, without the command; its results when all are there."""
    folder.mkdir(exist_ok=True)
    results = results_of(studies, folder, name, storage, **options)
    run_rounds(results, Here(), lambda: None)
    return results_of(studies, folder, name, storage, **options)


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
