"""Make the feature bank that the package ships: python experiments/shipped_bank/make.py ROOT.

ROOT holds caltech101/101_ObjectCategories. Writes
src/devise_exp/features/assets/caltech101_efficientnet_lite0.npz
and prints how near it is to the extraction
it was made from.
"""

import sys
from pathlib import Path

import numpy as np

from devise_exp.data.caltech import caltech101
from devise_exp.features.backbones.efficientnet_lite import efficientnet_lite
from devise_exp.features.bank import feature_bank
from devise_exp.features.extraction import ExtractionSettings
from devise_exp.features.shipped import SHIPPED, dequantize, quantize

ASSETS = Path(__file__).parents[2] / "src" / "devise_exp" / "features" / "assets"


def main(root: str) -> None:
    dataset, backbone = caltech101(root), efficientnet_lite(0)
    bank = feature_bank(dataset, backbone, ExtractionSettings(dtype="float32"))
    quantize(bank.features, dataset, backbone, ASSETS / SHIPPED)
    packed, _, _ = dequantize(ASSETS / SHIPPED)
    lengths = np.linalg.norm(packed, axis=1) * np.linalg.norm(bank.features, axis=1)
    cosines = (packed * bank.features).sum(axis=1) / lengths
    size = (ASSETS / SHIPPED).stat().st_size / 1e6
    print(f"{packed.shape[0]} x {packed.shape[1]}, {size:.1f} MB")
    print(f"cosine to the extraction: mean {cosines.mean():.6f}, min {cosines.min():.6f}")


if __name__ == "__main__":
    main(sys.argv[1])
