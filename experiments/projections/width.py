"""How wide must the map be? python experiments/projections/width.py [OVERRIDES ...]

For each argument, overrides of train.py joined by commas, one row: what two rehearsals say of the
trained map without a prior and with the prior at two weights, three seeds each.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from statistics import mean, stdev

from devise_exp import methods, recipe, tradeoff
from devise_exp.composing import composed
from devise_exp.prepare import features_of, prepare
from devise_exp.pretraining import priors

WEIGHTS, SEEDS = (0.5, 0.75), (0, 1, 2)
ROWS = (
    "projection.hidden=2000",
    "projection.hidden=1000",
    "projection.hidden=512",
    "projection.hidden=512,optimizer.lr=2e-3",
    "projection.hidden=512,trainer.max_epochs=15",
)


def row(told: str) -> list[str]:
    """AUSUC and seen hit@1 at each weight, in per cent, and seconds of a training."""
    parts, columns, seconds = prepare(composed([])), [], []
    features = features_of(composed([]), parts)
    for seed in SEEDS:
        config = composed([*told.split(","), f"seed={seed}"])
        task = parts.task(features, seed)

        def project(own, config=config):
            start = time.perf_counter()
            projection, _ = recipe.fit_plain(config, own)
            seconds.append(time.perf_counter() - start)
            return projection

        curves = [
            methods.with_priors(project, partial(priors, weights=WEIGHTS), task, each)
            for each in parts.rehearsals(task)
        ]
        columns.append(
            [
                value
                for place in range(1 + len(WEIGHTS))
                for value in (
                    mean(tradeoff.area(each[place]) for each in curves),
                    mean(each[place].seen[0] for each in curves),
                )
            ]
        )
    cells = [f"{100 * mean(c):.1f} ± {100 * stdev(c):.1f}" for c in zip(*columns, strict=True)]
    return [told, *cells, f"{mean(seconds):.1f}"]


def main(given: list[str]) -> None:
    heads = [f"{what}, weight {w:g}" for w in (0, *WEIGHTS) for what in ("AUSUC", "seen")]
    print(f"| | {' | '.join(heads)} | seconds |\n|{' --- |' * (len(heads) + 2)}")
    for told in given or ROWS:
        print(f"| {' | '.join(row(told))} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
