"""Method outputs for tests, from plain arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from devise_exp.evaluation.protocols import PARTS, EmbeddedImages, MethodOutput


def method_output(
    name: str, class_vectors: np.ndarray, *arrays: np.ndarray, **options: Any
) -> MethodOutput:
    """Build a method output.

    Args:
        name: Name of the method.
        class_vectors: (C, D) rows by class id.
        *arrays: Vectors and class ids of the seen images, then of the unseen ones, then, if they
            are evaluated, of the training images.
        **options: Further fields of MethodOutput.

    Returns:
        The output with these parts.
    """
    pairs = zip(PARTS, arrays[::2], arrays[1::2], strict=False)
    parts = {part: EmbeddedImages(vectors, ids) for part, vectors, ids in pairs}
    return MethodOutput(name=name, class_vectors=class_vectors, parts=parts, **options)
