"""All figures of a run in one pass over its stored embeddings: hit@k, and the quality of search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from omegaconf import DictConfig

from devise_exp import evaluation, gallery, retrieval
from devise_exp.centring import centre_of, centred
from devise_exp.evaluation import MODEL, Embedded, EvalReport, Protocol
from devise_exp.index import Index
from devise_exp.labels import split_words
from devise_exp.run_folder import RunFolder


def score(
    run: RunFolder,
    models: Sequence[Embedded],
    chosen: Sequence[Protocol],
    make_index: Callable[[np.ndarray], Index],
    ks: Sequence[int] | int | None,
    about: dict[str, Any],
) -> tuple[EvalReport, dict[str, np.ndarray]]:
    """The report of `models`, the trained one first, and its neighbours under each protocol."""
    report, neighbours = evaluation.evaluate(models, chosen, make_index, ks, about)
    compound = np.array([len(split_words(entry["name"])) > 1 for entry in run.classes()])
    found = [retrieval.by_words(models, *run.class_ids(), compound)]
    centre = centre_of(models[0].class_vectors, run.class_ids()[0])
    spaces = {MODEL: (centred(models[0].seen, centre), centred(models[0].unseen, centre))}
    for space in run.spaces()[1:]:
        stored = gallery.load(run.gallery, space)
        spaces[space] = (stored.part("test").index.vectors, stored.part("unseen").index.vectors)
    found.append(retrieval.by_pictures(spaces, models[0].seen_truth, models[0].unseen_truth))
    for values, sizes in found:
        report = report.with_figures(values, sizes)
    return report, neighbours


def title(about: dict[str, Any]) -> str:
    """The heading of a run's tables."""
    return f"{about['data']}, {about['backbone']}, {about['word_vectors']}: flat hit@k in per cent"


def index_name(config: DictConfig) -> str:
    """The index of a config as the tables name it."""
    return f"{config._target_.rsplit('.', 1)[-1]} {config.get('method', '')}".strip()
