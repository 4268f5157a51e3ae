"""A trained module and features to unit vectors in the space of word vectors."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def embed(projection: nn.Module, features: np.ndarray, batch_size: int = 4096) -> np.ndarray:
    """(N, feature_dim) -> (N, D) float32, each row of unit length; on the CPU, in row order."""
    was_training = projection.training
    projection.eval().cpu()
    with torch.inference_mode():
        parts = [
            F.normalize(projection(torch.from_numpy(np.array(part, dtype=np.float32)))).numpy()
            for part in np.array_split(features, max(1, -(-len(features) // batch_size)))
        ]
    projection.train(was_training)
    return np.concatenate(parts)
