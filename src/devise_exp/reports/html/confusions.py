"""The hardest confusions of a run, with pictures where these are on disk."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from devise_exp.core.console import printable
from devise_exp.core.errors import InputError
from devise_exp.data.images import open_image
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.gallery import ROWS, GalleryRow, saved_rows

SIDE = 96  # pixels, the longer side of a picture in the page
EXAMPLES = 3  # wrongly answered pictures beside each confusion
PAIRS = 8
SHOWN_CONFUSIONS = ("unseen", "calibrated_unseen", "all_unseen", "seen")


def confusions(folder: RunFolder, found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The commonest wrong first answers by protocol, with pictures where these are on disk."""
    examples = _Examples(folder)
    shown = []
    for protocol in (p for p in SHOWN_CONFUSIONS if p in found and found[p]["pairs"]):
        pairs = [
            {
                **pair,
                "wrong": examples.wrong(protocol, pair["true"], pair["answer"]),
                "right": examples.of_class(pair["answer"]),
            }
            for pair in found[protocol]["pairs"][:PAIRS]
        ]
        shown.append({**found[protocol], "protocol": protocol, "pairs": pairs})
    return shown


class _Examples:
    """Pictures of a run's gallery as data for a page; none where they are not on disk."""

    def __init__(self, folder: RunFolder) -> None:
        self.rows: tuple[GalleryRow, ...] = ()
        if (folder.gallery / ROWS).is_file():
            self.rows = saved_rows(folder.gallery).rows
        known = (folder.path / "neighbours.npz").is_file() and any(row.path for row in self.rows)
        self.neighbours: dict[str, np.ndarray] = folder.arrays("neighbours") if known else {}
        self.ids = {entry["name"]: i for i, entry in enumerate(folder.classes())} if known else {}

    def wrong(self, protocol: str, true: str, answer: str) -> list[dict[str, str]]:
        """Pictures of the class `true` whose first label is `answer`."""
        part = "unseen" if protocol.endswith("unseen") else "test"
        rows = [row for row in self.rows if row.part == part]
        found = self.neighbours.get(protocol)
        if found is None or len(found) != len(rows):  # rows and neighbours are in the same order
            return []
        first = found[:, 0] == self.ids.get(answer, -1)
        chosen = [row for row, own in zip(rows, first, strict=True) if own and row.label == true]
        return _pictures(chosen, EXAMPLES)

    def of_class(self, name: str) -> list[dict[str, str]]:
        return _pictures([row for row in self.rows if row.label == name], 1)


def _pictures(rows: Sequence[GalleryRow], most: int) -> list[dict[str, str]]:
    """The first of these that can be opened."""
    found: list[dict[str, str]] = []
    for row in rows[: 3 * most]:
        if row.path is None or len(found) == most:
            continue
        try:
            image = open_image(Path(row.path))
        except InputError:  # it is not there any more
            continue
        found.append({"source": _data_uri(image), "name": printable(row.name)})
    return found


def _data_uri(image: Image.Image) -> str:
    image.thumbnail((SIDE, SIDE))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
