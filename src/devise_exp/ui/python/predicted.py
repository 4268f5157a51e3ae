"""The predictions of a run: every evaluated image with the labels that the model gives it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from devise_exp.core.errors import InputError
from devise_exp.evaluation.predictions import Predictions, predictions
from devise_exp.pipelines.predicted import class_names
from devise_exp.pipelines.score import protocols_of
from devise_exp.reports.contact_sheet import Tile, shortened
from devise_exp.reports.predictions import COLUMNS, PartImages, blocks_of, columns_of, images_of_run
from devise_exp.reports.tables import Column, Table, left, right
from devise_exp.runs.folder import RunFolder
from devise_exp.ui.python.image_grid import MAX_IMAGES, image_grid
from devise_exp.ui.python.results import Results
from devise_exp.ui.python.tables import ShownTable

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = (
    *left("image", "class", "part", "method", "protocol"),
    *right("rank"),
    *left("labels"),
)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a method says of one image in one protocol.

    Attributes:
        image: Its row name.
        path: Its file, "" if the image is not on disk.
        class_name: Its true class.
        part: test, unseen or train.
        method: Name of the method.
        protocol: Such as "unseen": which labels compete.
        rank: The rank of the true class, from 1; None if it was not among those ranked.
        labels: The nearest labels, best first.
        similarities: What ranks them.
    """

    image: str
    path: str
    class_name: str
    part: str
    method: str
    protocol: str
    rank: int | None
    labels: tuple[str, ...]
    similarities: tuple[float, ...]

    @property
    def right(self) -> bool:
        """Whether the first label is the true class."""
        return self.rank == 1


class RunPredictions(Results[Prediction]):
    """Predictions, with the columns of predictions.csv; a notebook shows a sample as a grid.

    Args:
        records: The predictions.
        k: The most labels of an image.
    """

    def __init__(self, records: list[Prediction], k: int) -> None:
        n_right = sum(record.right for record in records)
        title = f"{len(records):,} predictions, {n_right:,} right"
        super().__init__(records, Prediction, title)
        self.k = k

    def table(self) -> ShownTable:
        """Make the table of the predictions.

        Returns:
            The columns of predictions.csv.
        """
        names, rows = columns_of(self.k), []
        for record in self.records:
            pairs = zip(record.labels, record.similarities, strict=True)
            head = (record.image, record.path, record.class_name, record.part, record.method)
            cells = [cell for pair in pairs for cell in pair]
            rows.append((*head, record.protocol, record.rank, *cells))
        shown = tuple(map(_shown, self.records))
        return ShownTable(
            Table(columns=_SHOWN, rows=shown, title=self.title),
            Table(columns=tuple(map(Column, names)), rows=tuple(rows)),
        )

    def to_pandas(self) -> pd.DataFrame:
        """Make a pandas table.

        Returns:
            The columns of predictions.csv; `rank` is missing where the class was not ranked.

        Raises:
            InputError: If pandas is not installed.
        """
        frame = self.table().to_pandas()
        return frame.astype({"rank": "Int64"})

    def _repr_html_(self) -> str:
        # Of one protocol, evenly spread.
        first = [r for r in self.records if r.protocol == self.records[0].protocol]
        step = max(1, -(-len(first) // MAX_IMAGES))
        tiles = [
            Tile(
                Path(record.path) if record.path else None,
                record.labels[0] if record.labels else "",
                "" if record.right else f"is {record.class_name}",
                record.right,
            )
            for record in first[::step]
        ]
        note = f"of {self.records[0].protocol}: {len(tiles)} of {len(first):,}" if first else ""
        return image_grid(tiles, self.title, f"{note}; to_pandas() has all" if note else "")


def _shown(record: Prediction) -> tuple[str | int | None, ...]:
    """A prediction as a person reads it."""
    pairs = zip(record.labels, record.similarities, strict=True)
    labels = ", ".join(f"{label} {similarity:.3f}" for label, similarity in pairs)
    head = (shortened(record.image, 40), record.class_name, record.part, record.method)
    return (*head, record.protocol, record.rank, shortened(labels, 100))


def run_predictions(
    run: RunFolder, k: int, protocol: str | None, methods: bool, max_images: int | None
) -> RunPredictions:
    """Take the predictions of a run from its stored embeddings and rankings.

    Args:
        run: The run folder.
        k: Number of labels of an image, or all of fewer.
        protocol: One protocol; None for all.
        methods: Those of other methods too, not of the trained model alone.
        max_images: The most images of a part, evenly spread; None for all.

    Returns:
        The predictions, method by method, protocol by protocol.

    Raises:
        InputError: For a wrong k or protocol, or a damaged run folder.
    """
    if k < 1:
        raise InputError(f"k is {k}: give a number of labels from 1")
    outputs = run.embeddings()
    neighbours = run.neighbours()
    protocols = protocols_of(run, outputs, train="train" in outputs[0].parts)
    protocols = tuple(p for p in protocols if p.name in neighbours)
    if protocol is not None:
        names = [p.name for p in protocols]
        protocols = tuple(p for p in protocols if p.name == protocol)
        if not protocols:
            raise InputError(f"protocol {protocol!r}: choose among {', '.join(names)}")
    models = outputs if methods else outputs[:1]
    images, labels = images_of_run(run), class_names(run)
    tables = predictions(models, protocols, neighbours, k, max_images)
    records = [r for table in tables for r in _records(table, images[table.part], labels, k)]
    return RunPredictions(records, k)


def _records(
    table: Predictions, images: PartImages, labels: list[str], k: int
) -> Iterator[Prediction]:
    n = len(COLUMNS)
    for block in blocks_of(table, images, labels, k):
        for cells in zip(*block.values(), strict=True):
            image, path, class_name, part, method, protocol, rank = cells[:n]
            named = [i for i in range(n, len(cells), 2) if cells[i] is not None]
            yield Prediction(
                image=image,
                path=path or "",
                class_name=class_name,
                part=part,
                method=method,
                protocol=protocol,
                rank=rank,
                labels=tuple(cells[i] for i in named),
                similarities=tuple(float(cells[i + 1]) for i in named),
            )
