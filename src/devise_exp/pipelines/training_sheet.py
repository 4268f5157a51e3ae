"""A sheet of training images as the network sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torchvision.transforms import functional as TF

from devise_exp.core.console import notify
from devise_exp.core.files import atomic_path, write_text
from devise_exp.data.splits import Split
from devise_exp.features.backbones.base import Augment, Backbone
from devise_exp.pipelines.labelled import LabelledImages
from devise_exp.reports import contact_sheet
from devise_exp.reports.contact_sheet import Tile


def write_sheet(
    folder: Path,
    labelled: LabelledImages,
    split: Split | None,
    backbone: Backbone,
    n: int,
    seed: int,
) -> None:
    """Write pictures.png and pictures.html.

    Args:
        folder: Where the files go.
        labelled: Images and the words of their classes.
        split: Its training rows are drawn from; None: all classes with words.
        backbone: Preprocesses and, if it is trained, augments.
        n: How many images.
        seed: Draws and augments them.
    """
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
