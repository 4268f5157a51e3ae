"""WebDataset shards: tar archives of samples, an image and its label under one key each.

The archives are read where they are: nothing is unpacked, and an image is a stretch of its shard.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.data.dataset import ImageDataset, ImageEntry, dataset_from_images
from devise_exp.data.decoding import MAX_PIXELS
from devise_exp.data.file_names import image_endings
from devise_exp.data.label_names import LabelNames, label_text, read_label_names
from devise_exp.data.layout_advice import PartOption
from devise_exp.data.listed_files import is_address, row_name
from devise_exp.data.packed_files import TAR, Member, member_path, tar_members
from devise_exp.data.part_columns import PartValues, check_parts_option

LARGEST_LABEL = 2**16  # bytes of a member that is a label
# The endings of labels, the plainest first.
LABELS = ("cls", "class", "label", "txt", "text", "json")
KEYS = ("label", "class", "class_name", "category", "cls", "label_name", "name")  # in a .json
_NAMES = ("classnames.txt", "classes.txt", "labels.txt")  # beside shards, a name a line
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


def webdataset(
    root: str | Path,
    image: str | None = None,
    label: str | None = None,
    group: str | None = None,
    names: str | Path | list[str] | None = None,
    parts: PartOption = None,
    strict: bool = False,
    name: str = "webdataset",
    max_pixels: int = MAX_PIXELS,
) -> ImageDataset:
    """Read WebDataset shards; a pattern with braces needs the extra `webdataset`.

    Args:
        root: A folder of .tar files, perhaps in folders such as train and test; a file; or a
            pattern such as FOLDER/train-{000..012}.tar.
        image: The ending of images, such as jpg; None: any image's.
        label: The ending of labels, such as cls; json.KEY: of a key in .json; None: cls, txt, or
            json with a usual key.
        group: json.KEY of the group, whose images stay on one side of a split; None: none.
        names: What labels that are numbers are called: a list, or a file; None: classnames.txt or
            classes.txt beside the shards, if it is there.
        parts: Whether rows "keep" the parts that the names of folders or shards say, or these are
            "join"ed; None: joined, which is said.
        strict: Whether a damaged sample is an error instead of skipped.
        name: The name of the dataset in tables and reports.
        max_pixels: Images of more pixels count as broken.

    Returns:
        The dataset. Its rows are <class>/<shard>/<image>.

    Raises:
        InputError: If there are no shards, one is damaged, or no sample has an image and a label.
    """
    check_parts_option(parts)
    shards, base = _shards(str(root))
    if names is None:
        names = next((base / file for file in _NAMES if (base / file).is_file()), None)
    reading = _Reading(
        name=name,
        base=base,
        image=None if image is None else str(image).lower().lstrip("."),
        label=None if label is None else str(label).lstrip("."),
        group=group,
        labels=LabelNames(name, read_label_names(names)),
    )
    values = PartValues(_part_word(base, shard) for shard in shards)
    for shard in shards:
        reading.read(shard, _part_word(base, shard))
    reading.check(shards, strict)
    counted = PartValues(entry.part or "" for entry in reading.entries)
    remarks, about = counted.remarks(name, parts)
    keep = parts == "keep"
    entries = (
        entry._replace(part=values.part(entry.part or "") if keep else None)
        for entry in reading.entries
    )
    lines = (f"{name}: {len(shards):,} shards, {len(reading.entries):,} samples", *about)
    return dataset_from_images(
        name, entries, strict, reading.skipped, tuple(remarks), max_pixels, about=lines
    )


def _shards(root: str) -> tuple[list[Path], Path]:
    """List the shards of a root, and the folder that their names begin in."""
    if is_address(root) or root.startswith("pipe:"):
        raise InputError(f"data.root={root}: shards are read from a disk: fetch them first")
    path = Path(root).expanduser().absolute()
    if path.is_dir():
        shards, base = sorted(path.rglob(f"*{TAR}")), path
        packed = [file for file in path.rglob("*") if file.name.lower().endswith(_COMPRESSED)]
    else:
        expanded = [path] if path.exists() or "{" not in root else _expanded(str(path))
        shards, base = [file for file in expanded if file.name.endswith(TAR)], path.parent
        packed = [file for file in expanded if file.name.lower().endswith(_COMPRESSED)]
    missing = [str(file) for file in shards if not file.is_file()]
    if packed and not shards:
        raise InputError(
            f"data.root={root}: {listed((file.name for file in packed), 3)} is compressed, and "
            "images are read from where they lie: unpack the shards to .tar (gunzip)"
        )
    if not shards or missing:
        what = f"{listed(missing, 3)} does not exist" if missing else "holds no .tar files"
        raise InputError(
            f"data.root={root}: {what}: give a folder of shards, a shard, or "
            "FOLDER/x-{000..012}.tar"
        )
    return shards, base


def _expanded(pattern: str) -> list[Path]:
    """The files that a pattern in braces means."""
    try:
        from webdataset.shardlists import expand_urls  # late: an extra, which imports torch
    except ImportError:
        raise InputError(
            f"data.root={pattern}: braces need webdataset: pip install 'devise-exp[webdataset]', "
            "or give the folder"
        ) from None
    return [Path(file) for file in expand_urls(pattern)]


def _part_word(base: Path, shard: Path) -> str:
    """The text that may say a shard's part: its folder below the base, or its name."""
    above = shard.relative_to(base).parts[:-1] if shard.is_relative_to(base) else ()
    return above[0] if above else shard.stem.rstrip("-_.0123456789")


