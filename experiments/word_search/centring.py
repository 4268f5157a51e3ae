"""Search by class names with and without the centre of the trained space, over runs' embeddings.

python experiments/word_search/centring.py RUN ...
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from rich.console import Console
from rich.table import Table

from devise_exp.evaluation.image_retrieval import word_evaluations
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import flatten
from devise_exp.runs.folder import RunFolder

FIGURES = [
    f"search/{side}/{name}" for side in ("seen", "unseen", "all_unseen") for name in ("P@10", "mAP")
]


def figures(run: RunFolder, name: str, compared_as: str) -> dict[str, float]:
    """A stored model's figures; a model that is not called devise is ranked by plain cosine."""
    model = replace(run.embedded(name), name=compared_as)
    none = np.zeros(len(model.class_vectors), dtype=bool)
    evaluations = word_evaluations([model], *run.class_ids(), none)
    return flatten([record for evaluate in evaluations for record in evaluate()[0]])


def main() -> None:
    runs = [RunFolder.existing(Path(path)) for path in sys.argv[1:]]
    table = Table(
        "ranking",
        *(key.removeprefix("search/") for key in FIGURES),
        title=f"mean and standard deviation of {len(runs)} runs",
    )
    for title, name, compared_as in (
        ("devise, centred", MODEL, MODEL),
        ("devise, plain", MODEL, "plain"),
        ("conse, centred", "conse", MODEL),
        ("conse, plain", "conse", "plain"),
    ):
        found = [figures(run, name, compared_as) for run in runs if name in run.method_names()]
        cells = [[100 * each[key] for each in found] for key in FIGURES]
        if found:
            spread = [stdev(cell) if len(cell) > 1 else 0.0 for cell in cells]
            table.add_row(
                title, *(f"{mean(c):.1f} ± {s:.1f}" for c, s in zip(cells, spread, strict=True))
            )
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
