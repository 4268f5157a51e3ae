"""A run from its config to its report, as one function of named steps."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from devise_exp.core.console import notify, warn
from devise_exp.core.side_work import side_work
from devise_exp.data.class_folds import LEAST_CLASSES
from devise_exp.evaluation.evaluator import EvalReport
from devise_exp.evaluation.protocols import MODEL, MethodOutput
from devise_exp.index.saved import save
from devise_exp.methods.embedding import TrainedProjection
from devise_exp.methods.method import CalibratedMethod, FittedMethod
from devise_exp.methods.pretraining_words import missing_classifier
from devise_exp.pipelines import checks, distributed, fit
from devise_exp.pipelines.distributed import as_rank_0, on_all_ranks
from devise_exp.pipelines.embed import embed_images, save_galleries
from devise_exp.pipelines.experiment_data import Ready
from devise_exp.pipelines.fit_methods import MethodFits
from devise_exp.pipelines.hydra_files import keep_hydra_files
from devise_exp.pipelines.image_names import about_image_names, name_images
from devise_exp.pipelines.labelled import LabelledImages
from devise_exp.pipelines.learning import learned_nothing
from devise_exp.pipelines.logger import has_wandb, log_finished, run_loggers
from devise_exp.pipelines.outputs import check_folder, point_latest, remove_empty
from devise_exp.pipelines.predicted import class_names, save_predictions
from devise_exp.pipelines.prepare import prepare
from devise_exp.pipelines.recipe import recipe_of
from devise_exp.pipelines.resumed import saying_how_to_go_on, what_is_left
from devise_exp.pipelines.run_page import write_page
from devise_exp.pipelines.score import diagnose_run, evaluate_run, index_name, protocols_of
from devise_exp.pipelines.settings import Settings, read_settings
from devise_exp.pipelines.state import FinishedRun, MethodFit, RunState
from devise_exp.pipelines.user_parts import trusted_config, use_user_parts
from devise_exp.reports import run_tables
from devise_exp.reports.html.shown_run import ShownRun
from devise_exp.reports.predictions import images_of_run
from devise_exp.reports.run_tables import run_title
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.records import RunDetails
from devise_exp.text.word_checks import check_words
from devise_exp.training.lightning import silence_lightning
from devise_exp.training.module import SCORE, DeviseModule

# CUDA reads it once, when it starts, and nowhere else: matrix products then repeat bit by bit.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def train(
    config: DictConfig,
    folder: Path,
    quietly: bool = False,
    ready: Ready | None = None,
    labelled: LabelledImages | None = None,
) -> dict[str, float]:
    """Train, evaluate and fill the run folder. Wrong input ends before anything is written.

    Args:
        config: Of train.py. If its `resume` names an unfinished run folder, that run goes on by its
            own config.
        folder: The run folder.
        quietly: Whether the tables are not printed, and outputs/latest stays.
        ready: What `prepare` gives for this config, with its features, if the caller has them.
        labelled: The images with their words, if they have been read.

    Returns:
        The metrics, with val/hit@1 and the best epoch.
    """
    silence_lightning()
    run = RunFolder(folder)
    try:
        if config.resume is not None:
            run = RunFolder(Path(str(config.resume)).expanduser().resolve())
            config = trusted_config(config, run.config(), run.path)
        read_settings(config)
        use_user_parts(config)
        run.check_free_for(config)
        check_folder(run.path)
        finished: FinishedRun = as_rank_0(
            config, _train, config, run.path, ready=ready, labelled=labelled
        )
        if not quietly:
            _show(run.path, finished)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(what_is_left(run, config)) from error
    finally:
        remove_empty(folder)
    return finished.report.values | finished.best


def _train(
    config: DictConfig,
    folder: Path,
    ready: Ready | None = None,
    labelled: LabelledImages | None = None,
) -> FinishedRun:
    """Fill the run folder; the first of several processes calls this."""
    run = RunFolder(folder)
    state = _prepare(config, read_settings(config), run, ready, labelled)
    methods = MethodFits(state)
    with (
        saying_how_to_go_on(run, config),
        side_work(methods.tasks(), beside=methods.may_run_beside) as work,
        run_loggers(config, run) as loggers,
    ):
        module, best = _fit_model(state, [*loggers.values()] or False)
        projection, fits = methods.fit(module.projection, work)
        work.end()
        outputs = _embed(state, projection, fits)
        report = _evaluate(state, outputs, projection)
        shown = _write_reports(state, report)
        run.finish()  # it has its files: what follows, and may fail, shows them elsewhere
        log_finished(loggers, config, report, shown)
    return FinishedRun(report=report, best=best, about=state.about, page=state.settings.report)


def _prepare(
    config: DictConfig,
    settings: Settings,
    run: RunFolder,
    ready: Ready | None,
    labelled: LabelledImages | None,
) -> RunState:
    """Read the data, build every part once, begin the run folder and draw the class folds."""
    data, features = ready or (prepare(config, labelled), None)
    run.check_same(data.split, data.class_vectors)
    checks.check(config, data)
    if features is None:
        features = distributed.features(config, data)
    run.begin(config)
    keep_hydra_files(run.path, config)
    word_checks = check_words(data.resolutions, data.class_vectors, data.vocabulary)
    verdicts = data.class_audit.verdicts(data.split.classes)
    run.save_classes(
        data.split, data.resolutions, data.class_vectors, data.dataset.rows, word_checks, verdicts
    )
    if data.dataset.contents is not None:
        rows = (*data.split.train, *data.split.val)
        run.save_training_contents(data.dataset.contents[row] for row in rows)
    hierarchy = data.hierarchy()
    run.save_hierarchy(hierarchy)
    task = data.task(features, settings.seed)
    # A network that was trained on the held-out classes too says nothing of unseen ones.
    folds = () if data.backbone.trainable else data.class_folds(task)
    checks.announce(data)
    about = data.about() | {
        "hierarchy": hierarchy.source,
        "hierarchy/unplaced": int((~hierarchy.placed).sum()),
        **_selection_source(config, len(folds), len(data.split.seen)),
    }
    return RunState(
        config=config,
        settings=settings,
        recipe=recipe_of(config, data.n_train),
        run=run,
        data=data,
        features=features,
        task=task,
        folds=folds,
        about=about,
    )


def _selection_source(config: DictConfig, n_folds: int, n_seen: int) -> dict[str, str | int]:
    """What hyperparameters were selected by: so many class folds, or another run."""
    if config.hyperparameters_from is not None:
        return {"choices": Path(str(config.hyperparameters_from)).name}
    if config.class_folds and not n_folds:
        needed = f": {LEAST_CLASSES} seen classes or more are needed" * (n_seen < LEAST_CLASSES)
        warn(f"no class fold is possible, so no prior and no calibration were chosen{needed}")
    return {"rehearsals": n_folds}


def _fit_model(state: RunState, logger: Any) -> tuple[DeviseModule, dict[str, float]]:
    """Train the projection and, if the backbone is trainable, the network.

    Returns the module, and its best epoch with the validation hit@1 there.
    """
    config, recipe, run, data = state.config, state.recipe, state.run, state.data
    with on_all_ranks("projection", config, run):
        module, result = fit.fit_projection(recipe, run, data, state.features, logger)
    nothing = learned_nothing(recipe, state.task, module.projection, result.score)
    state.about |= {"training/epochs": result.epochs, "training/steps": result.steps}
    if nothing is not None:
        state.about["training"] = nothing
    if data.backbone.trainable:
        state.pretrained = TrainedProjection(module.projection), state.features
        with on_all_ranks("network", config, run):
            module, result = fit.fit_network(recipe, run, data, logger)
            state.about |= {"tuning/epochs": result.epochs, "tuning/steps": result.steps}
        state.features = distributed.features(config, data, run)  # the backbone is another now
        state.task = data.task(state.features, recipe.seed)
    best = {SCORE: result.score, "epoch": result.epoch}
    state.about |= best
    return module, best


def _embed(
    state: RunState, projection: TrainedProjection, fits: list[MethodFit]
) -> list[MethodOutput]:
    """Embed the evaluated images by every method; save them and the additions."""
    data, run = state.data, state.run
    run.save_additions(projection.prior, projection.classifiers)
    outputs = []
    for method in fits:
        output = method.result
        if isinstance(output, CalibratedMethod):
            train = state.settings.train_metrics and method.name == MODEL
            output = embed_images(data, state.features, output, train)
        outputs.append(output)
    if state.pretrained is not None:
        first_stage, features = state.pretrained
        frozen = CalibratedMethod(
            name="frozen_backbone",
            fitted=FittedMethod(data.class_vectors, first_stage),
            is_projection=True,
            reports_search=True,
        )
        outputs.insert(1, embed_images(data, features, frozen))
    for output in outputs:
        run.save_embedded(output)
    state.about["index"] = index_name(state.config.index)
    called = name_images(data, state.task, state.features)
    if called is not None:
        run.save_image_names(called)
    state.about |= about_image_names(data, called)
    chosen = {method.name: method.hyperparameters for method in fits}
    run.save_details(
        RunDetails(
            about=state.about,
            overlaps=data.audit.overlaps,
            skipped=tuple(data.dataset.skipped),
            methods={output.name: chosen.get(output.name, {}) for output in outputs},
            unidentified=data.audit.unidentified,
            stated_clean=data.audit.stated_clean,
            possible=data.audit.possible,
            other_senses=data.audit.other_senses,
            copies=() if data.copies is None else data.copies.lines,
            unnamed=missing_classifier(data.backbone) or "",
            dropped=data.missing,
        )
    )
    return outputs


def _evaluate(
    state: RunState, outputs: list[MethodOutput], projection: TrainedProjection
) -> EvalReport:
    """Measure every method in every protocol; save galleries, neighbours, diagnostics and index."""
    run, settings = state.run, state.settings
    make_index = instantiate(state.config.index)
    protocols = protocols_of(run, outputs, train=settings.train_metrics)
    galleries = (run, state.data, state.task, projection, state.features, make_index)
    report, evaluation = evaluate_run(
        run,
        outputs,
        protocols,
        make_index,
        settings.ks,
        state.about,
        save=partial(save_galleries, *galleries),
    )
    run.save_arrays("neighbours", evaluation.neighbours)
    run.save_diagnostics(diagnose_run(run, outputs, protocols, evaluation))
    images, labels = images_of_run(run), class_names(run)
    options = settings.predictions
    save_predictions(run.path, options, outputs, protocols, evaluation, images, labels)
    save(make_index(outputs[0].class_vectors), run.path / "index")
    return report


def _write_reports(state: RunState, report: EvalReport) -> ShownRun:
    """Write the tables and the page."""
    shown = ShownRun(state.run.path)
    run_tables.write(report, shown.path, run_title(state.about))
    if state.settings.report == "html":
        write_page(shown, with_images=has_wandb(state.config))
    return shown


def _show(folder: Path, finished: FinishedRun) -> None:
    """Print the tables, and let outputs/latest name the run."""
    point_latest(folder)
    if nothing := finished.about.get("training"):
        warn(f"the training {nothing}: raise optimizer.lr or trainer.max_epochs")
    run_tables.show(finished.report, run_title(finished.about))
    page = " (report.html shows its metrics)" if finished.page == "html" else ""
    notify(f"run folder: {folder}{page}")
