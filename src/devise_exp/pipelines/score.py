"""All figures of a run in one pass over its stored embeddings: hit@k in every protocol, the quality
of search, and the diagnostics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from omegaconf import DictConfig

from devise_exp.core.vectors import centre_of, centre_rows
from devise_exp.evaluation import diagnostics, evaluator, published_results
from devise_exp.evaluation.diagnostics import Classes
from devise_exp.evaluation.evaluator import EvalReport, Evaluation
from devise_exp.evaluation.image_retrieval import evaluate_image_queries, evaluate_word_queries
from devise_exp.evaluation.protocols import MODEL, MethodOutput, Protocol, standard_protocols
from devise_exp.evaluation.ranking_analysis import ProtocolRanking, top_similarity
from devise_exp.index.protocol import Index
from devise_exp.runs import gallery_files
from devise_exp.runs.folder import RunFolder
from devise_exp.text.names import split_words

SEARCHED = (MODEL, "frozen_backbone", "softmax", "conse", "conse_pretraining", "random_vectors")


def protocols_of(
    run: RunFolder,
    models: Sequence[MethodOutput],
    extra: np.ndarray | None = None,
    train: bool = False,
) -> tuple[Protocol, ...]:
    """The protocols that the trained model, the first, can be evaluated in."""
    calibrated = models[0].gamma is not None
    return standard_protocols(*run.class_ids(), extra, train, run.overlapping_ids(), calibrated)


def evaluate_run(
    run: RunFolder,
    models: Sequence[MethodOutput],
    chosen: Sequence[Protocol],
    make_index: Callable[[np.ndarray], Index],
    ks: Sequence[int] | int | None,
    about: dict[str, Any],
) -> tuple[EvalReport, Evaluation]:
    """The report of `models`, the trained one first, and what it was made from."""
    hops = run.hierarchy().distances
    evaluated = evaluator.evaluate(models, chosen, make_index, ks, about, hops)
    report = evaluated.report
    compound = np.array([len(split_words(record.name)) > 1 for record in run.classes()])
    searched = [model for model in models if model.name in SEARCHED]
    report = report.with_records(*evaluate_word_queries(searched, *run.class_ids(), compound))
    centre = centre_of(models[0].class_vectors, run.class_ids()[0])
    seen, unseen = models[0].seen, models[0].unseen
    spaces = {MODEL: (centre_rows(seen.vectors, centre), centre_rows(unseen.vectors, centre))}
    for space in run.spaces()[1:]:
        stored = gallery_files.load(run.gallery, space)
        spaces[space] = (stored.part("test").index.vectors, stored.part("unseen").index.vectors)
    report = report.with_records(*evaluate_image_queries(spaces, seen.class_ids, unseen.class_ids))
    measured = {record.name for record in report.records if record.method == MODEL}
    published = published_results.published(about["split/name"])
    known = [record for record in published if record.name in measured]
    return report.with_records(known, {}), evaluated


def diagnose_run(
    run: RunFolder,
    models: Sequence[MethodOutput],
    chosen: Sequence[Protocol],
    evaluated: Evaluation,
) -> dict[str, Any]:
    """diagnostics.json of a run: hubs, confusions, per-class figures, trade-off curves."""
    model, entries = models[0], run.classes()
    ranked = []
    for protocol in chosen:
        if protocol.name in evaluated.neighbours and protocol.candidates.max() < len(entries):
            part, truth = model.parts[protocol.images], evaluated.truth[protocol.name]
            images = part.vectors
            if protocol.classes is not None:
                images = images[np.isin(part.class_ids, protocol.classes)]
            near = evaluated.neighbours[protocol.name]
            top = top_similarity(images, model.class_vectors, near)
            ranked.append(ProtocolRanking(protocol.name, truth, protocol.candidates, near, top))
    classes = Classes(
        [record.name for record in entries],
        [" ".join(record.words) for record in entries],
        *run.class_ids(),
        {name: relations[0] for name, relations in run.details().relations.items()},
    )
    gammas = {each.name: each.gamma for each in models if each.gamma is not None}
    return diagnostics.diagnose(classes, models, ranked, evaluated.curves, gammas)


def index_name(config: DictConfig) -> str:
    """The index of a config as the tables name it."""
    return f"{config._target_.rsplit('.', 1)[-1]} {config.get('method', '')}".strip()
