"""Could sweeps, class folds and methods train by Lightning, and the plain loop go?

python experiments/speed/loops.py [TRIALS]

Trains the first trials of study=head both ways by turns, each in one thread as a worker of a sweep
does, without pruning; Lightning keeps its best epoch in a file, as `fit_to` lets it where an option
is Lightning's alone. Then what either has to import, in processes of their own.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace

import torch
from rich.console import Console
from rich.table import Table

from devise_exp.core.config import compose_config
from devise_exp.pipelines.fit import fit_to
from devise_exp.pipelines.fit_projection import rows_of
from devise_exp.pipelines.recipe import recipe_of
from devise_exp.pipelines.sweep.study_config import study_of
from devise_exp.pipelines.sweep.trial import DataCache
from devise_exp.training.lightning import silence_lightning
from devise_exp.training.loop import hit_at_1

IMPORTS = {
    "plain loop": "devise_exp.pipelines.fit_projection",
    "Lightning": "devise_exp.training.lightning",
}
MEASURE = """
import importlib, resource, sys, time
start = time.perf_counter()
importlib.import_module(sys.argv[1])
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)
"""


def train_both(n: int) -> tuple[dict[str, float], int]:
    """Seconds of n trials by each loop, and how many have the same hit@1 of validation."""
    study, cache = study_of(compose_config(["study=head"], "sweep").study), DataCache()
    seconds, same = dict.fromkeys(IMPORTS, 0.0), 0
    for values in study.plan([], 0)[:n]:
        config = compose_config(study.overrides_of(values))
        data, features = cache.ready_for(config)
        task = data.task(features, config.seed)
        vectors, (_, val) = torch.from_numpy(task.class_vectors[task.seen]), rows_of(task)
        hits = []
        for name in seconds:
            recipe = replace(recipe_of(config, data.n_train), is_plain=name == "plain loop")
            start = time.perf_counter()
            projection = fit_to(recipe, task)
            seconds[name] += time.perf_counter() - start
            hits.append(hit_at_1(projection, vectors, val))
        same += hits[0] == hits[1]
    return seconds, same


def main(n: int) -> None:
    torch.set_num_threads(1)
    silence_lightning()
    seconds, same = train_both(n)
    table = Table("", "s a trial", "times the plain loop", "import, s", "memory then, MiB")
    for name, module in IMPORTS.items():
        command = [sys.executable, "-c", MEASURE, module]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        start_up, memory = map(float, printed.split())
        ratio = seconds[name] / seconds["plain loop"]
        table.add_row(
            name, f"{seconds[name] / n:.2f}", f"{ratio:.2f}", f"{start_up:.1f}", f"{memory:.0f}"
        )
    console = Console(width=100)
    console.print(table)
    console.print(f"{same} of {n} trials have the same validation hit@1")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
