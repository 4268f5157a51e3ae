"""The part of an evaluation that a method has names for, if it lacks vectors of some classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from devise_exp.evaluation.protocols import EmbeddedImages, MethodOutput, Protocol

Asked = tuple[Protocol, tuple[int, ...]]  # with its ks


def nameless(output: MethodOutput) -> np.ndarray:
    """List the classes that an output is measured without.

    Args:
        output: Of a method.

    Returns:
        (M,) ids of the classes whose row is zero, if the method leaves out such classes; else none:
        it is left out of the protocols that need them.
    """
    if not output.leaves_out_classes:
        return np.array([], dtype=np.int64)
    return np.flatnonzero(~output.class_vectors.any(axis=1))


def without_images(output: MethodOutput, classes: np.ndarray) -> MethodOutput:
    """Take the images of some classes out of an output.

    Args:
        output: Of a method.
        classes: (M,) ids of the classes.

    Returns:
        The output with the other images.
    """
    parts = {}
    for name, images in output.parts.items():
        kept = ~np.isin(images.class_ids, classes)
        parts[name] = EmbeddedImages(images.vectors[kept], images.class_ids[kept])
    return replace(output, parts=parts)


def without_labels(asked: Sequence[Asked], classes: np.ndarray) -> list[Asked]:
    """Take some classes out of the labels of protocols.

    Args:
        asked: Protocols with their ks.
        classes: (M,) ids of the classes.

    Returns:
        The protocols with the other labels, each with the ks below their number; without those that
        measure nothing any more.
    """
    rest: list[Asked] = []
    for protocol, ks in asked:
        smaller = replace(
            protocol,
            candidates=protocol.candidates[~np.isin(protocol.candidates, classes)],
            classes=_others(protocol.classes, classes),
            calibrated_candidates=_others(protocol.calibrated_candidates, classes),
            seen_candidates=_others(protocol.seen_candidates, classes),
        )
        below = tuple(k for k in ks if k < len(smaller.candidates))
        if below:
            rest.append((smaller, below))
    return rest


def _others(ids: np.ndarray | None, classes: np.ndarray) -> np.ndarray | None:
    """The ids that are none of some classes; None stays."""
    return None if ids is None else ids[~np.isin(ids, classes)]
