"""The hardest confusions of a run, with images if these are on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from devise_exp.core.console import printable
from devise_exp.core.errors import InputError
from devise_exp.data.decoding import open_image
from devise_exp.reports.inline_images import data_uri
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.gallery import GalleryRow
from devise_exp.runs.gallery_files import ROWS, saved_rows

SIDE = 96  # pixels, the longer side of an image in the page
EXAMPLES = 3  # wrongly answered images beside each confusion
PAIRS = 8
SHOWN_CONFUSIONS = ("unseen", "calibrated_unseen", "all_unseen", "seen")


def confusions(
    folder: RunFolder, by_protocol: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """List the commonest wrong first answers, with images of both classes.

    Args:
        folder: The run, whose gallery says where its images are.
        by_protocol: The entry "confusions" of diagnostics.json.

    Returns:
        An entry for each protocol that has any; "wrong" and "right" of its pairs are images for
        the page, none if they are not on disk.
    """
    examples = _Examples(folder)
    shown = []
    for protocol in (p for p in SHOWN_CONFUSIONS if p in by_protocol and by_protocol[p]["pairs"]):
        pairs = [
            {
                **pair,
                "wrong": examples.wrong(protocol, pair["true"], pair["answer"]),
                "right": examples.of_class(pair["answer"]),
            }
            for pair in by_protocol[protocol]["pairs"][:PAIRS]
        ]
        shown.append({**by_protocol[protocol], "protocol": protocol, "pairs": pairs})
    return shown


class _Examples:
    """Images of a run's gallery as data for a page; none if they are not on disk."""

    def __init__(self, folder: RunFolder) -> None:
        self.rows: tuple[GalleryRow, ...] = ()
        if (folder.gallery / ROWS).is_file():
            self.rows = saved_rows(folder.gallery).rows
        usable = (folder.path / "neighbours.npz").is_file() and any(row.path for row in self.rows)
        self.neighbours: dict[str, np.ndarray] = folder.arrays("neighbours") if usable else {}
        self.ids = {record.name: i for i, record in enumerate(folder.classes())} if usable else {}

    def wrong(self, protocol: str, true: str, answer: str) -> list[dict[str, str]]:
        """List images of the class `true` whose first label is `answer`."""
        part = "unseen" if protocol.endswith("unseen") else "test"
        rows = [row for row in self.rows if row.part == part]
        neighbours = self.neighbours.get(protocol)
        if neighbours is None or len(neighbours) != len(
            rows
        ):  # rows and neighbours are in the same order
            return []
        matches = neighbours[:, 0] == self.ids.get(answer, -1)
        chosen = [
            row for row, match in zip(rows, matches, strict=True) if match and row.label == true
        ]
        return _images(chosen, EXAMPLES)

    def of_class(self, name: str) -> list[dict[str, str]]:
        """List one image of the class."""
        return _images([row for row in self.rows if row.label == name], 1)


def _images(rows: Sequence[GalleryRow], limit: int) -> list[dict[str, str]]:
    """Open the first of these images, as small ones for the page."""
    entries: list[dict[str, str]] = []
    for row in rows[: 3 * limit]:
        if row.path is None or len(entries) == limit:
            continue
        try:
            image = open_image(Path(row.path))
        except InputError:  # it is not there any more
            continue
        image.thumbnail((SIDE, SIDE))
        entries.append({"source": data_uri(image, quality=80), "name": printable(row.name)})
    return entries
