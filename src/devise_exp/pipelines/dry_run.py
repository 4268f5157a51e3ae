"""A look at the data before a training: words of the classes, images as the network sees them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from devise_exp.core.config import compose_config
from devise_exp.core.console import notify, warn
from devise_exp.core.errors import InputError
from devise_exp.core.files import write_text
from devise_exp.data.splits import Split
from devise_exp.pipelines.few_classes import require_classes
from devise_exp.pipelines.labelled import LabelledImages, read_labelled, read_split
from devise_exp.pipelines.settings import read_settings
from devise_exp.reports.tables import to_csv
from devise_exp.text import labels


def preview(
    overrides: Sequence[str],
    folder: Path,
    n: int = 24,
    seed: int = 0,
    more: Path | None = None,
) -> None:
    """Print how each class gets its words; write labels.csv and a sheet of training images.

    Classes without a word vector, and a split that cannot be made, are part of the report.

    Args:
        overrides: Of train.py's config.
        folder: Where labels.csv, pictures.png and pictures.html go.
        n: How many images the sheet shows.
        seed: Draws and augments them.
        more: A folder with further options, GROUP/NAME.yaml.

    Raises:
        InputError: If anything else does not fit together.
    """
    if n < 1:
        raise InputError(f"-n {n}: give a number of images from 1 on")
    config = compose_config(overrides, more=more)
    read_settings(config)
    labelled = read_labelled(config, config.labels.on_missing, strict=False)
    split, failure = None, ""
    with_missing = config.labels.on_missing == "error"
    try:
        # A class without a word stops a training; what mends that must not deal the classes anew.
        split = read_split(config, labelled, with_missing=with_missing).split
        require_classes(config, split)
    except InputError as error:
        failure = str(error)
    for remark in (*labelled.dataset.remarks, *(split.remarks if split else ())):
        warn(remark)
    _report(config, labelled, split, failure, folder, n, seed)


def _report(
    config: DictConfig,
    labelled: LabelledImages,
    split: Split | None,
    failure: str,
    folder: Path,
    n: int,
    seed: int,
) -> None:
    """Print and write the labels, and write the sheet; `failure` says why there is no split."""
    from devise_exp.pipelines.label_report import csv_table, label_lines, show_lines  # late: torch
    from devise_exp.pipelines.prepare import read_backbone
    from devise_exp.pipelines.training_sheet import write_sheet

    backbone, trouble = None, None
    try:
        backbone = read_backbone(config)
    except InputError as error:
        trouble = error
    lines = label_lines(labelled, split, labels.as_names(config.labels.aliases), backbone)
    show_lines(lines, labelled, failure or f"split {split.name if split else ''}")
    write_text(folder / "labels.csv", to_csv(csv_table(lines)))
    notify(f"written to {folder / 'labels.csv'}")
    if labelled.dataset.images is None:
        name = labelled.dataset.name
        notify(f"no images to show: those of {name} are not on this machine: data.root=...")
        return
    if backbone is None:
        raise trouble or InputError("no backbone")
    write_sheet(folder, labelled, split, backbone, n, seed)
