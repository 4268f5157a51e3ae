"""Published data sets in small, in the layout in which they are published."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image


def image(path: Path, seed: int = 0) -> Path:
    noise = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).save(path, format="JPEG")
    return path


def caltech101_tree(root: Path) -> Path:
    folder = root / "caltech101" / "101_ObjectCategories"
    names = ("okapi/image_0001", "okapi/image_0002", "okapi/image_0005", "Faces/image_0001")
    for seed, name in enumerate(names):
        image(folder / f"{name}.jpg", seed)
    return folder


def food101_files(root: Path) -> Path:
    folder = root / "food-101"
    lists = {
        "train": {"apple_pie": ["apple_pie/11", "apple_pie/12"], "waffles": ["waffles/21"]},
        "test": {"apple_pie": ["apple_pie/13"], "waffles": ["waffles/22"]},
    }
    (folder / "meta").mkdir(parents=True)
    for part, content in lists.items():
        (folder / "meta" / f"{part}.json").write_text(json.dumps(content))
        for paths in content.values():
            for path in paths:
                image(folder / "images" / f"{path}.jpg", int(path[-2:]))
    return folder
