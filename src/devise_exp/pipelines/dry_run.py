"""A look at the data before a training: words of the classes, images as the network sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import torch
from torchvision.transforms import functional as TF

from devise_exp.core.config import compose_config
from devise_exp.core.console import notify, print_content, printable, warn
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path, write_text
from devise_exp.data.splits import Split
from devise_exp.features.backbones.base import Augment, Backbone
from devise_exp.pipelines.experiment_data import LabelledImages
from devise_exp.pipelines.prepare import read_backbone, read_labelled, read_split
from devise_exp.pipelines.settings import read_settings
from devise_exp.reports import contact_sheet
from devise_exp.reports.contact_sheet import Tile
from devise_exp.reports.table_views import to_rich
from devise_exp.reports.tables import Column, Table, to_csv
from devise_exp.text import labels
from devise_exp.text.labels import RULES
from devise_exp.text.missing_words import MAX_HINTED
from devise_exp.text.name_lookup import suggest_words


@dataclass(frozen=True, kw_only=True)
class LabelLine:
    """One class of the report.

    Attributes:
        name: Of the class.
        side: seen or unseen; "" without a split.
        images: How many it has.
        words: Its words in the vocabulary.
        rule: How the words were chosen.
        near: Spellings near the unknown words of a missing class.
    """

    name: str
    side: str
    images: int
    words: str
    rule: str
    near: str


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
        split = read_split(config, labelled)
    except InputError as error:
        failure = str(error)
    for remark in (*labelled.dataset.remarks, *(split.remarks if split else ())):
        warn(remark)
    lines = label_lines(labelled, split, labels.as_names(config.labels.aliases))
    _show(lines, labelled, failure or f"split {split.name if split else ''}")
    headings = ("class", "side", "pictures", "words", "how", "near")
    table = Table(columns=tuple(map(Column, headings)), rows=tuple(map(astuple, lines)))
    write_text(folder / "labels.csv", to_csv(table))
    notify(f"written to {folder / 'labels.csv'}")
    if labelled.dataset.images is None:
        name = labelled.dataset.name
        notify(f"no images to show: those of {name} are not on this machine: data.root=...")
        return
    _write_sheet(folder, labelled, split, read_backbone(config), n, seed)


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


def label_lines(
    labelled: LabelledImages, split: Split | None, aliases: Mapping[str, str]
) -> list[LabelLine]:
    """Report the classes.

    Args:
        labelled: Images and the words of their classes.
        split: Seen and unseen classes, if they could be split.
        aliases: Class -> the words to take for it.

    Returns:
        A line for each class, by rule; what needs attention comes last.
    """
    counts = np.bincount(labelled.class_ids, minlength=len(labelled.resolutions))
    sides: dict[str, str] = {}
    if split is not None:
        sides |= {split.classes[i]: "seen" for i in split.seen}
        sides |= {split.classes[i]: "unseen" for i in split.unseen}
    missing = [r.name for r in labelled.resolutions if r.rule == "missing"]
    near = {
        name: suggest_words(aliases.get(name, name), labelled.vocabulary)
        for name in missing[:MAX_HINTED]
    }
    lines = [
        LabelLine(
            name=r.name,
            side=sides.get(r.name, ""),
            images=int(counts[i]),
            words=" ".join(r.words),
            rule=r.rule,
            near=", ".join(near.get(r.name, ())),
        )
        for i, r in enumerate(labelled.resolutions)
    ]
    return sorted(lines, key=lambda line: RULES.index(line.rule))


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


def _show(lines: Sequence[LabelLine], labelled: LabelledImages, split: str) -> None:
    names = map(Column, ("words", "rule", "near spellings"))
    columns = (Column("class"), Column(""), Column("images", "right"), *names)
    table = Table(columns=columns, rows=tuple(map(astuple, lines)))
    counts = {rule: n for rule, n in labels.count_rules(labelled.resolutions).items() if n}
    sides = [line.side for line in lines]
    parts = [
        f"{len(labelled.dataset.rows):,} images in {len(lines)} classes"
        f" ({sides.count('seen')} seen, {sides.count('unseen')} unseen)",
        f"word vectors {labelled.vocabulary.name}",
        ", ".join(f"{n} {rule}" for rule, n in counts.items()),
        f"{len(labelled.dataset.skipped)} skipped" if labelled.dataset.skipped else "",
        split,
    ]
    summary = " · ".join(part for part in parts if part)
    print_content(to_rich(table), f"\n{printable(summary)}")
