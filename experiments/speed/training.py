"""How near does training on the bank come to a bare torch loop over the same steps?

python experiments/speed/training.py [EPOCHS]

The default map on the features of Caltech-101 that come with the project. The bare loop has its
rows in memory as one float32 tensor, and neither validates nor checks its loss; ours reads the bank
batch by batch and does both. A run's own training is by Lightning and writes two checkpoints an
epoch beside. All see the same batches.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from devise_exp.core.config import compose_config
from devise_exp.methods.task import Task
from devise_exp.pipelines.experiment_data import ExperimentData
from devise_exp.pipelines.fit import fit_projection
from devise_exp.pipelines.fit_projection import fit_plain, rows_of
from devise_exp.pipelines.prepare import features_of, prepare
from devise_exp.pipelines.recipe import recipe_of
from devise_exp.runs.folder import RunFolder
from devise_exp.training.batches import SeededBatchSampler, epoch_seed
from devise_exp.training.lightning import silence_lightning

TIMES = 3


def bare_loop(config: DictConfig, task: Task) -> torch.nn.Module:
    train, _ = rows_of(task)
    inputs = train.inputs(train.rows)  # (N, feature_dim) float32
    vectors = torch.from_numpy(task.class_vectors[task.seen])
    network = recipe_of(config, len(task.train)).new_projection(inputs.shape[1], vectors.shape[1])
    optimizer = instantiate(config.optimizer)([{"params": list(network.parameters())}])
    scheduler, loss = instantiate(config.scheduler)(optimizer), instantiate(config.loss)
    batches = SeededBatchSampler(len(inputs), config.training.batch_size, config.seed)
    for epoch in range(config.trainer.max_epochs):
        torch.manual_seed(epoch_seed(config.seed, epoch))
        batches.set_epoch(epoch)
        for batch in batches:
            optimizer.zero_grad()
            loss(network(inputs[batch]), train.targets[batch], vectors).backward()
            optimizer.step()
        scheduler.step()
    return network


def of_a_run(config: DictConfig, data: ExperimentData, features: np.ndarray) -> None:
    with tempfile.TemporaryDirectory() as folder:
        fit_projection(recipe_of(config, data.n_train), RunFolder(Path(folder)), data, features)


def main(epochs: int) -> None:
    config = compose_config([f"trainer.max_epochs={epochs}"])
    data = prepare(config)
    features = features_of(config, data)
    task = data.task(features, config.seed)
    recipe = recipe_of(config, data.n_train)
    ways = {
        "bare loop": lambda: bare_loop(config, task),
        "training on the bank (of class folds, methods, trials)": lambda: fit_plain(recipe, task),
        "on the bank, of a run": lambda: of_a_run(config, data, features),
    }
    seconds: dict[str, float] = dict.fromkeys(ways, float("inf"))
    silence_lightning()
    for _ in range(TIMES):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    table = Table("", "seconds", "times the bare loop", title=f"{epochs} epochs")
    for name, own in seconds.items():
        table.add_row(name, f"{own:.2f}", f"{own / seconds['bare loop']:.2f}")
    console = Console(width=100)
    console.print(table)
    console.print(f"{torch.get_num_threads()} threads; the quickest of {TIMES} runs, by turns")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
