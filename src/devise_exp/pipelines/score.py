"""All metrics of a run, in one pass over its stored embeddings.

These are hit@k in every protocol, the quality of search, and the diagnostics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from omegaconf import DictConfig

from devise_exp.core.side_work import side_work
from devise_exp.core.vectors import centre_of, centre_rows
from devise_exp.evaluation import diagnostics, evaluator, published_results
from devise_exp.evaluation.abstention import search_abstention_records
from devise_exp.evaluation.diagnostics import Classes
from devise_exp.evaluation.evaluator import EvalReport, Evaluation
from devise_exp.evaluation.image_retrieval import evaluate_image_queries, word_evaluations
from devise_exp.evaluation.protocols import MODEL, MethodOutput, Protocol, standard_protocols
from devise_exp.evaluation.ranking_analysis import ProtocolRanking, top_similarity
from devise_exp.index.protocol import Index
from devise_exp.runs import gallery_files
from devise_exp.runs.folder import RunFolder
from devise_exp.text.names import split_words

MOST_ROWS = 200_000  # evaluated images whose rankings travel between processes
Spaces = dict[str, tuple[np.ndarray, np.ndarray]]  # space -> of seen test, and of unseen images


def protocols_of(
    run: RunFolder,
    models: Sequence[MethodOutput],
    extra: np.ndarray | None = None,
    train: bool = False,
) -> tuple[Protocol, ...]:
    """Choose the protocols that the trained model can be evaluated in.

    Args:
        run: The run folder, which knows the classes.
        models: Method outputs, that of the trained model first.
        extra: (E,) ids of candidate labels beyond the run's classes, None for none.
        train: Whether training images are evaluated too.

    Returns:
        The protocols, calibrated ones if the trained model has a gamma.
    """
    calibrated = models[0].gamma is not None
    return standard_protocols(
        *run.class_ids(),
        extra,
        train,
        run.overlapping_ids(),
        calibrated,
        run.undecided_ids(),
    )


def evaluate_run(
    run: RunFolder,
    models: Sequence[MethodOutput],
    chosen: Sequence[Protocol],
    make_index: Callable[[np.ndarray], Index],
    ks: Sequence[int] | int | None,
    about: dict[str, Any],
    spaces: Spaces | None = None,
    save: Callable[[], None] | None = None,
) -> tuple[EvalReport, Evaluation]:
    """Measure all methods of a run, as many at once as there are processors to spare.

    Args:
        run: The run folder.
        models: Method outputs, that of the trained model first.
        chosen: Protocols to evaluate.
        make_index: Builds the index of (C, D) class vectors.
        ks: The ks of hit@k, None for the default ones.
        about: What the metrics rest on.
        spaces: Embeddings of the seen and of the unseen images in the other spaces of the run;
            None: those of its gallery.
        save: Saves that gallery; None: it is saved.

    Returns:
        The report of hit@k, of searches and of published results; and the evaluation of the
        protocols, with its rankings.
    """
    hops = run.hierarchy().distances
    searched = [model for model in models if model.reports_search]
    compound = np.array([len(split_words(record.name)) > 1 for record in run.classes()])
    words = word_evaluations(searched, *run.class_ids(), compound)
    first, *others = evaluator.evaluations(models, chosen, make_index, ks, hops)
    tasks: dict[str, Callable[[], Any]] = {} if save is None else {"gallery": save}
    tasks |= {f"method {i}": evaluation for i, evaluation in enumerate(others)}
    tasks |= {f"words {i}": evaluation for i, evaluation in enumerate(words)}
    n_images = sum(len(part.vectors) for part in models[0].parts.values())
    with side_work(tasks, beside=n_images <= MOST_ROWS) as work:
        evaluations = [first(), *(work.take(f"method {i}") for i in range(len(others)))]
        of_words = [work.take(f"words {i}") for i in range(len(words))]
        if save is not None:
            work.take("gallery")
    evaluated = evaluator.joined(evaluations, chosen, ks, about, hops)
    truths = models[0].seen.class_ids, models[0].unseen.class_ids
    spaces = _gallery_spaces(run) if spaces is None else spaces
    of_images = evaluate_image_queries(_model_space(run, models[0]) | spaces, *truths)
    of_none = search_abstention_records(searched, run.class_ids()[0])
    report = evaluated.report
    for measured in (*of_words, of_images):
        report = report.with_records(*measured)
    report = report.with_records(of_none, {})
    names = {record.name for record in report.records if record.method == MODEL}
    published = published_results.published(about["split/name"])
    known = [record for record in published if record.name in names]
    return report.with_records(known, {}), evaluated


def _model_space(run: RunFolder, model: MethodOutput) -> Spaces:
    """The embeddings of the trained model, about their centre."""
    centre = centre_of(model.class_vectors, run.class_ids()[0])
    seen, unseen = (centre_rows(part.vectors, centre) for part in (model.seen, model.unseen))
    return {MODEL: (seen, unseen)}


def _gallery_spaces(run: RunFolder) -> Spaces:
    """The embeddings of the run's own images in its other spaces."""
    spaces: Spaces = {}
    for space in run.measured_spaces():
        stored = gallery_files.load(run.gallery, space)
        spaces[space] = stored.part("test").index.vectors, stored.part("unseen").index.vectors
    return spaces


def diagnose_run(
    run: RunFolder,
    models: Sequence[MethodOutput],
    chosen: Sequence[Protocol],
    evaluated: Evaluation,
) -> dict[str, Any]:
    """Make diagnostics.json: hubs, confusions, metrics per class, trade-off curves.

    Args:
        run: The run folder.
        models: Method outputs, that of the trained model first.
        chosen: Protocols that were evaluated.
        evaluated: Their rankings and curves.

    Returns:
        The content of diagnostics.json.
    """
    entries = run.classes()
    rankings = _rankings(models[0], chosen, evaluated, len(entries))
    seen, unseen = run.class_ids()
    classes = Classes(
        names=[record.name for record in entries],
        words=[" ".join(record.words) for record in entries],
        seen=seen,
        unseen=unseen,
        overlaps={name: relations[0] for name, relations in run.details().relations.items()},
    )
    gammas = {output.name: output.gamma for output in models if output.gamma is not None}
    return diagnostics.diagnose(classes, models, rankings, evaluated.curves, gammas)


def _rankings(
    model: MethodOutput, chosen: Sequence[Protocol], evaluated: Evaluation, n_classes: int
) -> list[ProtocolRanking]:
    """Collect the rankings of the trained model among the classes of the run, per protocol."""
    rankings = []
    for protocol in chosen:
        if protocol.name not in evaluated.neighbours or protocol.candidates.max() >= n_classes:
            continue
        part = model.parts[protocol.images]
        images = part.vectors
        if protocol.classes is not None:
            images = images[np.isin(part.class_ids, protocol.classes)]
        neighbours = evaluated.neighbours[protocol.name]
        rankings.append(
            ProtocolRanking(
                protocol=protocol.name,
                truth=evaluated.truth[protocol.name],
                candidates=protocol.candidates,
                neighbours=neighbours,
                similarity=top_similarity(images, model.class_vectors, neighbours),
            )
        )
    return rankings


def index_name(config: DictConfig) -> str:
    """Name an index as the tables do.

    Args:
        config: Config of the index.

    Returns:
        The class and its method or kind, such as "NmslibIndex hnsw".
    """
    variant = config.get("method") or config.get("kind", "")
    return f"{config._target_.rsplit('.', 1)[-1]} {variant}".strip()
