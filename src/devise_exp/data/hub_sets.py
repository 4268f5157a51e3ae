"""Data sets in the format of Hugging Face as a dataset; images are read where they lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.data.column_names import GROUP, IMAGE, LABEL, find_column
from devise_exp.data.dataset import ImageDataset, ImageEntry, dataset_from_images
from devise_exp.data.decoding import MAX_PIXELS
from devise_exp.data.label_names import LabelNames, label_text, read_label_names
from devise_exp.data.layout_advice import PartOption
from devise_exp.data.listed_files import row_name
from devise_exp.data.part_columns import PartValues, check_parts_option

SAVED = ("dataset_dict.json", "state.json")  # of save_to_disk


def hugging_face(
    path: str | Path,
    config: str | None = None,
    image: str | None = None,
    label: str | None = None,
    group: str | None = None,
    names: str | Path | list[str] | None = None,
    parts: PartOption = None,
    strict: bool = False,
    name: str = "hugging_face",
    max_pixels: int = MAX_PIXELS,
) -> ImageDataset:
    """Read a data set of Hugging Face (extra `hf`).

    Args:
        path: A folder that save_to_disk wrote; a folder of another kind, such as Parquet files; or
            the name of a data set on the Hub, which is fetched to the library's cache.
        config: The configuration of a data set that has several.
        image: The column of images; None: the first one that holds images.
        label: The column of labels; None: the only one with named classes, or one called label,
            class or category.
        group: The column of groups, whose images stay on one side of a split; None: group, if there
            is one.
        names: What labels that are numbers are called, if the data set does not say: a list, or a
            file.
        parts: Whether rows "keep" the parts that the names of splits say, or these are "join"ed;
            None: joined, which is said.
        strict: Whether a row without image or label is an error instead of skipped.
        name: The name of the dataset in tables and reports.
        max_pixels: Images of more pixels count as broken.

    Returns:
        The dataset. Its rows are <class>/<split>/<number>.

    Raises:
        InputError: If the data set cannot be read, or has no such columns.
    """
    check_parts_option(parts)
    splits = _load(str(path), config)
    table = read_label_names(names)
    values = PartValues(splits)
    counts: list[str] = []
    skipped: list[str] = []
    entries: list[ImageEntry] = []
    about = []
    for split, data in splits.items():
        columns = _columns(f"{name}: {split}", data, image, label, group)
        reader = _Split(name=name, split=split, data=data, columns=columns)
        before = len(entries)
        for entry in reader.entries(table):
            if isinstance(entry, str):
                skipped.append(entry)
            else:
                part = values.part(split) if parts == "keep" else None
                entries.append(entry._replace(part=part))
        counts += [split] * (len(entries) - before)
        about.append(
            f"{name}: split {split}, {len(data):,} rows, "
            + ", ".join(f"{key} in column {column}" for key, column in columns.items())
        )
    if (strict and skipped) or not entries:
        some = "; ".join(skipped[:3])
        raise InputError(
            f"{name}: {len(skipped)} rows have no image or no label ({some}): give other columns "
            "(data.image=COLUMN data.label=COLUMN), or leave them out with data.strict=false"
        )
    remarks, lines = PartValues(counts).remarks(name, parts)
    return dataset_from_images(
        name, entries, strict, skipped, tuple(remarks), max_pixels, about=(*about, *lines)
    )


def _load(path: str, config: str | None) -> dict[str, Any]:
    """Open a data set: its splits by name."""
    try:
        import datasets  # late: an extra
    except ImportError:
        raise InputError("data=hugging_face needs datasets: pip install 'devise-exp[hf]'") from None
    folder = Path(path).expanduser()
    quiet = StringIO()
    try:
        with redirect_stderr(quiet), redirect_stdout(quiet):  # bars of a conversion
            if any((folder / file).is_file() for file in SAVED):
                data = datasets.load_from_disk(str(folder))
            else:
                source = str(folder) if folder.is_dir() else path
                data = datasets.load_dataset(source, config)
    except Exception as error:  # the library raises nearly anything
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"data.path={path}: no data set of Hugging Face that can be read here "
            f"({type(error).__name__}: {reason}): give a folder that save_to_disk wrote, or a name "
            "that the Hub knows, where it can be reached"
        ) from None
    if isinstance(data, datasets.Dataset):
        return {str(data.split or "all"): data}
    return {str(split): part for split, part in data.items()}


def _columns(
    where: str, data: Any, image: str | None, label: str | None, group: str | None
) -> dict[str, str]:
    """Choose the columns of a split."""
    from datasets import ClassLabel, Image  # late: an extra

    names = list(data.column_names)
    kinds: Mapping[str, Any] = data.features
    images = [column for column in names if isinstance(kinds[column], Image)]
    classes = [column for column in names if isinstance(kinds[column], ClassLabel)]
    if image is None and not images:
        usual = find_column(where, names, "data.image", None, IMAGE)
        also = f"; {usual} holds {kinds[usual]}" if usual else ""
        raise InputError(
            f"{where}: no column holds images (it has {listed(names)}{also}): cast it to "
            "datasets.Image, or use data=table for a list of paths"
        )
    chosen_image = find_column(where, names, "data.image", image, IMAGE) if image else images[0]
    if chosen_image not in images:
        raise InputError(
            f"{where}: data.image={image} holds no images: choose "
            f"{listed(images) or 'another data set'}"
        )
    chosen = find_column(where, names, "data.label", label, LABEL)
    if label is None and len(classes) == 1:
        chosen = classes[0]
    if label is None and len(classes) > 1 and chosen not in classes:
        chosen = None
    if chosen is None:
        raise InputError(
            f"{where}: which column is the label? It has {listed(classes or names)}: give "
            "data.label=COLUMN"
        )
    columns = {"image": str(chosen_image), "label": chosen}
    by_group = find_column(where, names, "data.group", group, GROUP)
    return columns | ({"group": by_group} if by_group is not None else {})


@dataclass(frozen=True, kw_only=True)
class _Split:
    """A split of a data set, and the columns that count."""

    name: str
    split: str
    data: Any
    columns: Mapping[str, str]

    def entries(self, table: Mapping[str, str]) -> Iterator[ImageEntry | str]:
        """Yield the images with their classes, or why a row is left out."""
        kind = self.data.features[self.columns["label"]]
        shown = getattr(kind, "names", None)
        labels = LabelNames(f"{self.name}: {self.split}", {} if shown else table)
        texts = [label_text(value) for value in self._values("label")]
        if shown:
            by_number = {str(i): str(text).strip() for i, text in enumerate(shown)}
            texts = [by_number.get(text, text) for text in texts]
        else:
            labels.check(text for text in texts if text)
        groups = map(label_text, self._values("group")) if "group" in self.columns else None
        for number, (path, label) in enumerate(zip(self._paths(), texts, strict=True)):
            group = next(groups) if groups else ""
            where = f"{self.split}/{number:06d}"
            if not label:
                yield f"{where}: no label"
            elif not path:
                yield f"{where}: no image"
            else:
                class_name = labels.of(label)
                yield ImageEntry(class_name, row_name(class_name, where), path, None, group or None)

    def _values(self, key: str) -> Iterator[Any]:
        """The values of a column, a block at a time."""
        column = self.columns[key]
        plain = self.data.with_format(None).select_columns([column])
        for start in range(0, len(plain), 4096):
            yield from plain[start : start + 4096][column]

    def _paths(self) -> Iterator[str]:
        """Where each image is: in a file of its own, or in an Arrow file that is on disk."""
        import pyarrow as pa  # late: an extra

        column = self.columns["image"]
        if self.data._indices is not None or not self.data.cache_files:
            raise InputError(
                f"{self.name}: {self.split} is a selection in memory: write it with save_to_disk "
                "and give that folder"
            )
        for file in (entry["filename"] for entry in self.data.cache_files):
            with pa.memory_map(file) as source, pa.ipc.open_stream(source) as stream:
                row = 0
                for batch in stream:
                    cells = batch.column(column)
                    cells.validate(full=True)
                    held = cells.field("bytes").is_valid().to_pylist()
                    paths = cells.field("path").to_pylist()
                    for has_bytes, path in zip(held, paths, strict=True):
                        yield f"{Path(file).absolute()}/{column}/{row}" if has_bytes else path or ""
                        row += 1
