"""The wiring of a run: config and data to a trained module, a run folder and its evaluation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.console import notify
from devise_exp.core.files import atomic_path
from devise_exp.core.vectors import centre_of
from devise_exp.data.images import ImageFiles
from devise_exp.evaluation.protocols import MODEL, EmbeddedImages, MethodOutput
from devise_exp.methods.baselines.softmax import seen_classifier
from devise_exp.methods.devise_model import cached_per_task, devise
from devise_exp.methods.embedding import TrainedProjection, embed_spaces
from devise_exp.methods.method import CalibratedMethod, FittedMethod
from devise_exp.methods.task import ClassFold, Task
from devise_exp.pipelines import checks, distributed, reused_hyperparameters
from devise_exp.pipelines.distributed import all_ranks, fit_network, fit_projection
from devise_exp.pipelines.fit import fit_to, methods_of
from devise_exp.pipelines.grid import grid_folder
from devise_exp.pipelines.prepare import ExperimentData, prepare
from devise_exp.pipelines.score import diagnose_run, evaluate_run, index_name, protocols_of
from devise_exp.reports import run_tables
from devise_exp.reports.html.page import write_html
from devise_exp.reports.run_tables import run_title
from devise_exp.reports.wandb import close_wandb, log_curves, log_to_wandb, logger_options
from devise_exp.runs import gallery_files
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.gallery import GalleryRow
from devise_exp.runs.records import RunDetails
from devise_exp.training.lightning import silence_lightning
from devise_exp.training.module import DeviseModule

# CUDA reads it once, when it starts, and nowhere else: matrix products then repeat bit by bit.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@dataclass(frozen=True, eq=False)
class _Fit:
    """A fitted method of this run, or its stored output if no seed changes it."""

    name: str
    hyperparameters: dict[str, Any]
    result: CalibratedMethod | MethodOutput


Ready = tuple[ExperimentData, np.ndarray]  # with the features of its rows


def train(
    config: DictConfig, folder: Path, quietly: bool = False, ready: Ready | None = None
) -> dict[str, float]:
    """Train, evaluate and fill the run folder; prints the tables, unless `quietly`, and returns
    their figures and val/hit@1. ready: what the config prepares, where that is at hand.

    Wrong input ends before anything is written. Where config.resume names an unfinished run
    folder, that run goes on by its own config.
    """
    silence_lightning()
    run = RunFolder(folder)
    try:
        if config.resume is not None:
            run = RunFolder(Path(str(config.resume)).expanduser().resolve())
            config = run.config()
        run.check_free_for(config)
        with all_ranks(config):
            data, features = ready or (prepare(config), None)
            run.check_same(data.split, data.class_vectors)
            checks.check(config, data)
            if features is None:
                features = distributed.features(config, data)
            run.begin(config)
            return _train(config, run, data, features, quietly)
    except KeyboardInterrupt as error:
        hint = f"; go on with: python train.py resume={run.path}" if run.unfinished else ""
        raise KeyboardInterrupt(f"the run is not finished{hint}") from error
    finally:
        remove_empty(folder)


def _train(
    config: DictConfig, run: RunFolder, data: ExperimentData, features: np.ndarray, quietly: bool
) -> dict[str, float]:
    about = data.about()
    run.save_classes(data.split, data.resolutions, data.class_vectors, data.dataset.rows)
    placed = data.hierarchy()
    run.save_hierarchy(placed)
    about |= {"hierarchy": placed.source, "hierarchy/unplaced": int((~placed.placed).sum())}
    task = data.task(features, config.seed)
    # A network that was trained on the held-out classes too says nothing of unseen ones.
    folds = () if data.backbone.trainable else data.class_folds(task)
    checks.announce(data)
    about |= _chosen_by(config, len(folds))
    logger = _logger(config, run)
    try:
        module, best = fit_projection(config, run, data, features, logger)
        frozen = CalibratedMethod(
            name="frozen_backbone",
            fitted=FittedMethod(data.class_vectors, TrainedProjection(module.projection)),
            is_projection=True,
            reports_search=True,
        )
        before = features
        if data.backbone.trainable:
            module, best = fit_network(config, run, data, logger)
            features = distributed.features(config, data, run)  # the backbone is another now
            task = data.task(features, config.seed)
        about |= best
        trained, fits = _fit_methods(config, data, module, task, folds)
        if trained.prior is not None:
            run.save_prior(trained.prior)
        models = _embed_all(config, data, features, fits)
        if data.backbone.trainable:
            models.insert(1, embedded(data, before, frozen))
        for each in models:
            run.save_embedded(each)
        _save_galleries(config, run, data, task, trained, features)
        make_index = instantiate(config.index)
        about["index"] = index_name(config.index)
        chose = {each.name: each.hyperparameters for each in fits}
        names = {each.name: chose.get(each.name, {}) for each in models}
        skipped = tuple(data.dataset.skipped)
        run.save_details(RunDetails(about, data.audit.overlaps, skipped, names))
        chosen = protocols_of(run, models, train=config.train_metrics)
        result, evaluated = evaluate_run(run, models, chosen, make_index, config.ks, about)
        run.save_arrays("neighbours", evaluated.neighbours)
        run.save_diagnostics(diagnose_run(run, models, chosen, evaluated))
        make_index(data.class_vectors).save(run.path / "index")
        run_tables.write(result, run.path, run_title(about))
        if config.report == "html":
            write_html(run.path)
        if logger:
            log_to_wandb(logger, result, run.path)
            log_curves(logger.experiment, run.path)
    finally:
        if logger:
            close_wandb()
    run.finish()
    if not quietly:
        point_latest(run.path)
        run_tables.show(result, run_title(about))
        page = " (report.html shows its metrics)" if config.report == "html" else ""
        notify(f"run folder: {run.path}{page}")
    return result.values | best


def _chosen_by(config: DictConfig, n_folds: int) -> dict[str, str | int]:
    """Whose choices the figures rest on: so many class folds, or another run."""
    if config.hyperparameters_from is not None:
        return {"choices": Path(str(config.hyperparameters_from)).name}
    if config.class_folds and not n_folds:
        notify("warning: no class fold is possible, so no prior and no calibration were chosen")
    return {"rehearsals": n_folds}


def _fit_methods(
    config: DictConfig,
    data: ExperimentData,
    module: DeviseModule,
    task: Task,
    folds: Sequence[ClassFold],
) -> tuple[TrainedProjection, list[_Fit]]:
    """The trained map with its prior; and every method, that of the trained map first, fitted and
    calibrated by training and validation rows: no others can be had of a task.
    """
    known = reused_hyperparameters.read(config, data)
    project = cached_per_task(partial(fit_to, config), {task: module.projection})
    priors = instantiate(config.prior) if config.prior else None
    first, prior = known.model(task, module.projection) or devise(
        module.projection, project, priors, task, folds
    )
    fits = [_Fit(MODEL, first.fitted.hyperparameters, first)]
    for method in methods_of(config, data, project):
        fits.append(_Fit(method.name, *known.fit(method, task, folds)))
    return TrainedProjection(module.projection, prior), fits


def _embed_all(
    config: DictConfig, data: ExperimentData, features: np.ndarray, fits: Sequence[_Fit]
) -> list[MethodOutput]:
    """What all methods make of the evaluated rows; features: (N, feature_dim)."""
    return [
        each.result
        if isinstance(each.result, MethodOutput)
        else embedded(data, features, each.result, config.train_metrics and each.name == MODEL)
        for each in fits
    ]


def _save_galleries(
    config: DictConfig,
    run: RunFolder,
    data: ExperimentData,
    task: Task,
    trained: TrainedProjection,
    features: np.ndarray,
) -> None:
    """The pictures that the model was not trained on, in every space that the config asks for."""
    split, dataset = data.split, data.dataset
    files = dataset.images.paths if isinstance(dataset.images, ImageFiles) else None
    rows, ids = [], []
    for part, own in (("val", split.val), ("test", split.test), ("unseen", split.unseen_rows)):
        for i in own:
            label, path = split.classes[data.class_ids[i]], files[i] if files else None
            rows.append(GalleryRow(name=dataset.rows[i], label=label, path=path, part=part))
        ids.append(own)
    spaces = run.spaces()
    classifier = None
    if "classifier" in spaces:
        classifier = seen_classifier(task)
        run.save_arrays("classifier", {"weight": classifier.weight, "bias": classifier.bias})
    centre = centre_of(data.class_vectors, split.seen)
    held_out = features[np.concatenate(ids)]
    vectors = embed_spaces(spaces, trained, centre, classifier, held_out)
    gallery_files.save(run.gallery, rows, vectors, instantiate(config.index))


def embedded(
    data: ExperimentData,
    features: np.ndarray,
    method: CalibratedMethod,
    train: bool = False,
) -> MethodOutput:
    """What a method makes of the evaluated rows (and of those it was trained on, with `train`);
    features: (N, feature_dim). Here, and nowhere before, test and unseen rows are looked at.
    """
    split = data.split
    rows = {"seen": split.test, "unseen": split.unseen_rows}
    if train:
        rows["train"] = split.train
    return MethodOutput(
        name=method.name,
        class_vectors=method.fitted.class_vectors,
        parts={
            part: EmbeddedImages(
                method.fitted.embed(np.asarray(features[ids])), data.class_ids[ids]
            )
            for part, ids in rows.items()
        },
        gamma=method.gamma,
        is_projection=method.is_projection,
        reports_search=method.reports_search,
    )


def _logger(config: DictConfig, run: RunFolder) -> Any:
    if not config.logger:
        return False
    options = logger_options(
        run.path,
        offline=config.logger.offline,
        group=config.logger.get("group"),
        grid=grid_folder(),
    )
    logger = instantiate(config.logger)(**options)
    logger.log_hyperparams(OmegaConf.to_container(config, resolve=True))
    return logger


def point_latest(folder: Path) -> None:
    """outputs/latest, under the working folder, names the last run."""
    latest = Path("outputs/latest")
    if latest.exists() and not latest.is_symlink():
        return  # somebody's own folder
    if folder.absolute().is_relative_to(Path.cwd()):
        with atomic_path(latest) as made:
            made.symlink_to(os.path.relpath(folder, latest.parent))


def remove_empty(folder: Path) -> None:
    """Hydra makes the run folder before we know that the input is right."""
    with suppress(OSError):
        folder.rmdir()
        folder.parent.rmdir()
