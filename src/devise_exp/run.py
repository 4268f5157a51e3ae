"""The wiring of a run: config and data to a trained module, a run folder and its evaluation."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf
from rich.console import Console

from devise_exp import controls, evaluation, labels, report, word_vectors
from devise_exp.embeddings import embed
from devise_exp.errors import InputError, command, option
from devise_exp.evaluation import MODEL, Embedded
from devise_exp.module import DeviseModule, load_weights
from devise_exp.prepare import Prepared, features_of, prepare
from devise_exp.processes import launched, ranks
from devise_exp.run_folder import RunFolder
from devise_exp.storage import replacing
from devise_exp.training import BankRows, Inputs, Rows, fit, picture_rows

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # CUDA matrix products that repeat


def train(config: DictConfig, folder: Path) -> dict[str, float]:
    """Train, evaluate and fill the run folder; prints the table and returns its figures and
    val/hit@1.

    Wrong input ends before anything is written. Where config.resume names an unfinished run
    folder, that run goes on by its own config.
    """
    _quiet()
    run = RunFolder(folder)
    try:
        if config.resume is not None:
            run = RunFolder(Path(config.resume).expanduser().resolve())
            config = run.config()
        run.check_free_for(config)
        parts = prepare(config)
        run.check_same(parts.split, parts.class_vectors)
        _rehearse(config, parts)
        frozen = not parts.backbone.trainable
        features = features_of(config, parts) if frozen else None
        run.begin(config)
        return _train(config, run, parts, features)
    except KeyboardInterrupt as error:
        hint = f"; go on with: python train.py resume={run.path}" if run.unfinished else ""
        raise KeyboardInterrupt(f"the run is not finished{hint}") from error
    finally:
        _remove_empty(folder)


def evaluate(config: DictConfig) -> dict[str, float]:
    """Evaluate a finished run again from its folder alone; prints the table and returns its
    figures.

    The files go to evaluations/N in the run folder, N counting up.
    """
    _quiet()
    run = RunFolder.existing(config.run_dir)
    own = run.config()
    models = [run.embedded(name) for name in run.models()]
    seen, unseen = run.class_ids()
    index_config = config.index or own.index  # an empty group means the run's own
    if not str(index_config.get("_target_")).startswith("devise_exp.index."):
        raise InputError(  # nothing else of the folder's config is built here unasked
            f"{run.path}: its config names {index_config.get('_target_')!r} as the index: choose "
            "index=hnsw, brute_force or exact"
        )
    about = run.about() | {"index": _index_name(index_config)}
    if config.checkpoint is not None:
        checkpoint = run.find(config.checkpoint)
        models[0] = _embed_checkpoint(own, run, checkpoint)
        about["checkpoint"] = str(checkpoint)
    extra = None
    if config.extra_labels is not None:
        vectors = _extra_vectors(own, run, config.extra_labels)
        extra = len(models[0].class_vectors) + np.arange(len(vectors))
        models[0] = models[0].with_labels(vectors)
        about["extra_labels"] = len(vectors)
    chosen = evaluation.select(evaluation.protocols(seen, unseen, extra), config.protocols)
    ks = config.ks if config.ks is not None else own.ks
    result, _ = evaluation.evaluate(models, chosen, instantiate(index_config), ks, about)
    place = run.new_evaluation()
    title = _title(about)
    report.write(result, place, title)
    report.show(result, title)
    _say(f"written to {place}")
    return result.values


def _rehearse(config: DictConfig, parts: Prepared) -> None:
    """Build every part once, so that a wrong option ends the run before anything is written."""
    split = parts.split
    for protocol in evaluation.protocols(split.seen, split.unseen):
        evaluation.ks_of(protocol, config.ks)
    if config.logger:
        report.check_wandb(config.logger.offline)
    if not isinstance(config.controls, bool):
        raise InputError(f"controls={config.controls}: say true or false")
    if not isinstance(config.seed, int):
        raise InputError(f"seed={config.seed}: give a whole number from 0 on")
    if "_target_" not in (config.index or {}):
        raise InputError("index=own is for evaluate.py: choose hnsw, brute_force or exact")
    for key in ("trainer.max_epochs", "training.batch_size"):
        value = OmegaConf.select(config, key)
        if not isinstance(value, int) or value < 1:
            raise InputError(f"{key}={value}: give a whole number from 1 on")
    for key, least in (("training.patience", 1), ("training.num_workers", 0)):
        value = OmegaConf.select(config, key)
        if value is not None and (not isinstance(value, int) or value < least):
            raise InputError(f"{key}={value}: give a whole number from {least} on")
    if parts.backbone.trainable:
        picture_rows(parts.dataset, parts.backbone)
    ranks(config.trainer.strategy, config.trainer.devices, config.trainer.accelerator)
    clipped = config.trainer.gradient_clip_val is not None
    if clipped and "mixed" in str(config.trainer.precision) and config.optimizer.get("fused"):
        raise InputError(
            f"trainer.precision={config.trainer.precision} cannot clip gradients of a fused "
            "optimizer: set optimizer.fused=false"
        )
    with option("seed or projection"):
        module = _module(config, parts, parts.class_vectors)
        embeddings = module(torch.zeros(2, parts.backbone.feature_dim))
    with option("loss"):
        module.loss(embeddings, torch.zeros(2, dtype=torch.int64), module.class_vectors)
    with option("optimizer or scheduler"):
        module.configure_optimizers()
    with option("trainer"):
        instantiate(config.trainer)(logger=False, enable_checkpointing=False)
    with option("index"):
        instantiate(config.index)(parts.class_vectors[:2])


def _train(
    config: DictConfig, run: RunFolder, parts: Prepared, features: np.ndarray | None
) -> dict[str, float]:
    about = parts.about()
    run.save_classes(parts.split, parts.resolutions, parts.class_vectors, parts.dataset.rows)
    run.save_about(about, parts.audit.leaks, parts.dataset.skipped)
    _announce(parts)
    logger = _logger(config, run)
    try:
        world = ranks(config.trainer.strategy, config.trainer.devices, config.trainer.accelerator)
        with launched(world, ["-m", "devise_exp.run", str(run.path)]):
            module, best = _fit(config, run, parts, features, logger)
        about |= best
        run.save_about(about, parts.audit.leaks, parts.dataset.skipped)
        if features is None:  # the backbone is another by now
            features = features_of(config, parts)
        models = _embed_all(config, run, parts, module, features)
        split, make_index = parts.split, instantiate(config.index)
        chosen = evaluation.protocols(split.seen, split.unseen)
        about["index"] = _index_name(config.index)
        result, neighbours = evaluation.evaluate(models, chosen, make_index, config.ks, about)
        run.save_arrays("neighbours", neighbours)
        make_index(parts.class_vectors).save(run.path / "index")
        report.write(result, run.path, _title(about))
        if logger:
            report.log_to_wandb(logger, result, run.path)
    finally:
        if logger:
            report.close_wandb()
    run.finish()
    _point_latest(run.path)
    report.show(result, _title(about))
    _say(f"run folder: {run.path}")
    return result.values | best


def _fit(
    config: DictConfig,
    run: RunFolder,
    parts: Prepared,
    features: np.ndarray | None,
    logger: Any = False,
) -> tuple[DeviseModule, dict[str, float]]:
    """This process's share of the training; every rank calls it. The module comes back at its best
    epoch.
    """
    module = _module(config, parts, parts.class_vectors, trainable=features is None)
    if features is None:
        inputs: tuple[Inputs, Inputs] = picture_rows(parts.dataset, parts.backbone)
    else:
        inputs = BankRows(features), BankRows(features)
    train_rows, val_rows = _rows(parts, inputs)
    best = fit(
        module,
        instantiate(config.trainer),
        train_rows,
        val_rows,
        run.checkpoints,
        config.seed,
        logger=logger,
        **config.training,
    )
    return module, best


def _rows(parts: Prepared, inputs: tuple[Inputs, Inputs]) -> tuple[Rows, Rows]:
    """Training and validation rows of the seen classes, with their inputs."""
    train, val = parts.split.train, parts.split.val
    return (
        Rows(inputs[0], train, parts.targets(train)),
        Rows(inputs[1], val, parts.targets(val)),
    )


def _module(
    config: DictConfig, parts: Prepared, class_vectors: np.ndarray, trainable: bool = False
) -> DeviseModule:
    """A new module whose weights the seed decides; class_vectors: (C, D)."""
    pl.seed_everything(config.seed, workers=True, verbose=False)
    return DeviseModule(
        instantiate(config.projection)(parts.backbone.feature_dim, class_vectors.shape[1]),
        instantiate(config.loss),
        torch.from_numpy(class_vectors[parts.split.seen]),
        instantiate(config.optimizer),
        instantiate(config.scheduler),
        parts.backbone.network if trainable else None,
        config.backbone_lr_factor,
    )


def _embed_all(
    config: DictConfig, run: RunFolder, parts: Prepared, module: DeviseModule, features: np.ndarray
) -> list[Embedded]:
    """The trained model and the controls on the evaluated rows, also written to the run folder."""
    model = _embed_rows(MODEL, module, parts, parts.class_vectors, features)
    run.save_embedded(model, val=embed(module.projection, features[parts.split.val]))
    if not config.controls:
        return [model]
    softmax_and_conse = controls.softmax_and_conse(parts, features, config.seed)
    others = [*softmax_and_conse, _random_vectors(config, parts, features)]
    for other in others:
        run.save_embedded(other)
    return [model, *others]


def _random_vectors(config: DictConfig, parts: Prepared, features: np.ndarray) -> Embedded:
    """The control whose classes have random vectors, one each, so that no two are near by meaning
    or by a word they share; trained on the features by the run's own recipe, on one device.
    """
    table = word_vectors.random(parts.class_vectors.shape[1], config.seed)
    vectors = np.stack([table.vector(name) for name in parts.split.classes])
    module = _module(config, parts, vectors)
    make_trainer = partial(instantiate(config.trainer), devices=1, strategy="auto")
    train_rows, val_rows = _rows(parts, (BankRows(features), BankRows(features)))
    with TemporaryDirectory() as folder:
        place, seed = Path(folder), config.seed
        fit(module, make_trainer, train_rows, val_rows, place, seed, **config.training)
    return _embed_rows("random_vectors", module, parts, vectors, features)


def _embed_rows(
    name: str, module: DeviseModule, parts: Prepared, vectors: np.ndarray, features: np.ndarray
) -> Embedded:
    test, unseen = parts.split.test, parts.split.unseen_rows
    return Embedded(
        name,
        vectors,
        embed(module.projection, features[test]),
        parts.class_ids[test],
        embed(module.projection, features[unseen]),
        parts.class_ids[unseen],
    )


def _embed_checkpoint(own: DictConfig, run: RunFolder, checkpoint: Path) -> Embedded:
    parts = prepare(own)
    run.check_same(parts.split, parts.class_vectors)
    module = _module(own, parts, parts.class_vectors, trainable=parts.backbone.trainable)
    load_weights(module, checkpoint)
    return _embed_rows(MODEL, module, parts, parts.class_vectors, features_of(own, parts))


def _extra_vectors(own: DictConfig, run: RunFolder, given: ListConfig | str) -> np.ndarray:
    """Vectors (E, D) of further candidate labels, by the run's word vectors; its own classes are
    left out.
    """
    if isinstance(given, str):
        try:
            names = Path(given).expanduser().read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"extra_labels={given}: give a list or a text file of names ({error})"
            ) from error
    else:
        names = [str(name) for name in given]
    vocabulary = instantiate(own.word_vectors)
    taken = [set(entry["words"]) for entry in run.classes()]
    found = labels.resolve(
        list(dict.fromkeys(n.strip() for n in names if n.strip())), vocabulary, on_missing="drop"
    )
    if missing := [r.name for r in found if r.how == "missing"]:
        near = ", ".join(vocabulary.near_spellings(missing[0].lower(), 3)) or "none"
        raise InputError(
            f"extra_labels: no word vector for {', '.join(missing[:10])} (near {missing[0]}: "
            f"{near}): take them out, or give other words"
        )
    new = [r for r in found if set(r.words) not in taken]
    if not new:
        raise InputError(f"extra_labels={given}: no label that is not a class of the run already")
    return labels.class_vectors(new, vocabulary)


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
    _say(f"{len(parts.dataset.rows)} pictures of {parts.dataset.name}; classes by words: {words}")
    _say(
        f"split {split.name} ({split.fingerprint}): {len(split.seen)} seen and "
        f"{len(split.unseen)} unseen classes"
    )
    if parts.dataset.skipped:
        shown = "; ".join(parts.dataset.skipped[:3])
        _say(f"warning: skipped {len(parts.dataset.skipped)}: {shown} (all in about.json)")
    if len(split.unseen) == 1:
        _say("warning: among a single unseen label every hit@k is 100: hold out more classes")
    if parts.audit.leaked:
        _say(
            f"warning: {len(parts.audit.leaked)} of {len(split.unseen)} unseen classes were in "
            f"the backbone's "
            f"pretraining: {', '.join(parts.audit.leaked)} (about.json says how)"
        )
    if not parts.audit.checked_by:
        _say("warning: the backbone's pretraining classes are unknown, so no leak could be audited")


def _title(about: dict[str, Any]) -> str:
    return f"{about['data']}, {about['backbone']}, {about['word_vectors']}: flat hit@k in per cent"


def _index_name(config: DictConfig) -> str:
    return f"{config._target_.rsplit('.', 1)[-1]} {config.get('method', '')}".strip()


def _say(line: str) -> None:
    Console(stderr=True).print(line, soft_wrap=True, highlight=False, markup=False)


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


def _quiet() -> None:
    """Leave out remarks of libraries that a person can do nothing about."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric|torch.optim")


def _rank_from_folder() -> None:
    """Entry of ranks 1, 2, ... of a training on several devices: see training.launched."""
    _quiet()
    run = RunFolder(Path(sys.argv[1]))
    config = run.config()
    parts = prepare(config)
    _fit(config, run, parts, None if parts.backbone.trainable else features_of(config, parts))


if __name__ == "__main__":
    command(_rank_from_folder)()
