"""Evaluate a finished run again: with other ks, index, candidates, checkpoint, or other images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig

from devise_exp.core.console import notify
from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed, read_names
from devise_exp.core.stops import hold_stops
from devise_exp.evaluation.candidate_sets import (
    PlacedLabels,
    candidate_protocols,
    hierarchical_records,
)
from devise_exp.evaluation.evaluator import EvalReport, Evaluation
from devise_exp.evaluation.protocol_options import ks_of, select_protocols
from devise_exp.evaluation.protocols import MODEL, MethodOutput, Protocol
from devise_exp.evaluation.records import method_key
from devise_exp.pipelines.near_labels import near_labels
from devise_exp.pipelines.predicted import class_names, images_of_folder, save_predictions
from devise_exp.pipelines.score import Spaces, evaluate_run, index_name, protocols_of
from devise_exp.pipelines.settings import EvaluatedFolder, read_evaluation
from devise_exp.pipelines.user_parts import use_user_parts
from devise_exp.reports import run_tables
from devise_exp.reports.predictions import PartImages, images_of_run
from devise_exp.reports.run_tables import run_title
from devise_exp.runs.files import write_json
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.trusted_config import refuse_untrusted
from devise_exp.search.saved_run import Run
from devise_exp.text import labels
from devise_exp.text.labels import class_vectors
from devise_exp.text.name_lookup import suggest_words


def evaluate(config: DictConfig) -> dict[str, float]:
    """Evaluate a finished run again; print the tables and write them to its evaluations/N.

    Args:
        config: Of evaluate.py.

    Returns:
        The metrics by name.

    Raises:
        InputError: If an option is wrong, or the run folder is damaged.
    """
    result, folder = evaluate_quietly(config)
    run_tables.show(result, run_title(result.about))
    notify(f"written to {folder}")
    return result.values


def evaluate_quietly(config: DictConfig) -> tuple[EvalReport, Path]:
    """Evaluate a finished run again, and write the tables to its evaluations/N.

    Args:
        config: Of evaluate.py.

    Returns:
        The metrics, and the folder of the tables.

    Raises:
        InputError: If an option is wrong, or the run folder is damaged.
    """
    settings = read_evaluation(config)
    saved = Run.open(str(config.run_dir), settings.trust)
    run = saved.folder
    run.class_vectors()  # checked although the space is read from other files: damage is said
    # An empty group means the run's own.
    use_user_parts(config)
    index_config = config.index or run.part("index")
    _require_trust(run, config)
    if settings.data.root is None:
        source = _run_images(run, config.checkpoint)
    else:
        source = _other_images(run, settings.data, config.checkpoint)
    about = source.about | {"index": index_name(index_config)}
    models, labels = list(source.models), class_names(run)
    extra = near = None
    if config.extra_labels is not None:
        names, vectors = _extra_labels(saved, config.extra_labels)
        extra = len(models[0].class_vectors) + np.arange(len(vectors))
        models[0] = models[0].with_labels(saved.words_in(MODEL, vectors))
        labels += names
        about["extra_labels"] = len(vectors)
    if settings.candidate_sets is not None:
        first_id = len(models[0].class_vectors)
        near = near_labels(run, saved.vocabulary, settings.candidate_sets, first_id)
        models[0] = models[0].with_labels(saved.words_in(MODEL, near.vectors))
        labels += near.names
        about |= near.about
    available = protocols_of(run, models, extra, "train" in models[0].parts)
    if near is not None:
        of_sets = candidate_protocols(near.placed, *run.class_ids())
        for name in near.placed.sets:
            if not any(protocol.name == f"{name}_unseen" for protocol in of_sets):
                notify(f"candidate_sets: {name} holds no unseen class, so it has no row")
        available += of_sets
    if settings.data.root is not None:
        available = tuple(p for p in available if _has_images(models[0], p))
    chosen = select_protocols(available, config.protocols)
    ks = config.ks if config.ks is not None else run.config().get("ks")
    make_index = instantiate(index_config)
    result, evaluation = evaluate_run(run, models, chosen, make_index, ks, about, source.spaces)
    if near is not None:
        result = _with_hierarchical_precision(result, evaluation, chosen, ks, near.placed)
    images = source.images or images_of_run(run)
    with hold_stops():  # a folder with some of the files would look like an evaluation
        folder = _write_report(run, result, source.content)
    save_predictions(folder, settings.predictions, models, chosen, evaluation, images, labels)
    return result, folder


def _require_trust(run: RunFolder, config: DictConfig) -> None:
    """InputError for parts that are not built unasked, before images are read for minutes."""
    groups = ["backbone", "projection"] if config.data.root is not None else []
    if config.extra_labels is not None or config.candidate_sets is not None:
        groups.append("word_vectors")
    for group in groups:
        run.part(group)


def _with_hierarchical_precision(
    result: EvalReport,
    evaluation: Evaluation,
    protocols: Sequence[Protocol],
    ks: Sequence[int] | int | None,
    labels: PlacedLabels,
) -> EvalReport:
    """Add hp@k of the trained model in those protocols whose labels the run's hierarchy lacks."""
    measured = {r.protocol for r in result.records if r.metric == "hp" and r.method == MODEL}
    for protocol in protocols:
        is_asked = protocol.name.startswith((*labels.sets,)) and protocol.name in evaluation.truth
        if is_asked and protocol.name not in measured:
            neighbours = evaluation.neighbours[method_key(MODEL, protocol.name)]
            truth = evaluation.truth[protocol.name]
            of_protocol = ks_of(protocol, ks)
            records = hierarchical_records(MODEL, protocol, neighbours, truth, of_protocol, labels)
            result = result.with_records(records, {})
    return result


