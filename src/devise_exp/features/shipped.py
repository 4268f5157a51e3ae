"""The feature bank that ships with the package, in eight bits per number."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path
from devise_exp.data.dataset import ImageDataset
from devise_exp.features.backbones.base import Backbone

SHIPPED = "caltech101_efficientnet_lite0.npz"


def quantize(features: np.ndarray, dataset: ImageDataset, backbone: Backbone, path: Path) -> None:
    """Write features as one small file: uint8 per value, with each channel's minimum and step.

    Args:
        features: (N, feature_dim), the rows of `dataset` as `backbone` sees them.
        dataset: The images that the features are of.
        backbone: The network that made the features.
        path: The file to write.
    """
    features = np.asarray(features, dtype=np.float32)
    low = features.min(axis=0)
    step = np.maximum(features.max(axis=0) - low, 1e-12) / 255
    levels = np.rint((features - low) / step).astype(np.uint8)
    with atomic_path(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            levels=levels,
            low=low,
            step=step,
            dataset=np.array(dataset.fingerprint),
            backbone=np.array(backbone.fingerprint),
        )


def dequantize(path: Path) -> tuple[np.ndarray, str, str]:
    """Read a file that `quantize` wrote.

    Args:
        path: The file.

    Returns:
        Features (N, feature_dim) float32, the dataset's fingerprint and the backbone's.
    """
    with np.load(path, allow_pickle=False) as packed:
        features = packed["levels"].astype(np.float32) * packed["step"] + packed["low"]
        return features, str(packed["dataset"]), str(packed["backbone"])


def read_shipped(dataset: ImageDataset, backbone: Backbone) -> np.ndarray:
    """Read the features that come with the package.

    Args:
        dataset: Must be all of caltech101.
        backbone: Must be efficientnet_lite0.

    Returns:
        (N, feature_dim) float32.

    Raises:
        InputError: The dataset or the backbone is another one.
    """
    with resources.as_file(resources.files("devise_exp.features") / "assets" / SHIPPED) as path:
        features, of_dataset, of_backbone = dequantize(path)
    if (of_dataset, of_backbone) != (dataset.fingerprint, backbone.fingerprint):
        raise InputError(
            f"the images of {dataset.name} are missing, and the package has features only for all "
            f"of caltech101 under efficientnet_lite0, not under {backbone.name}: give "
            "data.root=FOLDER with the images (data.download=true fetches them there)"
        )
    return features
