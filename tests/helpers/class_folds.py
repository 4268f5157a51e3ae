"""Fourteen classes of three small images, enough for class folds, and options of a quick run."""

from __future__ import annotations

from pathlib import Path

from helpers.images import draw

NAMES = (
    "cat", "dog", "lion", "tiger", "boat", "ship", "airplane", "helicopter", "giraffe", "octopus",
    "sunflower", "pyramid", "street", "glacier",
)  # fmt: skip
QUICK = (
    "data=image_folder", "split.n_unseen=3", "projection=linear",
    "optimizer.lr=0.003", "trainer.max_epochs=2", "training.batch_size=16",
    "features.num_workers=0", "features.dtype=float32", "features.batch_size=14", "logger=none",
    "report=none",
    "class_folds=2", "prior.weights=[0.1,0.3,0.5,1]", "split.seed=2",
    "method=[conse_pretraining,random_vectors]",
)  # fmt: skip


def draw_classes(root: Path) -> None:
    """Draw the images of NAMES, a colour for each class."""
    for c, name in enumerate(NAMES):
        for i in range(3):
            colour = [(c * step + 40) % 200 + 25 for step in (37, 91, 53)]
            draw(root / name / f"{i}.png", (colour[0], colour[1], colour[2]), 100 * c + i, size=24)
