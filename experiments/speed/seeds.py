"""Would many seeds train faster as one batched model?

python experiments/speed/seeds.py [SEEDS] [EPOCHS]

SEEDS (20) maps on the features of Caltech-101 that come with the project, EPOCHS (3) epochs each, a
linear map and the default one: one after the other, and all at once, their parameters stacked
(torch.func), each with its own first weights, order of rows and Adam. The last column: the furthest
that a weight comes out apart, in units of the largest.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from devise_exp.core.config import compose_config
from devise_exp.methods.losses import softmax
from devise_exp.methods.task import Task
from devise_exp.pipelines.fit_projection import rows_of
from devise_exp.pipelines.prepare import features_of, prepare
from devise_exp.pipelines.recipe import recipe_of
from devise_exp.training.batches import SeededBatchSampler

BATCH = 256
Weights = dict[str, Tensor]  # (SEEDS, ...) each


def maps(config: DictConfig, task: Task, seeds: int) -> list[nn.Module]:
    dim, made = task.class_vectors.shape[1], []
    for seed in range(seeds):
        config.seed = seed
        made.append(recipe_of(config, len(task.train)).new_projection(task.features.dim, dim))
    return made


def one_by_one(config: DictConfig, task: Task, seeds: int, epochs: int) -> Weights:
    vectors = torch.from_numpy(task.class_vectors[task.seen])
    train, _ = rows_of(task)
    inputs, trained = train.inputs(train.rows), maps(config, task, seeds)
    for seed, projection in enumerate(trained):
        optimizer = torch.optim.Adam(projection.parameters())
        order = SeededBatchSampler(len(inputs), BATCH, seed)
        for epoch in range(epochs):
            order.set_epoch(epoch)
            for batch in order:
                optimizer.zero_grad()
                softmax(projection(inputs[batch]), train.targets[batch], vectors).backward()
                optimizer.step()
    return stack_module_state(trained)[0]


def all_at_once(config: DictConfig, task: Task, seeds: int, epochs: int) -> Weights:
    vectors = torch.from_numpy(task.class_vectors[task.seen])
    trained = maps(config, task, seeds)
    weights, buffers = stack_module_state(trained)
    train, _ = rows_of(task)
    inputs = train.inputs(train.rows)
    optimizer = torch.optim.Adam(list(weights.values()))

    def of_one(own: Weights, state: Weights, rows: Tensor, targets: Tensor) -> Tensor:
        return softmax(functional_call(trained[0], (own, state), rows), targets, vectors)

    losses = torch.vmap(of_one, randomness="different")
    orders = [SeededBatchSampler(len(inputs), BATCH, seed) for seed in range(seeds)]
    for epoch in range(epochs):
        for order in orders:
            order.set_epoch(epoch)
        for batches in zip(*orders, strict=True):
            chosen = torch.from_numpy(np.stack(batches))  # (SEEDS, B)
            optimizer.zero_grad()
            losses(weights, buffers, inputs[chosen], train.targets[chosen]).sum().backward()
            optimizer.step()
    return weights


def timed(work: Callable[[], Weights]) -> tuple[float, Weights]:
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def main(seeds: int = 20, epochs: int = 3) -> None:
    table = Table("", "one by one, s", "at once, s", "times as fast", "apart")
    for name in ("linear", "mlp"):
        config = compose_config([f"projection={name}"])
        data = prepare(config)
        task = data.task(features_of(config, data), 0)
        slow, apart = timed(lambda c=config, t=task: one_by_one(c, t, seeds, epochs))
        fast, stacked = timed(lambda c=config, t=task: all_at_once(c, t, seeds, epochs))
        furthest = max(
            float(((apart[key] - stacked[key]).abs().max() / apart[key].abs().max()).detach())
            for key in stacked
        )
        ratio = f"{slow / fast:.2f}"
        table.add_row(name, f"{slow:.1f}", f"{fast:.1f}", ratio, f"{furthest:.1e}")
    console = Console(width=100)
    console.print(table)
    console.print(f"{seeds} seeds, {epochs} epochs; {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main(*[int(each) for each in sys.argv[1:]])