@dataclass(kw_only=True)
class _Reading:
    """Shards as they are read: their samples, and what was left out."""

    name: str
    base: Path
    image: str | None
    label: str | None
    group: str | None
    labels: LabelNames
    entries: list[ImageEntry] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def read(self, shard: Path, part: str) -> None:
        """Read the samples of a shard, whose part a text says."""
        within = shard.relative_to(self.base).as_posix()
        try:
            for key, members in _samples(shard):
                entry = self._entry(shard, f"{within}/{key}", members, part)
                if isinstance(entry, str):
                    self.skipped.append(f"{within}/{key}: {entry}")
                else:
                    self.entries.append(entry)
        except (OSError, tarfile.TarError, ValueError, EOFError) as error:
            reason = " ".join(str(error).split())[:100]
            self.skipped.append(f"{within}: damaged or no tar archive, read up to there: {reason}")

    def check(self, shards: list[Path], strict: bool) -> None:
        """Refuse shards without samples, and labels that are numbers."""
        some = "; ".join(self.skipped[:3])
        if strict and self.skipped:
            raise InputError(
                f"{self.name}: {len(self.skipped)} samples are damaged ({some}): get the shards "
                "again, or leave them out with data.strict=false"
            )
        if not self.entries:
            raise InputError(
                f"{self.name}: no sample of {len(shards)} shards has an image and a label "
                f"({some}): give data.image=ENDING data.label=ENDING, such as jpg and cls, or "
                "json.KEY"
            )
        self.labels.check(entry.class_name for entry in self.entries)

    def _entry(
        self, shard: Path, where: str, members: Mapping[str, tuple[str, Member]], part: str
    ) -> ImageEntry | str:
        """A sample as an image with its class, or why it is left out."""
        image = self._image(members)
        if image is None:
            return f"no image among {listed(members, 5) or 'its files'}"
        label = self._label(shard, members)
        if not label:
            return f"no label among {listed(members, 5)}"
        class_name = self.labels.of(label)
        row = row_name(class_name, f"{where}.{image}")
        group = self._value(shard, members, self.group) if self.group else ""
        return ImageEntry(class_name, row, member_path(shard, *members[image]), part, group or None)

    def _image(self, members: Mapping[str, Any]) -> str | None:
        """The ending of the image of a sample."""
        if self.image is not None:
            return self.image if self.image in members else None
        endings = image_endings()
        return next((e for e in members if f".{e.rpartition('.')[2].lower()}" in endings), None)

    def _label(self, shard: Path, members: Mapping[str, tuple[str, Member]]) -> str:
        """The label of a sample; "" if there is none."""
        if self.label is not None:
            return self._value(shard, members, self.label)
        for ending in LABELS:
            if ending == "json" and ending in members:
                values = _json(shard, members["json"][1])
                texts = (label_text(values.get(key)) for key in KEYS)
                return next((text for text in texts if text), "")
            if ending in members and (text := self._value(shard, members, ending)):
                return text
        return ""

    def _value(self, shard: Path, members: Mapping[str, tuple[str, Member]], source: str) -> str:
        """The text of a member, or of a key of one in JSON."""
        ending, _, key = source.partition(".")
        if ending == "json" and key and "json" in members:
            return label_text(_json(shard, members["json"][1]).get(key))
        if source not in members:
            return ""
        return label_text(_bytes(shard, members[source][1]).decode("utf-8", "replace"))


def _samples(shard: Path) -> Iterator[tuple[str, dict[str, tuple[str, Member]]]]:
    """The samples of a shard: neighbours of one key, which is a name up to its first dot."""
    key, members = "", dict[str, tuple[str, Member]]()
    for name, member in tar_members(shard):
        folder, _, file = name.rpartition("/")
        stem, dot, ending = file.partition(".")
        if not (stem and dot):
            continue
        now = f"{folder}/{stem}" if folder else stem
        if now != key and members:
            yield key, members
            members = {}
        key = now
        members.setdefault(ending.lower(), (name, member))
    if members:
        yield key, members


def _bytes(shard: Path, member: Member) -> bytes:
    """The bytes of a label."""
    offset, size = member
    if size > LARGEST_LABEL:
        return b""
    with shard.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def _json(shard: Path, member: Member) -> dict[str, Any]:
    """The object of a member in JSON; empty if it is none."""
    try:
        content = json.loads(_bytes(shard, member) or b"{}")
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
