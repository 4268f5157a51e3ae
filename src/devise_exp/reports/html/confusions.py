"""The hardest confusions of a run, with images if these are on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from devise_exp.core.console import printable
from devise_exp.core.errors import InputError
from devise_exp.data.decoding import open_image
from devise_exp.reports.inline_images import data_uri
from devise_exp.reports.tables import Table, left, right
from devise_exp.reports.titles import protocol_title
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.gallery import GalleryRow
from devise_exp.runs.gallery_files import ROWS, saved_rows

SIDE = 96  # pixels, the longer side of an image in the page
EXAMPLES = 3  # wrongly answered images beside each confusion
PAIRS = 8
_IMAGE = Markup('<img src="{}" alt="{}" title="{}">')
_IMAGES = Markup('<div class="images">{}</div>')
SHOWN_CONFUSIONS = ("calibrated_unseen", "unseen", "all_unseen", "seen")


def confusions(folder: RunFolder, by_protocol: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """Make the tables of the commonest wrong first answers, with images of both classes.

    Args:
        folder: The run, whose gallery says where its images are.
        by_protocol: The entry "confusions" of diagnostics.json.

    Returns:
        A table for each protocol that has any; without images if these are not on disk.
    """
    examples = _Examples(folder)
    return [
        _table(examples, protocol, by_protocol[protocol])
        for protocol in SHOWN_CONFUSIONS
        if protocol in by_protocol and by_protocol[protocol]["pairs"]
    ]


def _table(examples: _Examples, protocol: str, content: Mapping[str, Any]) -> Table:
    """Make the table of one protocol."""
    title = protocol_title(protocol)
    if content["median_neighbour"] is not None:
        title += (
            f": the median place of a wrong answer is {content['median_neighbour']:.0f} "
            f"(at random {content['expected_neighbour']:.0f})"
        )
    pairs = content["pairs"][:PAIRS]
    wrong = [examples.wrong(protocol, pair["true"], pair["answer"]) for pair in pairs]
    imaged = any(wrong)
    rows = []
    for pair, images in zip(pairs, wrong, strict=True):
        row = [pair["true"], *([images] if imaged else []), pair["answer"]]
        row += [examples.of_class(pair["answer"])] if imaged else []
        row += [f"{pair['count']:,}", f"{100 * pair['share']:.0f} %", f"{pair['cosine']:.2f}"]
        rows.append((*row, pair["neighbour"]))
    heads = ["true", *(["images answered so"] if imaged else []), "answer"]
    heads += ["one of the answer's"] if imaged else []
    numbers = right("images", "of the class", "cosine of words", "place")
    return Table(columns=(*left(*heads), *numbers), rows=tuple(rows), title=title)


class _Examples:
    """Images of a run's gallery as data for a page; none if they are not on disk."""

    def __init__(self, folder: RunFolder) -> None:
        self.rows: Sequence[GalleryRow] = ()
        if (folder.gallery / ROWS).is_file():
            self.rows = saved_rows(folder.gallery).rows
        usable = (folder.path / "neighbours.npz").is_file() and any(row.path for row in self.rows)
        self.neighbours: dict[str, np.ndarray] = folder.neighbours() if usable else {}
        self.ids = {record.name: i for i, record in enumerate(folder.classes())} if usable else {}

    def wrong(self, protocol: str, true: str, answer: str) -> Markup:
        """Show images of the class `true` whose first label is `answer`."""
        part = "unseen" if protocol.endswith("unseen") else "test"
        rows = [row for row in self.rows if row.part == part]
        neighbours = self.neighbours.get(protocol)
        if neighbours is None or len(neighbours) != len(rows):  # else in the same order
            return Markup("")
        matches = neighbours[:, 0] == self.ids.get(answer, -1)
        chosen = [
            row for row, match in zip(rows, matches, strict=True) if match and row.label == true
        ]
        return _images(chosen, EXAMPLES)

    def of_class(self, name: str) -> Markup:
        """Show one image of the class."""
        return _images([row for row in self.rows if row.label == name], 1)


def _images(rows: Sequence[GalleryRow], limit: int) -> Markup:
    """Show the first of these images, small; "" if none is there."""
    images: list[Markup] = []
    for row in rows[: 3 * limit]:
        if row.path is None or len(images) == limit:
            continue
        try:
            image = open_image(Path(row.path))
        except InputError:  # it is not there any more
            continue
        image.thumbnail((SIDE, SIDE))
        name = printable(row.name)
        images.append(_IMAGE.format(data_uri(image, quality=80), name, name))
    return (
        Markup('<div class="images">{}</div>').format(Markup().join(images)) if images else Markup()
    )
