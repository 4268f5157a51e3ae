"""Fingerprints and seed streams keep their values, so that what was stored before still fits."""

from __future__ import annotations

import numpy as np
import torch

from devise_exp.data.caltech import caltech101
from devise_exp.data.dataset import ImageDataset, labelled_rows
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.scan import images_fingerprint
from devise_exp.data.splits import named_split, random_split
from devise_exp.data.subset import subset
from devise_exp.features.backbones.base import Backbone, Preprocess

CLASSES = ("okapi", "yak", "zebra", "na\u00efve")
LABELS = np.repeat(np.arange(4), 6)
ROWS = tuple(f"{CLASSES[c]}/{i}.jpg" for i, c in enumerate(LABELS.tolist()))
DATA = LabelledRows(classes=CLASSES, labels=LABELS, rows=ROWS)


def test_the_fingerprints_of_data() -> None:
    names = sorted(CLASSES)
    dataset = ImageDataset(
        name="animals",
        classes=tuple(names),
        labels=np.array([names.index(CLASSES[c]) for c in LABELS]),
        rows=ROWS,
        fingerprint="0123",
        images=None,
    )
    assert images_fingerprint((row, b"content") for row in ROWS) == (
        "47555a8f200ccc31508a0dbeee4ccea8"
    )
    assert subset(dataset, limit_per_class=2).fingerprint == "891755ed8d0dc3368d39375271a41b40"


def test_the_fingerprints_and_rows_of_splits() -> None:
    split = named_split(DATA, ["yak"], seed=3)
    assert split.fingerprint == "ae5e0f35029b5dcf"
    assert split.train.tolist() == [0, 3, 4, 5, 12, 15, 16, 17, 18, 19, 20, 22]
    assert split.val.tolist() == [1, 14, 23]
    assert split.test.tolist() == [2, 13, 21]
    assert random_split(DATA, seed=1).fingerprint == "c5544cee32ea0246"
    data = caltech101()
    assert data.fingerprint == "4630ede3c537984bbf1a55d27daff836"
    assert random_split(labelled_rows(data)).fingerprint == "c56ffb7899fdd764"


def test_the_fingerprint_of_a_backbone() -> None:
    def build() -> torch.nn.Module:
        layer = torch.nn.Linear(2, 3)
        for parameter in layer.parameters():
            torch.nn.init.constant_(parameter, 0.5)
        return layer

    preprocess = Preprocess(resize=8, crop=8)
    backbone = Backbone(
        name="tiny", build=build, feature_dim=3, preprocess=preprocess, categories=None
    )
    assert backbone.fingerprint == "388962b6e93489849937f23d436b6ba5"
