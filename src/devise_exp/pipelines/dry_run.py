"""A look at the data before a training: words of the classes, images as the network sees them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torchvision.transforms import functional as TF

from devise_exp.core.config import compose_config
from devise_exp.core.console import notify, warn
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path, write_text
from devise_exp.data.splits import Split
from devise_exp.features.backbones.base import Augment, Backbone
from devise_exp.pipelines.experiment_data import LabelledImages
from devise_exp.pipelines.label_report import csv_table, label_lines, show_lines
from devise_exp.pipelines.prepare import read_backbone, read_labelled, read_split
from devise_exp.pipelines.settings import read_settings
from devise_exp.reports import contact_sheet
from devise_exp.reports.contact_sheet import Tile
from devise_exp.reports.tables import to_csv
from devise_exp.text import labels


def preview(overrides: Sequence[str], folder: Path, n: int = 24, seed: int = 0) -> None:
    """Print how each class gets its words; write labels.csv and a sheet of training images.

    Classes without a word vector, and a split that cannot be made, are part of the report.

    Args:
        overrides: Of train.py's config.
        folder: Where labels.csv, pictures.png and pictures.html go.
        n: How many images the sheet shows.
        seed: Draws and augments them.

    Raises:
        InputError: If anything else does not fit together.
    """
    if n < 1:
        raise InputError(f"-n {n}: give a number of images from 1 on")
    config = compose_config(overrides)
    read_settings(config)
    labelled = read_labelled(config, config.labels.on_missing, strict=False)
    split, failure = None, ""
    try:
        split = read_split(config, labelled).split
    except InputError as error:
        failure = str(error)
    for remark in (*labelled.dataset.remarks, *(split.remarks if split else ())):
        warn(remark)
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
    _write_sheet(folder, labelled, split, backbone, n, seed)


def _write_sheet(
    folder: Path,
    labelled: LabelledImages,
    split: Split | None,
    backbone: Backbone,
    n: int,
    seed: int,
) -> None:
    """Write pictures.png and pictures.html."""
    tiles = training_tiles(labelled, split, backbone, n, seed)
    which = "training images" if split else "images"
    title = f"{labelled.dataset.name}: {len(tiles)} {which} as {backbone.name} sees them"
    augmented = "augmented anew in every epoch" if backbone.trainable else "not augmented"
    with atomic_path(folder / "pictures.png") as path:
        contact_sheet.draw_sheet(tiles, title).save(path)
    page = contact_sheet.sheet_html(tiles, title, f"backbone: {augmented}")
    write_text(folder / "pictures.html", page)
    notify(
        f"written to {folder / 'pictures.html'} and pictures.png: {len(tiles)} {which}, {augmented}"
    )


def training_tiles(
    labelled: LabelledImages, split: Split | None, backbone: Backbone, n: int, seed: int
) -> list[Tile]:
    """Draw training images as the network sees them, but without its normalisation.

    Args:
        labelled: Images and the words of their classes.
        split: Its training rows are drawn from; None: all classes with words.
        backbone: Preprocesses and, if it is trained, augments.
        n: How many images.
        seed: Draws and augments them.

    Returns:
        The images with class name and words.
    """
    images = labelled.dataset.images
    assert images is not None
    class_ids, _ = labelled.with_word_vectors()
    rows = np.flatnonzero(class_ids >= 0) if split is None else split.train
    drawn = np.random.default_rng(seed).permutation(rows)[:n]
    plain = backbone.preprocess
    transform = Augment(plain) if backbone.trainable else plain
    mean, std = (torch.tensor(values)[:, None, None] for values in (plain.mean, plain.std))
    tiles = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for row in drawn:
            pixels = transform(images[row]) * std + mean  # (3, crop, crop)
            resolution = labelled.resolutions[labelled.class_ids[row]]
            words = " ".join(resolution.words)
            tiles.append(Tile(TF.to_pil_image(pixels.clamp(0, 1)), resolution.name, words))
    return tiles
