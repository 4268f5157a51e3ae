"""Published data sets in small, in the layout in which they are published."""

from __future__ import annotations

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
