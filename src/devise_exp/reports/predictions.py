"""Predictions as a file that other programs read: predictions.csv, or predictions.parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path
from devise_exp.data.file_names import portable
from devise_exp.evaluation.predictions import PART_NAMES, Predictions
from devise_exp.runs import gallery_files
from devise_exp.runs.folder import RunFolder

FORMATS = ("csv", "parquet", "none")
COLUMNS = ("image", "path", "class", "part", "method", "protocol", "rank")
IMAGES_AT_ONCE = 1 << 14

Cells = dict[str, Any]  # column -> its values


@dataclass(frozen=True, eq=False)
class PartImages:
    """The images of one part of the split.

    Attributes:
        names: (N,) their row names.
        paths: Row name -> its file, of the images that are on a disk.
    """

    names: Sequence[str]
    paths: Mapping[str, str]


def images_of_run(run: RunFolder) -> dict[str, PartImages]:
    """List the evaluated images of a run, from its folder.

    Args:
        run: The run folder.

    Returns:
        Images by part: seen, unseen and train.
    """
    split = run.split()
    names = {"seen": split.test, "unseen": split.unseen, "train": split.train}
    paths: dict[str, str] = {}
    with suppress(InputError):  # a run whose gallery was removed
        rows = gallery_files.saved_rows(run.gallery).rows
        paths = {row.name: row.path for row in rows if row.path}
    return {part: PartImages(of_part, paths) for part, of_part in names.items()}


def check_format(form: str) -> None:
    """Check that a table of this format can be written, before anything is trained.

    Args:
        form: One of FORMATS.

    Raises:
        InputError: It needs a package that is not installed.
    """
    if form == "parquet" and find_spec("pyarrow") is None:
        raise InputError(
            "predictions.format=parquet needs pyarrow: pip install 'devise-exp[tables]', or take "
            "predictions.format=csv"
        )


def write_predictions(
    folder: Path,
    form: str,
    tables: Iterable[Predictions],
    images: Mapping[str, PartImages],
    labels: Sequence[str],
    k: int,
) -> Path | None:
    """Write predictions.FORM, a row for every image, method and protocol.

    Args:
        folder: Where the file goes.
        form: csv, parquet, or none: nothing is written.
        tables: The predictions.
        images: The images by part.
        labels: Names of the labels by id.
        k: The most labels of an image; there are columns for so many.

    Returns:
        The file; None if nothing is written.
    """
    if form == "none":
        return None
    check_format(form)
    blocks = (
        block for table in tables for block in blocks_of(table, images[table.part], labels, k)
    )
    path = folder / f"predictions.{form}"
    with atomic_path(path) as temporary:
        (_write_parquet if form == "parquet" else _write_csv)(temporary, blocks, columns_of(k))
    return path


def blocks_of(
    table: Predictions, images: PartImages, labels: Sequence[str], k: int
) -> Iterator[Cells]:
    """Write predictions as columns.

    Args:
        table: The predictions of one method in one protocol.
        images: The images of its part.
        labels: Names of the labels by id.
        k: The most labels of an image; there are two columns for each.

    Yields:
        The columns of at most IMAGES_AT_ONCE images, in the order of `columns_of`.
    """
    names = np.asarray(labels, dtype=object)
    for start in range(0, len(table.rows), IMAGES_AT_ONCE):
        part = slice(start, start + IMAGES_AT_ONCE)
        rows = [images.names[i] for i in table.rows[part].tolist()]
        n, empty = len(rows), [None] * len(rows)
        block: Cells = {
            "image": [portable(row) for row in rows],
            "path": [portable(images.paths.get(row, "")) or None for row in rows],
            "class": names[table.truth[part]].tolist(),
            "part": n * [PART_NAMES[table.part]],
            "method": n * [table.method],
            "protocol": n * [table.protocol],
            "rank": [rank or None for rank in table.ranks[part].tolist()],
        }
        for j in range(k):
            is_ranked = j < table.labels.shape[1]
            block[f"label_{j + 1}"] = names[table.labels[part, j]].tolist() if is_ranked else empty
            block[f"similarity_{j + 1}"] = table.similarities[part, j] if is_ranked else empty
        yield block


def columns_of(k: int) -> list[str]:
    """List the columns of the file.

    Args:
        k: The most labels of an image.

    Returns:
        The names of the columns.
    """
    ranked = ([f"label_{j}", f"similarity_{j}"] for j in range(1, k + 1))
    return [*COLUMNS, *chain.from_iterable(ranked)]


def _write_csv(path: Path, blocks: Iterable[Cells], columns: Sequence[str]) -> None:
    """Write blocks as they come."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for block in blocks:
            # As text a float32 has the fewest digits that tell it from its neighbours.
            cells = [v.astype(str) if isinstance(v, np.ndarray) else v for v in block.values()]
            writer.writerows(zip(*cells, strict=True))


def _write_parquet(path: Path, blocks: Iterable[Cells], columns: Sequence[str]) -> None:
    """Write blocks as row groups of one file."""
    import pyarrow as pa
    from pyarrow import parquet

    types = {"rank": pa.int32()} | {c: pa.float32() for c in columns if c.startswith("similarity_")}
    schema = pa.schema([(column, types.get(column, pa.string())) for column in columns])
    with parquet.ParquetWriter(path, schema) as writer:
        for block in blocks:
            writer.write_table(pa.table(dict(block), schema=schema))
