"""A finished run evaluated again from its folder alone: other ks, index, candidates, checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig

from devise_exp.core.console import notify
from devise_exp.core.errors import InputError
from devise_exp.evaluation.protocols import MODEL, MethodOutput, select_protocols
from devise_exp.pipelines.score import evaluate_run, index_name, protocols_of
from devise_exp.reports import run_tables
from devise_exp.reports.run_tables import run_title
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.trusted_config import trusted_group
from devise_exp.search.saved_run import Run
from devise_exp.text import labels
from devise_exp.text.labels import class_vectors


def evaluate(config: DictConfig) -> dict[str, float]:
    """Evaluate a finished run again; prints the tables and returns their figures.

    The files go to evaluations/N in the run folder, N counting up.
    """
    saved = Run.open(config.run_dir)
    run = saved.folder
    models = [run.embedded(name) for name in run.method_names()]
    # An empty group means the run's own.
    index_config = config.index or trusted_group(run.config(), "index", run.path)
    about = run.about() | {"index": index_name(index_config)}
    if config.checkpoint is not None:
        checkpoint = run.find(config.checkpoint)
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
    ks = config.ks if config.ks is not None else run.config().ks
    result, _ = evaluate_run(run, models, chosen, instantiate(index_config), ks, about)
    place = run.new_evaluation()
    title = run_title(about)
    run_tables.write(result, place, title)
    run_tables.show(result, title)
    notify(f"written to {place}")
    return result.values


def _embed_checkpoint(run: RunFolder, checkpoint: Path) -> MethodOutput:
    """The evaluated rows under another checkpoint of the run; needs its data, and builds all that
    its config names.
    """
    from devise_exp.methods.devise_model import trained_model
    from devise_exp.methods.embedding import TrainedProjection
    from devise_exp.pipelines import fit  # late: nothing else here needs torch
    from devise_exp.pipelines.prepare import features_of, prepare
    from devise_exp.pipelines.run import embedded
    from devise_exp.training.checkpoint import load_weights

    own = run.config()
    data = prepare(own)
    run.check_same(data.split, data.class_vectors)
    module = fit.untrained(own, data)
    load_weights(module, checkpoint)
    features = features_of(own, data)
    trained = TrainedProjection(module.projection, run.prior())
    method = trained_model(data.class_vectors, trained, {}, run.embedded(MODEL).gamma)
    return embedded(data, features, method, own.train_metrics)


def _extra_vectors(saved: Run, given: ListConfig | str | int) -> np.ndarray:
    """Vectors (E, D) of further candidate labels, by the run's word vectors: a list of names, the
    lines of a text file, or so many of the most frequent words. The run's classes are left out.
    """
    vocabulary = saved.vocabulary
    taken = [set(words) for words in saved.classes.values()]
    if isinstance(given, int):
        if not 0 < given <= len(vocabulary):
            raise InputError(
                f"extra_labels={given}: {vocabulary.name} has words from 1 to {len(vocabulary)}"
            )
        single = {word for words in taken if len(words) == 1 for word in words}
        own = [rank for word in single if (rank := vocabulary.rank(word)) is not None]
        return np.delete(vocabulary.vectors[:given], [rank for rank in own if rank < given], axis=0)
    found = labels.resolve(list(dict.fromkeys(_names(given))), vocabulary, on_missing="drop")
    if missing := [r.name for r in found if r.rule == "missing"]:
        near = ", ".join(vocabulary.near_spellings(missing[0].lower(), 3)) or "none"
        raise InputError(
            f"extra_labels: no word vector for {', '.join(missing[:10])} (near {missing[0]}: "
            f"{near}): take them out, or give other words"
        )
    new = [r for r in found if set(r.words) not in taken]
    if not new:
        raise InputError(f"extra_labels={given}: no label that is not a class of the run already")
    return class_vectors(new, vocabulary)


def _names(given: ListConfig | str) -> list[str]:
    if not isinstance(given, str):
        return [str(name) for name in given]
    try:
        lines = Path(given).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"extra_labels={given}: give a list, a text file of names or a number of words "
            f"({error})"
        ) from error
    return [line.strip() for line in lines if line.strip()]
