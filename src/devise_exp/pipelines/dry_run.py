"""A look at the data before a training: words of the classes, images as the network sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from devise_exp.core.config import compose_config
from devise_exp.core.console import notify, warn
from devise_exp.core.errors import InputError
from devise_exp.core.files import write_text
from devise_exp.core.name_lists import check_names_file, write_names
from devise_exp.data.class_sides import UnknownClassError
from devise_exp.data.splits import Split
from devise_exp.pipelines.class_words import ClassWords
from devise_exp.pipelines.few_classes import require_classes
from devise_exp.pipelines.labelled import (
    LabelledImages,
    draw_split,
    draws_clean,
    read_labelled,
    read_split,
)
from devise_exp.pipelines.settings import read_settings
from devise_exp.pipelines.user_parts import use_user_parts
from devise_exp.reports.tables import to_csv
from devise_exp.text import labels

if TYPE_CHECKING:
    from devise_exp.evaluation.verdicts import AuditReport
    from devise_exp.features.backbones.base import Backbone


def preview(
    overrides: Sequence[str],
    folder: Path,
    n: int = 24,
    seed: int = 0,
    more: Path | None = None,
    unseen_file: Path | None = None,
) -> None:
    """Print how each class gets its words; write labels.csv and a sheet of training images.

    A misspelt class of the split is refused first. Classes without a word vector, and a split that
    cannot be made for another reason, are part of the report. At the end, what a training would
    refuse is refused in the same line: the words first, then the split.

    Args:
        overrides: Of train.py's config.
        folder: Where labels.csv, pictures.png and pictures.html go.
        n: How many images the sheet shows.
        seed: Draws and augments them.
        more: A folder with further options, GROUP/NAME.yaml.
        unseen_file: Where the names of the unseen classes go, for split.unseen_file; None: nowhere.

    Raises:
        InputError: If a training would refuse the config, or a file cannot be written.
    """
    if n < 1:
        raise InputError(f"-n {n}: give a number of images from 1 on")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: this is a file: give a folder")
    if unseen_file is not None:
        check_names_file(unseen_file, "--unseen-file")
    config = compose_config(overrides, more=more)
    read_settings(config)
    use_user_parts(config)
    labelled = read_labelled(config, config.labels.on_missing, strict=False)
    _check_names(config, labelled)
    looked = _look(config, labelled)
    for line in labelled.dataset.about:
        notify(line)
    for remark in (*labelled.dataset.remarks, *(looked.split.remarks if looked.split else ())):
        warn(remark)
    _report(config, labelled, looked, folder)
    if looked.split is not None and looked.audit is not None:
        _announce_audit(looked.split, looked.audit)
    _write_sheet(labelled, looked, folder, n, seed)
    _end(config, labelled, looked, unseen_file)


def _takes_missing(config: DictConfig) -> bool:
    """Whether classes without a word take part in the split that a look shows.

    Such a class stops a training; what mends that must not deal the classes anew.
    """
    return str(config.labels.on_missing) == "error"


def _check_names(config: DictConfig, labelled: LabelledImages) -> None:
    """Refuse a misspelt class of the split at once; what else is wrong is part of the report."""
    if draws_clean(config):
        return
    try:
        draw_split(config, labelled, _takes_missing(config))
    except UnknownClassError:
        raise
    except InputError:
        pass


def _end(
    config: DictConfig, labelled: LabelledImages, looked: _Looked, unseen_file: Path | None
) -> None:
    """Refuse what a training refuses; write the unseen classes of a split that it takes."""
    words = ClassWords(config, config.labels.on_missing, strict=True)
    words.of(labelled.whole.classes, labelled.dataset.classes)
    if looked.failure:
        raise InputError(looked.failure)
    if looked.split is not None and looked.audit is not None:
        _require_clean(looked.split, looked.audit)
    if looked.split is not None and unseen_file is not None:
        unseen = [looked.split.classes[c] for c in looked.split.unseen]
        write_names(unseen_file, unseen, "--unseen-file")
        notify(f"written to {unseen_file}, for split=named split.unseen_file={unseen_file}")


@dataclass(frozen=True, kw_only=True)
class _Looked:
    """What a look finds: the split or why there is none, the backbone or why, and the audit."""

    split: Split | None
    failure: str
    backbone: Backbone | None
    trouble: InputError | None
    audit: AuditReport | None


def _look(config: DictConfig, labelled: LabelledImages) -> _Looked:
    """Build the backbone, audit all classes and split them, as far as that is possible."""
    from devise_exp.pipelines.class_audit import audit_config, verdict_kinds  # late: torch
    from devise_exp.pipelines.prepare import read_backbone

    split, failure, backbone, trouble, audit, verdicts = None, "", None, None, None, None
    try:
        backbone = read_backbone(config)
    except InputError as error:
        trouble = error
    if backbone is not None:
        audit = audit_config(config, labelled, backbone)
        verdicts = verdict_kinds(audit, labelled)
    try:
        if trouble is not None and draws_clean(config):
            raise trouble
        split = read_split(config, labelled, _takes_missing(config), verdicts).split
        require_classes(config, split)
    except InputError as error:
        failure = str(error)
    return _Looked(split=split, failure=failure, backbone=backbone, trouble=trouble, audit=audit)


def _announce_audit(split: Split, audit: AuditReport) -> None:
    """Warn of unseen classes that the pretraining knew, or may have known."""
    from devise_exp.pipelines.class_audit import announce_audit  # late: torch

    announce_audit(audit, [split.classes[c] for c in split.unseen])


def _require_clean(split: Split, audit: AuditReport) -> None:
    """Refuse what a training refuses."""
    from devise_exp.pipelines.class_audit import require_clean  # late: torch

    require_clean(split, audit.of(split.classes[c] for c in split.unseen))


def _report(config: DictConfig, labelled: LabelledImages, looked: _Looked, folder: Path) -> None:
    """Print and write the labels."""
    from devise_exp.pipelines.label_report import (  # late: torch
        confused_names,
        csv_table,
        label_lines,
        show_lines,
    )

    split = looked.split
    aliases = labels.as_names(config.labels.aliases)
    lines = label_lines(labelled, split, aliases, looked.audit)
    show_lines(lines, labelled, looked.failure or f"split {split.name if split else ''}")
    if confused := confused_names(labelled, split):
        warn(confused)
    write_text(folder / "labels.csv", to_csv(csv_table(lines)))
    notify(f"written to {folder / 'labels.csv'}")


def _write_sheet(
    labelled: LabelledImages, looked: _Looked, folder: Path, n: int, seed: int
) -> None:
    """Write the sheet, if the images and the backbone are there."""
    from devise_exp.pipelines.training_sheet import write_sheet  # late: torch

    if labelled.dataset.images is None:
        name = labelled.dataset.name
        notify(f"no images to show: those of {name} are not on this machine: data.root=...")
        return
    if looked.backbone is None:
        raise looked.trouble or InputError("no backbone")
    write_sheet(folder, labelled, looked.split, looked.backbone, n, seed)
