"""A network on a GPU, with copies to it and from it beside the computing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn


def start_on_cuda(
    network: nn.Module, device: str, low: bool
) -> Callable[[Tensor], Callable[[], np.ndarray]]:
    """Prepare a network to take a batch while it computes the one before.

    Args:
        network: From pixels (B, crop, crop, 3) uint8 to features, on the device.
        device: torch's name of the GPU.
        low: Compute in bfloat16.

    Returns:
        A function that starts a batch of pixels, and returns without waiting a function that waits
        for the features (B, feature_dim) float32. The pixels may change when the first returns.
    """
    copies = torch.cuda.Stream(device)

    def start(pixels: Tensor) -> Callable[[], np.ndarray]:
        with (
            torch.cuda.device(device),
            torch.inference_mode(),
            torch.autocast("cuda", torch.bfloat16, enabled=low),
        ):
            # torch gives pinned memory to no other batch before the copy from it has ended.
            pinned = pixels.pin_memory()
            with torch.cuda.stream(copies):
                moved = pinned.to(device, non_blocking=True)
            computing = torch.cuda.current_stream()
            computing.wait_stream(copies)
            moved.record_stream(computing)
            features = network(moved).float()
            result = torch.empty(features.shape, dtype=torch.float32, pin_memory=True)
            result.copy_(features, non_blocking=True)
            done = torch.cuda.Event()
            done.record()

        def finish() -> np.ndarray:
            done.synchronize()
            rows: np.ndarray = result.numpy()
            return rows

        return finish

    return start
