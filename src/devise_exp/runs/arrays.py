"""A method's output and a prior as arrays of an .npz file, by the names that they have there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from devise_exp.evaluation.protocols import PARTS, EmbeddedImages, MethodOutput
from devise_exp.methods.prior import PretrainedClassifier, Prior


def from_output(output: MethodOutput) -> dict[str, np.ndarray]:
    """Take a method's output apart.

    Args:
        output: What a method makes of the evaluated images.

    Returns:
        Arrays by name.
    """
    arrays = {"class_vectors": output.class_vectors}
    for part, images in output.parts.items():
        arrays |= {part: images.vectors, f"{part}_truth": images.class_ids}
    if output.gamma is not None:
        arrays["factor"] = np.asarray(output.gamma)
    arrays["trained_map"] = np.asarray(output.is_projection)
    arrays["reports_search"] = np.asarray(output.reports_search)
    return arrays


def to_output(name: str, arrays: Mapping[str, np.ndarray]) -> MethodOutput:
    """Put a method's output together.

    Args:
        name: Name of the method.
        arrays: What from_output made.

    Returns:
        The output. A missing array raises KeyError.
    """
    return MethodOutput(
        name=name,
        class_vectors=arrays["class_vectors"],
        parts={
            part: EmbeddedImages(arrays[part], arrays[f"{part}_truth"])
            for part in PARTS
            if part in arrays
        },
        gamma=arrays["factor"].item() if "factor" in arrays else None,
        is_projection=arrays["trained_map"].item(),
        reports_search=arrays["reports_search"].item(),
    )


def from_prior(prior: Prior) -> dict[str, np.ndarray]:
    """Take a prior apart.

    Args:
        prior: The prior of a trained model.

    Returns:
        Arrays by name.
    """
    classifier = prior.pretraining
    return {
        "weight": classifier.weight,
        "bias": classifier.bias,
        "vectors": classifier.vectors,
        "categories": np.array(classifier.categories),
        "numbers": np.array([prior.strength, prior.temperature, prior.top]),
    }


def to_prior(arrays: Mapping[str, np.ndarray]) -> Prior:
    """Put a prior together.

    Args:
        arrays: What from_prior made.

    Returns:
        The prior. A missing array raises KeyError.
    """
    names = tuple(arrays["categories"].tolist())
    classifier = PretrainedClassifier(names, arrays["weight"], arrays["bias"], arrays["vectors"])
    strength, temperature, top = arrays["numbers"].tolist()
    return Prior(classifier, strength, temperature, int(top))