def _write_report(run: RunFolder, result: EvalReport, content: dict[str, Any] | None) -> Path:
    """Write the tables into a new folder."""
    folder = run.new_evaluation()
    run_tables.write(result, folder, run_title(result.about))
    if content is not None:
        write_json(folder, "images.json", content)
    return folder


@dataclass(frozen=True, kw_only=True, eq=False)
class _Source:
    """What is evaluated: method outputs, that of the trained model first, and what they rest on.

    `spaces`, `content` (of images.json) and `images` are those of other images than the run's.
    """

    models: Sequence[MethodOutput]
    about: dict[str, Any]
    spaces: Spaces | None = None
    content: dict[str, Any] | None = None
    images: dict[str, PartImages] | None = None


def _run_images(run: RunFolder, checkpoint: str | None) -> _Source:
    """The run's own test images."""
    models, about = run.embeddings(), run.about()
    if checkpoint is not None:
        file = run.find(str(checkpoint))
        models[0] = _embed_checkpoint(run, file)
        about["checkpoint"] = str(file)
    return _Source(models=models, about=about)


def _other_images(run: RunFolder, options: EvaluatedFolder, checkpoint: str | None) -> _Source:
    """The images of a folder, under the trained model: other methods keep no weights."""
    from devise_exp.pipelines.embed_folder import embed_folder  # late: torch
    from devise_exp.pipelines.evaluated_folder import read_other_images

    file = None if checkpoint is None else run.find(str(checkpoint))
    images = read_other_images(run, options)
    if others := run.method_names()[1:]:
        notify(f"without {listed(others)}: a run keeps nothing that embeds new images by these")
    output = embed_folder(run, images, file)
    replaced = re.compile(r"data|(data|split)/.*")
    about = {k: v for k, v in run.about().items() if not replaced.fullmatch(k)}
    about = images.about | about | ({} if file is None else {"checkpoint": str(file)})
    return _Source(
        models=[output.model],
        about=about,
        spaces=output.spaces,
        content=images.content,
        images=images_of_folder(run, images),
    )


def _has_images(model: MethodOutput, protocol: Protocol) -> bool:
    """Whether there is an image for a protocol."""
    ids = model.parts[protocol.images].class_ids
    return bool(len(ids) if protocol.classes is None else np.isin(ids, protocol.classes).any())


def _embed_checkpoint(run: RunFolder, checkpoint: Path) -> MethodOutput:
    """Embed the evaluated rows by another checkpoint, which needs the data of the run.

    It builds everything that config.yaml names; parts of somebody's own for a run folder that one
    trusts alone.
    """
    # Late: nothing else here needs torch.
    from devise_exp.methods.devise_model import trained_model
    from devise_exp.methods.embedding import TrainedProjection
    from devise_exp.methods.gamma import stored_gamma
    from devise_exp.pipelines.build import untrained
    from devise_exp.pipelines.embed import embed_images
    from devise_exp.pipelines.prepare import features_of, prepare
    from devise_exp.pipelines.recipe import recipe_of
    from devise_exp.training.checkpoint import load_weights

    config = run.config()
    if not run.trusted:
        refuse_untrusted(config, f"{run.path}: checkpoint={checkpoint}")
    use_user_parts(config)
    config.class_folds = (
        0  # nothing is chosen here, and an older run may say a number that is wrong
    )
    data = prepare(config)
    run.check_same(data.split, data.class_vectors)
    module = untrained(recipe_of(config, data.n_train), data)
    load_weights(module, checkpoint)
    features = features_of(config, data)
    trained = TrainedProjection(module.projection, *run.additions())
    before = run.embedded(MODEL)
    gamma, threshold = stored_gamma(before), before.none_threshold
    method = trained_model(data.class_vectors, trained, {}, gamma, threshold)
    return embed_images(data, features, method, config.train_metrics)


def _extra_labels(saved: Run, extra_labels: ListConfig | str | int) -> tuple[list[str], np.ndarray]:
    """Look up names and vectors (E, D) of further candidate labels, without classes of the run.

    The labels are a list of names, the lines of a text file, or so many of the most frequent words.
    """
    vocabulary = saved.vocabulary
    taken = [set(words) for words in saved.classes.values()]
    if isinstance(extra_labels, int):
        n = len(vocabulary)
        if not 0 < extra_labels <= n:
            raise InputError(
                f"extra_labels={extra_labels}: {vocabulary.name} has words from 1 to {n}"
            )
        single = {word for words in taken if len(words) == 1 for word in words}
        ranks = [rank for word in single if (rank := vocabulary.rank(word)) is not None]
        kept = np.setdiff1d(np.arange(extra_labels), ranks)
        return [vocabulary.words[i] for i in kept.tolist()], vocabulary.vectors[kept]
    resolutions = labels.resolve(
        list(dict.fromkeys(_names(extra_labels))), vocabulary, on_missing="drop"
    )
    if missing := [r.name for r in resolutions if r.rule == "missing"]:
        near = ", ".join(suggest_words(missing[0], vocabulary)) or "none"
        raise InputError(
            f"extra_labels: no word vector for {listed(missing)} (near {missing[0]}: "
            f"{near}): take them out, or give other words"
        )
    new = [r for r in resolutions if set(r.words) not in taken]
    if not new:
        raise InputError("extra_labels: every label is a class of the run already: give others")
    return [resolution.name for resolution in new], class_vectors(new, vocabulary)


def _names(extra_labels: ListConfig | str) -> list[str]:
    """Names from a list or a file."""
    if not isinstance(extra_labels, str):
        return [str(name) for name in extra_labels]
    return read_names(extra_labels, "extra_labels")
