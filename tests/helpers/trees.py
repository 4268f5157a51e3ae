"""Trees of class folders with tiny images, each of its own content."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

_numbers = count()


def grow(root: Path, *folders: str, images: int = 3) -> Path:
    """Make folders below root with so many images each; "a*1": one image in a. Returns root."""
    for folder in folders:
        name, _, number = folder.partition("*")
        path = root / name
        path.mkdir(parents=True, exist_ok=True)
        for i in range(int(number or images)):
            pixels = np.random.default_rng(next(_numbers)).integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(path / f"{i}.png")
    return root


def within(parts: list[str], folders: tuple[str, ...]) -> list[str]:
    """Each folder within each part."""
    return [f"{part}/{folder}" for part in parts for folder in folders]
