"""What every export of a run says beside its weights: labels, preprocessing, gamma."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.data.decoding import open_image
from devise_exp.features.backbones.base import Backbone, Preprocess
from devise_exp.pipelines.export.name_image import pixels
from devise_exp.search.saved_run import Run

MARK = "export.json"  # by which the folder of an export is known
CHECKED_IMAGES = 8
MAX_DIFFERENCE = 1e-3  # of a number of a unit row, between two engines


def check_free(output: Path) -> None:
    """Check that a folder can be written or replaced.

    Args:
        output: The folder.

    Raises:
        InputError: Something else than an export is there.
    """
    if not output.exists():
        return
    if not output.is_dir() or (any(output.iterdir()) and not (output / MARK).is_file()):
        raise InputError(f"--output {output}: holds something else: give a new folder")


def describe(run: Run, backbone: Backbone) -> dict[str, Any]:
    """Describe an exported model.

    Args:
        run: The run.
        backbone: Its backbone.

    Returns:
        The content of export.json.
    """
    about, records = run.folder.about(), run.folder.classes()
    kept = ("data", "backbone", "word_vectors", "split/name", "split/fingerprint")
    return {
        "labels": [record.name for record in records],
        "seen": [record.seen for record in records],
        "words": [list(record.words) for record in records],
        "gamma": run.gamma,
        "preprocess": preprocess_of(backbone),
        "about": {key: about[key] for key in kept if key in about},
    }


def preprocess_of(backbone: Backbone) -> dict[str, Any]:
    """Describe the preprocessing of a backbone.

    Args:
        backbone: The backbone.

    Returns:
        resize, crop, mean, std and interpolation.

    Raises:
        InputError: It is of another kind, which name_image.py does not repeat.
    """
    how = backbone.preprocess
    if not isinstance(how, Preprocess):
        raise InputError(
            f"{backbone.name}: its preprocessing is none of this package, so that the export could "
            "not repeat it: take a backbone with devise_exp.features.backbones.base.Preprocess"
        )
    described = {
        "resize": how.resize if isinstance(how.resize, int) else list(how.resize),
        "crop": how.crop,
        "mean": list(how.mean),
        "std": list(how.std),
        "interpolation": how.interpolation,
    }
    for image in _drawn_images(4):
        if not np.allclose(pixels(image, described)[0], how(image).numpy(), atol=1e-5):
            raise InputError(
                f"{backbone.name}: its preprocessing is more than resize and crop, so that the "
                "export could not repeat it: choose another backbone"
            )
    return described


def sample_images(run: Run) -> list[Image.Image]:
    """Take images to compare engines by.

    Args:
        run: The run.

    Returns:
        Some of its own images, evenly spread; drawn ones if they are not on disk.
    """
    rows = [row for row in run.gallery("all").rows if row.path and Path(row.path).is_file()]
    chosen = rows[:: max(1, -(-len(rows) // CHECKED_IMAGES))]
    images = [open_image(Path(row.path)) for row in chosen if row.path]
    return images or _drawn_images(CHECKED_IMAGES)


def _drawn_images(n: int) -> list[Image.Image]:
    """Images of drawn noise, of several sizes."""
    rng = np.random.default_rng(0)
    sizes = [(40 + 37 * i, 300 - 29 * i) for i in range(n)]
    coarse = [rng.integers(0, 256, (6, 8, 3), dtype=np.uint8) for _ in sizes]
    return [
        Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
        for pixels, size in zip(coarse, sizes, strict=True)
    ]
