"""The zero-shot benchmark of Xian et al. 2018 (Zero-Shot Learning - A Comprehensive Evaluation of
the Good, the Bad and the Ugly) as data, class vectors, backbone and split of a run.

No pictures come with it, and none are needed: see xlsa17_files.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from devise_exp.core.files import checksum
from devise_exp.data.dataset import ImageDataset, PrecomputedFeatures
from devise_exp.data.images import images_fingerprint
from devise_exp.data.xlsa17 import files
from devise_exp.data.xlsa17.files import BACKBONE, FEATURES, dataset_title

if TYPE_CHECKING:
    pass


def xlsa17_dataset(root: str | Path, name: str) -> ImageDataset:
    """The N pictures of AWA1, AWA2, CUB, SUN or APY by name, with their published features.

    Row i is column i of the features. Raises InputError for files that are not of the format.
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
