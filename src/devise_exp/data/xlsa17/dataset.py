"""The benchmark of Xian et al. 2018 as a dataset: published features and no images.

Source: Zero-Shot Learning - A Comprehensive Evaluation of the Good, the Bad and the Ugly.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from devise_exp.core.files import checksum
from devise_exp.data.dataset import ImageDataset, PrecomputedFeatures
from devise_exp.data.scan import images_fingerprint
from devise_exp.data.xlsa17 import files
from devise_exp.data.xlsa17.files import BACKBONE, FEATURES, dataset_title


def xlsa17_dataset(root: str | Path, name: str) -> ImageDataset:
    """Read one data set of the benchmark.

    Args:
        root: The folder that holds NAME/res101.mat and NAME/att_splits.mat.
        name: AWA1, AWA2, CUB, SUN or APY.

    Returns:
        The dataset with its published features; row i is column i of the file's.
    """
    listing = files.read_listing(root, name)
    order = np.argsort(listing.classes)
    content = checksum(listing.folder / FEATURES).encode()
    return ImageDataset(
        name=dataset_title(name),
        classes=tuple(listing.classes[i] for i in order),
        labels=np.argsort(order)[listing.labels].astype(np.int64),
        rows=listing.rows,
        fingerprint=images_fingerprint((row, content) for row in listing.rows),
        images=None,
        features=PrecomputedFeatures(BACKBONE, partial(files.read_features, listing)),
    )
