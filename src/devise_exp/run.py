"""The wiring of a run: config and data to a trained module, a run folder and its evaluation."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from devise_exp import controls, evaluation, fitting, gallery, labels, report, scores, word_vectors
from devise_exp.centring import centre_of
from devise_exp.embeddings import Classifier, embed, embed_spaces
from devise_exp.errors import InputError, option, say
from devise_exp.evaluation import MODEL, Embedded
from devise_exp.gallery import GalleryRow
from devise_exp.module import DeviseModule
from devise_exp.pictures import PictureFiles
from devise_exp.prepare import Prepared, features_of, prepare
from devise_exp.run_folder import SPACES, RunFolder
from devise_exp.storage import replacing
from devise_exp.training import quiet

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # CUDA matrix products that repeat


def train(config: DictConfig, folder: Path) -> dict[str, float]:
    """Train, evaluate and fill the run folder; prints the tables and returns their figures and
    val/hit@1.

    Wrong input ends before anything is written. Where config.resume names an unfinished run
    folder, that run goes on by its own config.
    """
    quiet()
    run = RunFolder(folder)
    try:
        if config.resume is not None:
            run = RunFolder(Path(config.resume).expanduser().resolve())
            config = run.config()
        run.check_free_for(config)
        parts = prepare(config)
        run.check_same(parts.split, parts.class_vectors)
        _rehearse(config, parts)
        features = features_of(config, parts)
        run.begin(config)
        return _train(config, run, parts, features)
    except KeyboardInterrupt as error:
        hint = f"; go on with: python train.py resume={run.path}" if run.unfinished else ""
        raise KeyboardInterrupt(f"the run is not finished{hint}") from error
    finally:
        _remove_empty(folder)


def _rehearse(config: DictConfig, parts: Prepared) -> None:
    """Every part built and every option looked at before anything is written."""
    fitting.rehearse(config, parts)
    for protocol in evaluation.protocols(parts.split.seen, parts.split.unseen):
        evaluation.ks_of(protocol, config.ks)
    if config.logger:
        report.check_wandb(config.logger.offline)
    for key in ("controls", "train_figures"):
        if not isinstance(config[key], bool):
            raise InputError(f"{key}={config[key]}: say true or false")
    others = SPACES[1:]
    if isinstance(config.spaces, str) or not set(config.spaces) <= set(others):
        raise InputError(f"spaces={config.spaces}: give a list of {' and '.join(others)}, or []")
    if "_target_" not in (config.index or {}):
        raise InputError("index=own is for evaluate.py: choose hnsw, brute_force or exact")
    with option("index"):
        instantiate(config.index)(parts.class_vectors[:2])


def _train(
    config: DictConfig, run: RunFolder, parts: Prepared, features: np.ndarray
) -> dict[str, float]:
    about = parts.about()
    run.save_classes(parts.split, parts.resolutions, parts.class_vectors, parts.dataset.rows)
    run.save_about(about, parts.audit.leaks, parts.dataset.skipped)
    _announce(parts)
    logger = _logger(config, run)
    try:
        module, best = fitting.fit_map(config, run, parts, features, logger)
        before: list[Embedded] = []
        if parts.backbone.trainable:
            vectors = parts.class_vectors
            before = [embed_rows("frozen_backbone", module, parts, vectors, features)]
            module, best = fitting.fit_network(config, run, parts, logger)
            features = features_of(config, parts)  # the backbone is another by now
        about |= best
        run.save_about(about, parts.audit.leaks, parts.dataset.skipped)
        models = _embed_all(config, run, parts, module, features, before)
        make_index = instantiate(config.index)
        about["index"] = scores.index_name(config.index)
        chosen = evaluation.protocols(
            parts.split.seen, parts.split.unseen, train=config.train_figures
        )
        result, neighbours = scores.score(run, models, chosen, make_index, config.ks, about)
        run.save_arrays("neighbours", neighbours)
        make_index(parts.class_vectors).save(run.path / "index")
        report.write(result, run.path, scores.title(about))
        if logger:
            report.log_to_wandb(logger, result, run.path)
    finally:
        if logger:
            report.close_wandb()
    run.finish()
    _point_latest(run.path)
    report.show(result, scores.title(about))
    say(f"run folder: {run.path}")
    return result.values | best


def _embed_all(
    config: DictConfig,
    run: RunFolder,
    parts: Prepared,
    module: DeviseModule,
    features: np.ndarray,
    before: list[Embedded],
) -> list[Embedded]:
    """The trained model and the controls on the evaluated rows, also written to the run folder,
    with the galleries that are searched.
    """
    model = embed_rows(MODEL, module, parts, parts.class_vectors, features, config.train_figures)
    models = [model, *before]
    classifier = None
    if config.controls or "classifier" in config.spaces:
        classifier = controls.seen_classifier(parts, features, config.seed)
    if config.controls and classifier is not None:
        models += controls.softmax_and_conse(parts, features, classifier)
        models.append(_random_vectors(config, parts, features))
    for each in models:
        run.save_embedded(each)
    _save_galleries(config, run, parts, module, classifier, features)
    return models


def _save_galleries(
    config: DictConfig,
    run: RunFolder,
    parts: Prepared,
    module: DeviseModule,
    classifier: Classifier | None,
    features: np.ndarray,
) -> None:
    """The pictures that the model was not trained on, in every space that the config asks for."""
    split, dataset = parts.split, parts.dataset
    files = dataset.images.paths if isinstance(dataset.images, PictureFiles) else None
    rows, ids = [], []
    for part, own in (("val", split.val), ("test", split.test), ("unseen", split.unseen_rows)):
        for i in own:
            label, path = split.classes[parts.class_ids[i]], files[i] if files else None
            rows.append(GalleryRow(dataset.rows[i], label, path, part))
        ids.append(own)
    spaces = run.spaces()
    centre = centre_of(parts.class_vectors, split.seen)
    held_out = features[np.concatenate(ids)]
    vectors = embed_spaces(spaces, module.projection, centre, classifier, held_out)
    gallery.save(run.gallery, rows, vectors, instantiate(config.index))
    if "classifier" in spaces and classifier is not None:
        run.save_arrays("classifier", {"weight": classifier.weight, "bias": classifier.bias})


def _random_vectors(config: DictConfig, parts: Prepared, features: np.ndarray) -> Embedded:
    """The control whose classes have random vectors, one each, so that no two are near by meaning
    or by a word they share.
    """
    table = word_vectors.random(parts.class_vectors.shape[1], config.seed)
    vectors = np.stack([table.vector(name) for name in parts.split.classes])
    module = fitting.fit_to(config, parts, features, vectors)
    return embed_rows("random_vectors", module, parts, vectors, features)


def embed_rows(
    name: str,
    module: DeviseModule,
    parts: Prepared,
    vectors: np.ndarray,
    features: np.ndarray,
    train: bool = False,
) -> Embedded:
    """What a module makes of the evaluated rows (and of those it was trained on, with `train`);
    vectors: (C, D), features: (N, feature_dim).
    """
    test, unseen = parts.split.test, parts.split.unseen_rows
    trained = parts.split.train if train else None
    return Embedded(
        name,
        vectors,
        embed(module.projection, features[test]),
        parts.class_ids[test],
        embed(module.projection, features[unseen]),
        parts.class_ids[unseen],
        None if trained is None else embed(module.projection, features[trained]),
        None if trained is None else parts.class_ids[trained],
    )


def _logger(config: DictConfig, run: RunFolder) -> Any:
    if not config.logger:
        return False
    os.environ.setdefault("WANDB_SILENT", "true")  # the run folder is named at the end anyway
    # Lightning's offline=True only sets a variable, which W&B, once set up, no longer reads.
    mode = "offline" if config.logger.offline else "online"
    logger = instantiate(config.logger)(save_dir=run.path, name=run.path.name, mode=mode)
    logger.log_hyperparams(OmegaConf.to_container(config, resolve=True))
    return logger


def _announce(parts: Prepared) -> None:
    """What the run is about to use, and warnings that a person should see before they trust a
    table.
    """
    split, how = parts.split, labels.summary(parts.resolutions)
    words = ", ".join(f"{n} {name}" for name, n in how.items() if n)
    say(f"{len(parts.dataset.rows)} pictures of {parts.dataset.name}; classes by words: {words}")
    say(
        f"split {split.name} ({split.fingerprint}): {len(split.seen)} seen and "
        f"{len(split.unseen)} unseen classes"
    )
    if parts.dataset.skipped:
        shown = "; ".join(parts.dataset.skipped[:3])
        say(f"warning: skipped {len(parts.dataset.skipped)}: {shown} (all in about.json)")
    if len(split.unseen) == 1:
        say("warning: among a single unseen label every hit@k is 100: hold out more classes")
    if parts.audit.leaked:
        say(
            f"warning: {len(parts.audit.leaked)} of {len(split.unseen)} unseen classes were in "
            f"the backbone's pretraining: {', '.join(parts.audit.leaked)} (about.json says how)"
        )
    if not parts.audit.checked_by:
        say("warning: the backbone's pretraining classes are unknown, so no leak could be audited")


def _point_latest(folder: Path) -> None:
    """outputs/latest, under the working folder, names the last run."""
    latest = Path("outputs/latest")
    if latest.exists() and not latest.is_symlink():
        return  # somebody's own folder
    if folder.absolute().is_relative_to(Path.cwd()):
        with replacing(latest) as made:
            made.symlink_to(os.path.relpath(folder, latest.parent))


def _remove_empty(folder: Path) -> None:
    """Hydra makes the run folder before we know that the input is right."""
    with suppress(OSError):
        folder.rmdir()
        folder.parent.rmdir()
