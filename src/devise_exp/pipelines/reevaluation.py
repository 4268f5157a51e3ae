"""Evaluate a finished run again from its folder alone: other ks, index, candidates, checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig

from devise_exp.core.console import notify
from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed, read_names
from devise_exp.evaluation.protocols import MODEL, MethodOutput, select_protocols
from devise_exp.pipelines.score import evaluate_run, index_name, protocols_of
from devise_exp.pipelines.settings import read_evaluation
from devise_exp.reports import run_tables
from devise_exp.reports.run_tables import run_title
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.trusted_config import trusted_group
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
    read_evaluation(config)
    saved = Run.open(str(config.run_dir))
    run = saved.folder
    models = run.embeddings()
    # An empty group means the run's own.
    index_config = config.index or trusted_group(run.config(), "index", run.path)
    about = run.about() | {"index": index_name(index_config)}
    if config.checkpoint is not None:
        checkpoint = run.find(str(config.checkpoint))
        models[0] = _embed_checkpoint(run, checkpoint)
        about["checkpoint"] = str(checkpoint)
    extra = None
    if config.extra_labels is not None:
        vectors = _extra_vectors(saved, config.extra_labels)
        extra = len(models[0].class_vectors) + np.arange(len(vectors))
        models[0] = models[0].with_labels(vectors)
        about["extra_labels"] = len(vectors)
    train = "train" in models[0].parts
    available = protocols_of(run, models, extra, train)
    chosen = select_protocols(available, config.protocols)
    ks = config.ks if config.ks is not None else run.config().get("ks")
    result, _ = evaluate_run(run, models, chosen, instantiate(index_config), ks, about)
    folder = run.new_evaluation()
    title = run_title(about)
    run_tables.write(result, folder, title)
    run_tables.show(result, title)
    notify(f"written to {folder}")
    return result.values


def _embed_checkpoint(run: RunFolder, checkpoint: Path) -> MethodOutput:
    """Embed the evaluated rows by another checkpoint, which needs the data of the run.

    It builds everything that config.yaml names, not only what `runs.trusted_config` lists: for a
    run folder that one trusts.
    """
    # Late: nothing else here needs torch.
    from devise_exp.methods.devise_model import trained_model
    from devise_exp.methods.embedding import TrainedProjection
    from devise_exp.pipelines.build import untrained
    from devise_exp.pipelines.embed import embed_images
    from devise_exp.pipelines.prepare import features_of, prepare
    from devise_exp.pipelines.recipe import recipe_of
    from devise_exp.training.checkpoint import load_weights

    config = run.config()
    data = prepare(config)
    run.check_same(data.split, data.class_vectors)
    module = untrained(recipe_of(config), data)
    load_weights(module, checkpoint)
    features = features_of(config, data)
    trained = TrainedProjection(module.projection, run.prior())
    method = trained_model(data.class_vectors, trained, {}, run.embedded(MODEL).gamma)
    return embed_images(data, features, method, config.train_metrics)


def _extra_vectors(saved: Run, extra_labels: ListConfig | str | int) -> np.ndarray:
    """Look up vectors (E, D) of further candidate labels; classes of the run are left out.

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
        return np.delete(
            vocabulary.vectors[:extra_labels],
            [rank for rank in ranks if rank < extra_labels],
            axis=0,
        )
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
    return class_vectors(new, vocabulary)


def _names(extra_labels: ListConfig | str) -> list[str]:
    """Names from a list or a file."""
    if not isinstance(extra_labels, str):
        return [str(name) for name in extra_labels]
    return read_names(extra_labels, "extra_labels")
