"""Tables of image paths and labels as a dataset, with parts and groups if they have columns."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.data.column_names import GROUP, IMAGE, LABEL, SPLIT, find_column, need_column
from devise_exp.data.dataset import ImageDataset, ImageEntry, dataset_from_images
from devise_exp.data.decoding import MAX_PIXELS
from devise_exp.data.label_names import LabelNames, label_text, read_label_names
from devise_exp.data.layout_advice import PartOption
from devise_exp.data.listed_files import file_of, is_address, row_names
from devise_exp.data.part_columns import PartValues, check_parts_option
from devise_exp.data.table_files import TableFile, open_table


def image_table(
    file: str | Path | Sequence[str],
    root: str | Path | None = None,
    image: str | None = None,
    label: str | None = None,
    split: str | None = None,
    group: str | None = None,
    names: str | Path | Sequence[str] | None = None,
    parts: PartOption = None,
    strict: bool = False,
    name: str = "table",
    max_pixels: int = MAX_PIXELS,
) -> ImageDataset:
    """Read a table of image paths and labels: CSV, TSV, JSON-lines or Parquet.

    Args:
        file: The table; or several, such as train.csv and test.csv, whose names are their parts if
            they have no column of parts.
        root: The folder that relative paths begin in; None: the table's own.
        image: The column of paths; None: image, path, file, filename or another usual name.
        label: The column of labels; None: label, class, category or another usual name.
        split: The column that says train, val or test; None: split, subset, set or part, if it has
            such values.
        group: The column of groups, whose images stay on one side of a split; None: group, if there
            is one.
        names: What labels that are numbers are called: a list, or a file.
        parts: Whether rows "keep" their parts, or these are "join"ed; None: joined, which is said.
        strict: Whether a wrong row or a broken image is an error instead of skipped.
        name: The name of the dataset in tables and reports.
        max_pixels: Images of more pixels count as broken.

    Returns:
        The dataset. Its rows are <class>/<path below root>.

    Raises:
        InputError: If a table cannot be read or has not these columns, or no row has an image and a
            label.
    """
    check_parts_option(parts)
    files = [file] if isinstance(file, str | Path | int | float) else list(file)
    if not files:
        raise InputError("data.file=[]: give a table, or a list of tables")
    options = {"image": image, "label": label, "split": split, "group": group}
    reading = _Reading(name=name, root=root, options=options, names=read_label_names(names))
    stems = PartValues(Path(str(path)).stem for path in files)
    for path in files:
        table = open_table(Path(str(path)).expanduser())
        reading.read(table, stems.part(table.path.stem) if len(files) > 1 else None)
    return reading.dataset(parts, strict, max_pixels)


@dataclass(kw_only=True)
class _Reading:
    """Tables as they are read: their rows, and what was left out."""

    name: str
    root: str | Path | None
    options: dict[str, str | None]
    names: dict[str, str]
    classes: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    about: list[str] = field(default_factory=list)
    base: str = ""

    def read(self, table: TableFile, part: str | None) -> None:
        """Read a table whose rows are of a part, if it has no column of parts."""
        where = f"{self.name}: {table.path.name}"
        columns = self._columns(where, table)
        self.base = self._base(table)
        others = [column for column in table.columns if column not in columns.values()]
        hint = f"; or name another column, data.label=COLUMN ({listed(others)})" if others else ""
        labels = LabelNames(where, self.names, hint)
        before = len(self.files)
        for line, values in table.rows([*columns.values()]):
            if isinstance(values, str):
                self.skipped.append(f"{line}: {values}")
            else:
                self._add(
                    line, dict(zip(columns, map(label_text, values), strict=True)), labels, part
                )
        if len(self.files) == before:
            some = f" ({'; '.join(self.skipped[-3:])})" if self.skipped else ""
            raise InputError(
                f"{where}: no row has an image and a label{some}: give one image a row"
            )
        labels.check(self.classes[before:])
        chosen = ", ".join(f"{key} in column {name}" for key, name in columns.items())
        self.about.append(f"{where}: {len(self.files) - before:,} rows, {chosen}")

    def _add(self, line: str, row: dict[str, str], labels: LabelNames, part: str | None) -> None:
        """Note a row, or why it is left out."""
        image, label = row["image"], row["label"]
        if reason := _refusal(image, label):
            self.skipped.append(f"{line}: {reason}")
            return
        self.classes.append(labels.of(label))
        self.files.append(file_of(self.base, image))
        self.splits.append(row.get("split", part or ""))
        self.groups.append(row.get("group", ""))

    def _base(self, table: TableFile) -> str:
        """The folder that relative paths begin in."""
        root = Path(table.path.parent if self.root is None else self.root).expanduser().absolute()
        if not root.is_dir():
            raise InputError(f"data.root={self.root} is no folder: give the folder of the images")
        return os.path.normpath(root)

    def _columns(self, where: str, table: TableFile) -> dict[str, str]:
        """Choose the columns of image and label, and of split and group if there are."""
        options, names = self.options, table.columns
        columns = {
            "image": need_column(where, names, "data.image", options["image"], IMAGE),
            "label": need_column(where, names, "data.label", options["label"], LABEL),
        }
        if columns["image"] == columns["label"]:
            raise InputError(
                f"{where}: {columns['image']} is both image and label: give data.image=COLUMN "
                f"data.label=COLUMN, of {listed(names)}"
            )
        for key, usual in (("split", SPLIT), ("group", GROUP)):
            column = find_column(where, names, f"data.{key}", options[key], usual)
            if column is not None and column not in columns.values():
                columns[key] = column
        return columns

    def dataset(self, parts: PartOption, strict: bool, max_pixels: int) -> ImageDataset:
        """Make the dataset of all rows."""
        if strict and self.skipped:
            raise InputError(
                f"{self.name}: {len(self.skipped)} rows are wrong ({'; '.join(self.skipped[:3])}): "
                "correct them, or leave them out with data.strict=false"
            )
        if not any(os.path.isfile(file) for file in self.files):  # noqa: PTH113 (ten times slower)
            raise InputError(
                f"{self.name}: none of {len(self.files):,} images is there, such as "
                f"{self.files[0]}: give data.root=FOLDER, the folder that the paths begin in"
            )
        values = PartValues(self.splits)
        values.check(self.name, self.options["split"])
        remarks, about = values.remarks(self.name, parts)
        if any(self.groups):
            self.about.append(
                f"{self.name}: {len({*self.groups} - {''}):,} groups, each on one side of a split"
            )
        entries = list(self._entries(values, keep=parts == "keep"))
        return dataset_from_images(
            self.name,
            entries,
            strict,
            self.skipped,
            tuple(remarks),
            max_pixels,
            about=(*self.about, *about),
        )

    def _entries(self, values: PartValues, keep: bool) -> Iterator[ImageEntry]:
        """The images, each once a class: of several parts the last counts."""
        rows = row_names(self.base, self.classes, self.files)
        order = (None, "train", "val", "test")
        last: dict[str, int] = {}
        twice: Counter[str] = Counter()
        for i, row in enumerate(rows):
            if row in last:
                twice[row] += 1
                now, before = (values.part(self.splits[j]) for j in (i, last[row]))
                if order.index(now) <= order.index(before):
                    continue
            last[row] = i
        if twice:
            self.skipped.append(
                f"{sum(twice.values())} rows repeat an image of their class ({listed(twice, 3)}): "
                "counted once, in the last of its parts"
            )
        for row, i in last.items():
            part = values.part(self.splits[i]) if keep else None
            yield ImageEntry(self.classes[i], row, self.files[i], part, self.groups[i] or None)


def _refusal(image: str, label: str) -> str:
    """Why a row is left out; "" if it is not."""
    if not image:
        return "no image"
    if is_address(image):
        return f"{image[:80]} is a web address: fetch it and list the file"
    return "" if label else "no label"
