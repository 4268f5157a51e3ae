"""Lists of images as tar shards and as a data set of Hugging Face."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from datasets import ClassLabel, Dataset, DatasetDict, Features, Image

from helpers.listed_images import CLASSES

Rows = Sequence[tuple[str, str]]


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """A file in an archive."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def write_shard(path: Path, base: Path, rows: Rows, ending: str = "cls") -> Path:
    """A shard of the images of a list; labels are numbers, names, or in an object."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for i, (file, name) in enumerate(rows):
            label = {"cls": str(CLASSES.index(name)), "txt": name, "json": f'{{"label": "{name}"}}'}
            add(archive, f"{i:06d}.png", (base / file).read_bytes())
            add(archive, f"{i:06d}.{ending}", label[ending].encode())
    return path


def save_data_set(folder: Path, base: Path, parts: Mapping[str, Rows]) -> Path:
    """A folder as save_to_disk writes it, with images inside and named classes."""
    features = Features({"img": Image(), "fine": ClassLabel(names=list(CLASSES))})
    DatasetDict(
        {
            part: Dataset.from_dict(
                {
                    "img": [{"bytes": (base / p).read_bytes(), "path": None} for p, _ in rows],
                    "fine": [CLASSES.index(name) for _, name in rows],
                },
                features=features,
            )
            for part, rows in parts.items()
        }
    ).save_to_disk(folder)
    return folder
