"""Folder trees of random layouts and names, read to a dataset and split; no content on two sides.

The check looks at the files alone: it hashes what a row's path holds, and asks whether a test or
unseen row has the bytes of a training row.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

# fmt: off
PLAIN = (
    "llama", "emu", "pigeon", "golden retriever", "okapi", "red_panda", "t-shirt", "wheel chair",
)
ODD = (
    "cafe\u0301", "caf\u00e9", "大熊猫", "it's", "a,b", "x=y", "{x}", "$HOME", "null", "true",
    "1e5", "001.ak47", "n02437616-llama", "[red]", "#1", " padded ", "-rf", "R&D", "(2020)",
    "new\nline", "tab\tname", "a" * 200, "back\\slash",
    b"latin\xe9".decode("utf-8", "surrogateescape"),
    "train", "val.old", "test data", "..dots",
)
PARTS = (
    ("train", "val", "test"), ("training_set", "test_set"), ("Train", "Valid", "Test"),
    ("train", "eval"), ("trn", "dev", "tst"), ("data_train", "data_test"), ("01-train", "02-test"),
    ("train", "val", "test", "other"),
)
SYSTEM = ("@eaDir", "#recycle", "__MACOSX", ".thumbnails", "$RECYCLE.BIN", "lost+found")
JUNK = {
    "Thumbs.db": b"\xd0\xcf", "notes.txt": b"hello", "empty.jpg": b"", "labels.csv": b"a,b\n",
    "page.jpg": b"<html>no</html>", "._a.jpg": b"x", "a.xmp": b"<x/>",
    "cut.png": b"\x89PNG\r\n\x1a\n\0\0",
}
LAYOUTS = (
    "classes", "parts", "wrapper", "wrapped parts", "shelves", "deep parts", "flat", "mixed",
    "copy of itself",
)
# fmt: on
# The options that read a layout, and what people may try instead.
FITTING: dict[str, dict[str, str | int]] = {layout: {} for layout in LAYOUTS} | {
    "parts": {"parts": "keep"},
    "wrapped parts": {"parts": "keep"},
    "shelves": {"levels": "leaf"},
    "deep parts": {"parts": "keep", "levels": "leaf"},
    "copy of itself": {"levels": "leaf"},
}
ANY: list[dict[str, str | int]] = [
    {}, {"parts": "join"}, {"parts": "keep"}, {"levels": "leaf"}, {"levels": 2}, {"levels": 1},
    {"parts": "join", "levels": "leaf"},
]  # fmt: skip


def make(folder: Path, random: random.Random, number: int) -> str:
    """Write the tree of a case, and the options that it is read by.

    Args:
        folder: An empty folder.
        random: Decides everything.
        number: Of the case.

    Returns:
        The layout.
    """
    layout = LAYOUTS[number % len(LAYOUTS)]
    root = folder / "root"
    root.mkdir()
    images = _image_files(random, random.randint(20, 60))
    names = random.sample(PLAIN, random.randint(4, 8)) + random.sample(ODD, random.randint(0, 3))
    for where in _class_folders(layout, names, random):
        with suppress(OSError):  # two spellings of one name, or a name that this system refuses
            _fill(root / where, images, random)
    if layout == "copy of itself":
        with suppress(OSError, shutil.Error):
            shutil.copytree(root, folder / "copy", symlinks=True)
            (folder / "copy").rename(root / "backup")
        for file in (root / "backup").rglob("*.*"):
            if file.is_file() and random.random() < 0.6:
                file.write_bytes(_image_files(random, 1)[0][1])
    _litter(root, random)
    options = {
        "layout": FITTING[layout] if random.random() < 0.75 else random.choice(ANY),
        "below": "dataset" if layout == "wrapper" and random.random() < 0.7 else "",
        "split": random.choice(["random", "named", "folders" if "parts" in layout else "random"]),
        "seed": random.randrange(100),
    }
    if layout == "wrapped parts" and random.random() < 0.7:
        options["below"] = "data"
    (folder / "options.json").write_text(json.dumps(options), encoding="utf-8")
    return layout


def _image_files(random: random.Random, number: int) -> list[tuple[str, bytes]]:
    """A small pool, so that the same file is drawn for several folders."""
    pool = []
    for i in range(number):
        pixels = np.random.default_rng(random.randrange(2**32)).integers(0, 256, (24, 24, 3))
        image = Image.fromarray(pixels.astype(np.uint8)).resize((48, 48))
        for suffix, kind in random.sample([(".jpg", "JPEG"), (".png", "PNG"), (".bmp", "BMP")], 2):
            buffer = io.BytesIO()
            image.save(buffer, kind)
            pool.append((f"image_{i:03}{suffix}", buffer.getvalue()))
    return pool


def _class_folders(layout: str, names: list[str], random: random.Random) -> Iterator[str]:
    parts = random.choice(PARTS)
    for name in names:
        if layout in ("classes", "mixed", "copy of itself"):
            yield name
        if layout == "wrapper":
            yield f"dataset/{name}"
        if layout == "shelves":
            yield f"{name[0]}/{name}"
        if layout == "flat":
            yield "."
        for part in parts if "parts" in layout else ():
            yield {
                "parts": f"{part}/{name}",
                "wrapped parts": f"data/{part}/{name}",
                "deep parts": f"{part}/{random.choice(['Fruit', 'Animal'])}/{name}/{name} kind",
            }[layout]
    if layout == "mixed":
        yield from (f"{part}/{name}" for part in parts for name in names[:2])


def _fill(folder: Path, images: list[tuple[str, bytes]], random: random.Random) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in random.sample(images, min(len(images), random.randint(3, 16))):
        stem, _, suffix = name.partition(".")
        new = random.choice(
            [name, name, f"{stem} copy (1).{suffix}", f"{random.random()}.{suffix}"]
        )
        (folder / new).write_bytes(content)


def _litter(root: Path, random: random.Random) -> None:
    """What systems and people leave beside images: thumbnails, notes, links, pipes."""
    folders = [path for path in root.rglob("*") if path.is_dir()] or [root]
    for _ in range(random.randint(0, 6)):
        folder = random.choice(folders)
        name, content = random.choice(list(JUNK.items()))
        (folder / name).write_bytes(content)
    with suppress(OSError):
        for _ in range(random.randint(0, 2)):
            folder, system = random.choice(folders), random.choice(SYSTEM)
            files = [path for path in folder.iterdir() if path.is_file()]
            (folder / system).mkdir(exist_ok=True)
            for file in files[:3]:
                shutil.copy(file, folder / system / f"SYNOPHOTO_THUMB_{file.name}")
        if random.random() < 0.2:
            (random.choice(folders) / "loop").symlink_to(root)
        if random.random() < 0.2:
            (random.choice(folders) / "gone.jpg").symlink_to(root / "nowhere.jpg")
        if random.random() < 0.1:
            os.mkfifo(random.choice(folders) / "pipe.jpg")


def prepare() -> None:
    """Import what the first case would otherwise wait for."""
    import devise_exp.data.copies
    import devise_exp.data.folders  # noqa: F401


def read(folder: Path) -> str:
    """Read the tree of a case, split it, and check that no content is on two sides.

    Args:
        folder: With the tree in root, and options.json.

    Returns:
        How many images and classes there are.
    """
    from devise_exp.data.copies import split_images
    from devise_exp.data.folders import image_folder
    from devise_exp.data.images import ImageFiles
    from devise_exp.data.labelled_rows import LabelledRows
    from devise_exp.data.part_names import part_of
    from devise_exp.data.published_split import folders_split
    from devise_exp.data.splits import named_split, random_split

    options = json.loads((folder / "options.json").read_text(encoding="utf-8"))
    dataset = image_folder(folder / "root" / options["below"], **options["layout"])
    data = LabelledRows(
        classes=dataset.classes,
        labels=dataset.labels,
        rows=dataset.rows,
        contents=dataset.contents,
        parts=dataset.parts,
    )
    unseen = sorted(dataset.classes)[-1:]
    splits = {
        "random": partial(random_split, seed=options["seed"]),
        "named": partial(named_split, unseen=unseen, seed=options["seed"]),
        "folders": partial(folders_split, seed=options["seed"]),
    }
    split = split_images(data, splits[options["split"]], dataset.looks).split
    assert isinstance(dataset.images, ImageFiles)
    files = dataset.images.paths
    content = [hashlib.sha256(Path(file).read_bytes()).digest() for file in files]
    parts = [
        {content[row] for row in rows}
        for rows in (split.train, split.val, split.test, split.unseen_rows)
    ]
    for i, part in enumerate(parts):
        assert part, f"part {i} is empty"
        for other in parts[i + 1 :]:
            assert not part & other, f"content of part {i} in a later one"
    thumbnails = [file for file in files if "THUMB" in file or "/@eaDir/" in file]
    assert not thumbnails, f"system files are images: {thumbnails[0]}"
    if not options["layout"]:
        named = [name for name in dataset.classes if part_of(name)]
        assert len(named) < 2, f"classes are parts: {named}"
    return f"{len(files)} images, {len(dataset.classes)} classes, {len(dataset.skipped)} skipped"
