"""Answers of a run: records in order, which show themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from PIL.Image import Image

from devise_exp.core.console import printable
from devise_exp.reports.contact_sheet import Tile, shortened
from devise_exp.reports.tables import Column, Table
from devise_exp.ui.python.image_grid import MAX_IMAGES, image_grid
from devise_exp.ui.python.tables import ShownTable

if TYPE_CHECKING:
    import pandas as pd

    from devise_exp.search.answers import Answer

Record = TypeVar("Record")
_LONGEST_CELL = 100  # characters


@dataclass(frozen=True, kw_only=True)
class ImageHit:
    """An image that a search has found.

    Attributes:
        rank: 1 is the nearest.
        image: Its row name.
        label: Its class, "" if unknown.
        similarity: Its cosine with the query.
        part: val, test or unseen of a run, "" in the gallery of a folder.
        path: Its file, "" if the image is not on disk.
    """

    rank: int
    image: str
    label: str
    similarity: float
    part: str
    path: str


@dataclass(frozen=True, kw_only=True)
class ImageLabel:
    """A label or a word for an image.

    Attributes:
        image: The image: its file, or its number among images in memory.
        rank: 1 is the nearest.
        label: The class or the word.
        similarity: What ranks it: the cosine, that of a seen label lowered by gamma.
        kind: seen or unseen, "" for a word.
        none_of_the_labels: Whether the best cosine of the image is under the run's threshold, so
            that it is of none of the labels; None where there is no threshold.
    """

    image: str
    rank: int
    label: str
    similarity: float
    kind: str
    none_of_the_labels: bool | None = None


@dataclass(frozen=True, kw_only=True)
class NearWord:
    """A word of the vocabulary near to a text.

    Attributes:
        rank: 1 is the nearest.
        word: The word.
        similarity: Its cosine.
    """

    rank: int
    word: str
    similarity: float


class Results(Sequence[Record], Generic[Record]):
    """Records in order; a notebook shows them as a table, `to_pandas` gives a pandas table.

    Args:
        records: Records of one dataclass.
        kind: That dataclass, for the columns of an empty result.
        title: A line above the table.
        note: A line below the table, "" for none.
    """

    def __init__(
        self, records: Sequence[Record], kind: type[Record], title: str, note: str = ""
    ) -> None:
        self.records, self.kind = tuple(records), kind
        self.title, self.note = title, note

    def __len__(self) -> int:
        return len(self.records)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Record, ...]: ...
    def __getitem__(self, index: int | slice) -> Record | tuple[Record, ...]:
        return self.records[index]

    def table(self) -> ShownTable:
        """Make the table of the records.

        Returns:
            A row for each record, a column for each of its fields.
        """
        names = [field.name for field in fields(self.kind)]  # type: ignore[arg-type]
        rows = tuple(tuple(getattr(record, name) for name in names) for record in self.records)
        numbers = {i for row in rows[:1] for i, v in enumerate(row) if isinstance(v, int | float)}
        aligned = ("right" if i in numbers else "left" for i in range(len(names)))
        columns = tuple(Column(n, a) for n, a in zip(names, aligned, strict=True))  # type: ignore[arg-type]
        shown = tuple(tuple(map(_rounded, row)) for row in rows)
        return ShownTable(
            Table(columns=columns, rows=shown, title=printable(self.title), note=self.note),
            Table(columns=columns, rows=rows),
        )

    def to_pandas(self) -> pd.DataFrame:
        """Make a pandas table.

        Returns:
            A row for each record, a column for each of its fields.

        Raises:
            InputError: If pandas is not installed.
        """
        return self.table().to_pandas()

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


class FoundImages(Results[ImageHit]):
    """Images that a search has found, nearest first; a notebook shows them in a grid.

    Args:
        records: The images.
        title: The query as it was understood.
        note: A line below, "" for none.
        of_class: Class that the query names; images of it get a green border, others a red one.
    """

    def __init__(
        self, records: Sequence[ImageHit], title: str, note: str = "", of_class: str | None = None
    ) -> None:
        super().__init__(records, ImageHit, title, note)
        self.of_class = of_class

    def _repr_html_(self) -> str:
        tiles = [
            Tile(
                Path(hit.path) if hit.path else None,
                hit.label or hit.image,
                f"{hit.similarity:.3f}  {shortened(hit.image, 20) if hit.label else ''}",
                hit.label == self.of_class if self.of_class and hit.label else None,
            )
            for hit in self.records
        ]
        return image_grid(tiles, self.title, self.note)


class ImageLabels(Results[ImageLabel]):
    """Labels for images, the best first, the images in the order that they were given in.

    Args:
        records: The labels of all images.
        images: What each image is shown by: its file, or the image itself.
        note: A line below, "" for none.
    """

    def __init__(
        self, records: Sequence[ImageLabel], images: dict[str, Path | Image], note: str = ""
    ) -> None:
        n = len(images)
        title = f"labels of {next(iter(images))}" if n == 1 else f"labels of {n:,} images"
        super().__init__(records, ImageLabel, title, note)
        self.images = images

    @property
    def best(self) -> dict[str, str]:
        """The first label of every image."""
        return {record.image: record.label for record in self.records if record.rank == 1}

    @property
    def unknown(self) -> tuple[str, ...] | None:
        """The images that are of none of the labels, by the run's threshold; None without one."""
        if all(record.none_of_the_labels is None for record in self.records):
            return None
        return tuple(r.image for r in self.records if r.rank == 1 and r.none_of_the_labels)

    def _repr_html_(self) -> str:
        unknown = set(self.unknown or ())
        lines = {name: ["none of the labels"] * (name in unknown) for name in self.images}
        for record in self.records:
            line = f"{record.similarity:.3f} {shortened(record.label, 18)}"
            lines[record.image].append(line + " *" * (record.kind == "unseen"))
        tiles = [
            Tile(image if i < MAX_IMAGES else None, name, "\n".join(lines[name][:10]))
            for i, (name, image) in enumerate(self.images.items())
        ]
        notes = ["* unseen"] if any(record.kind == "unseen" for record in self.records) else []
        return image_grid(tiles, self.title, "; ".join([*notes, *filter(None, [self.note])]))


def found_images(answer: Answer, note: str = "") -> FoundImages:
    """Show the images of an answer.

    Args:
        answer: The answer.
        note: A line below, "" for none.

    Returns:
        The images, nearest first.
    """
    records = [
        ImageHit(
            rank=rank,
            image=hit.row.name,
            label=hit.row.label,
            similarity=hit.similarity,
            part=hit.row.part,
            path=hit.row.path if hit.row.path and Path(hit.row.path).is_file() else "",
        )
        for rank, hit in enumerate(answer.hits, start=1)
    ]
    nearest = f"nearest {len(records)} of {answer.n:,} images ({answer.gallery})"
    absent = sum(not record.path for record in records)
    away = f"{absent} of these images are not on disk: image_root=FOLDER says where they are"
    notes = [*([away] if absent else []), *filter(None, [note])]
    return FoundImages(records, f"{answer.reading}: {nearest}", "; ".join(notes), answer.of_class)


def _rounded(value: Any) -> Any:
    """A value as a person reads it."""
    if isinstance(value, float):
        return f"{value:.3f}"
    return shortened(value, _LONGEST_CELL) if isinstance(value, str) else value
