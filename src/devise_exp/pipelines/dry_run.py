"""Before anyone trains: what words the classes get, and what the network will see of pictures."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import torch
from rich.table import Table
from torchvision.transforms import functional as TF

from devise_exp.core.config import compose_config
from devise_exp.core.console import notify, print_content
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path
from devise_exp.data.splits import Split
from devise_exp.features.backbones.base import Augment, Backbone
from devise_exp.pipelines.prepare import LabelledImages, read_backbone, read_labelled, read_split
from devise_exp.reports import contact_sheet
from devise_exp.reports.contact_sheet import Tile
from devise_exp.text import labels
from devise_exp.text.labels import MAX_HINTED, RULES
from devise_exp.text.name_lookup import suggest_words


@dataclass(frozen=True)
class LabelLine:
    """One class of the report; side is seen or unseen, or "" where there is no split; near:
    spellings near a missing class's unknown words.
    """

    name: str
    side: str
    pictures: int
    words: str
    how: str
    near: str


def preview(overrides: Sequence[str], folder: Path, n: int = 24, seed: int = 0) -> None:
    """Print how each class of train.py's config with `overrides` gets its words, and write
    labels.csv and a contact sheet of `n` training pictures (pictures.png, pictures.html) into
    `folder`.

    Classes without a word vector, and a split that cannot be made, are part of the report. What
    else does not fit together is an InputError.
    """
    if n < 1:
        raise InputError(f"-n {n}: give a number of pictures from 1 on")
    config = compose_config(overrides)
    labelled = read_labelled(config, on_missing="drop")
    split, failure = None, ""
    try:
        split = read_split(config, labelled)
    except InputError as error:
        failure = str(error)
    lines = label_lines(labelled, split, config.labels.aliases)
    _show(lines, labelled, failure or f"split {split.name if split else ''}")
    _write(folder / "labels.csv", _csv(lines))
    notify(f"written to {folder / 'labels.csv'}")
    if labelled.dataset.images is None:
        notify(
            f"no pictures to show: those of {labelled.dataset.name} are not at hand: data.root=..."
        )
        return
    backbone = read_backbone(config)
    tiles = training_tiles(labelled, split, backbone, n, seed)
    which = "training pictures" if split else "pictures"
    title = f"{labelled.dataset.name}: {len(tiles)} {which} as {backbone.name} sees them"
    how = "augmented anew in every epoch" if backbone.trainable else "not augmented"
    with atomic_path(folder / "pictures.png") as made:
        contact_sheet.draw_sheet(tiles, title).save(made)
    _write(folder / "pictures.html", contact_sheet.sheet_html(tiles, title, f"backbone: {how}"))
    notify(f"written to {folder / 'pictures.html'} and pictures.png: {len(tiles)} {which}, {how}")


def label_lines(
    labelled: LabelledImages, split: Split | None, aliases: Mapping[str, str]
) -> list[LabelLine]:
    """The report, by how the words were found: what wants a look comes last."""
    pictures = np.bincount(labelled.class_ids, minlength=len(labelled.resolutions))
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
            r.name,
            sides.get(r.name, ""),
            int(pictures[i]),
            " ".join(r.words),
            r.rule,
            ", ".join(near.get(r.name, ())),
        )
        for i, r in enumerate(labelled.resolutions)
    ]
    return sorted(lines, key=lambda line: RULES.index(line.how))


def training_tiles(
    labelled: LabelledImages, split: Split | None, backbone: Backbone, n: int, seed: int
) -> list[Tile]:
    """`n` pictures of the training part (of all classes with words where there is no split), drawn
    and augmented by `seed`, as the network sees them but without its normalisation.
    """
    images = labelled.dataset.images
    assert images is not None
    class_ids, _ = labelled.with_word_vectors()
    rows = np.flatnonzero(class_ids >= 0) if split is None else split.train
    drawn = np.random.default_rng(seed).permutation(rows)[:n]
    plain = backbone.preprocess
    transform = Augment(plain) if backbone.trainable else plain
    mean, std = (torch.tensor(each)[:, None, None] for each in (plain.mean, plain.std))
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
    table = Table(box=None, pad_edge=False)
    for heading in ("class", "", "pictures", "words", "how", "near spellings"):
        table.add_column(heading, justify="right" if heading == "pictures" else "left")
    for line in lines:
        table.add_row(*(str(cell) for cell in astuple(line)))
    counts = {how: n for how, n in labels.count_rules(labelled.resolutions).items() if n}
    sides = [line.side for line in lines]
    parts = [
        f"{len(labelled.dataset.rows):,} pictures in {len(lines)} classes"
        f" ({sides.count('seen')} seen, {sides.count('unseen')} unseen)",
        f"word vectors {labelled.vocabulary.name}",
        ", ".join(f"{n} {how}" for how, n in counts.items()),
        f"{len(labelled.dataset.skipped)} skipped" if labelled.dataset.skipped else "",
        split,
    ]
    summary = " · ".join(part for part in parts if part)
    print_content(table, f"\n{summary}", markup=False)


def _csv(lines: Sequence[LabelLine]) -> str:
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("class", "side", "pictures", "words", "how", "near"))
    writer.writerows(astuple(line) for line in lines)
    return text.getvalue()


def _write(file: Path, content: str) -> None:
    with atomic_path(file) as made:
        made.write_text(content, encoding="utf-8", newline="")
