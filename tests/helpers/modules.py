"""A small module to train and to save."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from devise_exp.methods import losses, projection
from devise_exp.training.module import DeviseModule

CLASSES, DIM, FEATURE_DIM = 5, 4, 6


def module(backbone: nn.Module | None = None, dim: int = DIM, **more: object) -> DeviseModule:
    torch.manual_seed(0)
    vectors = nn.functional.normalize(torch.randn(CLASSES, dim))
    optimizer = partial(torch.optim.SGD, lr=0.5)
    mapping = projection.linear(FEATURE_DIM, dim)
    return DeviseModule(mapping, losses.cosine, vectors, optimizer, backbone=backbone, **more)
