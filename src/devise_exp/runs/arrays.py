"""A method's output and a prior as arrays of an .npz file, by the names that they have there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from devise_exp.evaluation.gamma_spread import GammaSpread
from devise_exp.evaluation.protocols import PARTS, EmbeddedImages, MethodOutput
from devise_exp.methods.pretraining_words import PretrainingWords
from devise_exp.methods.prior import PretrainedClassifier, Prior
from devise_exp.methods.word_classifiers import ClassifierShare, WordClassifiers
from devise_exp.runs import checked


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
    if (spread := output.gamma_spread) is not None:
        arrays["factor_folds"] = np.asarray(spread.per_fold)
        arrays["factor_interval"] = np.asarray([spread.low, spread.high])
    arrays["trained_map"] = np.asarray(output.is_projection)
    arrays["reports_search"] = np.asarray(output.reports_search)
    if output.draws > 1:
        arrays["draws"] = np.asarray(output.draws)
    if output.leaves_out_classes:
        arrays["leaves_out_classes"] = np.asarray(True)
    if output.none_threshold is not None:
        arrays["none_threshold"] = np.asarray(output.none_threshold)
    return arrays


def to_output(name: str, arrays: Mapping[str, np.ndarray], classes: int | None) -> MethodOutput:
    """Put a method's output together.

    Args:
        name: Name of the method.
        arrays: What from_output made.
        classes: Number of classes of the run, None if it is not known.

    Returns:
        The output. A missing array raises KeyError, a wrong one ValueError or TypeError.
    """
    class_vectors = checked.matrix(arrays["class_vectors"], rows=classes)
    c, dim = class_vectors.shape
    return MethodOutput(
        name=name,
        class_vectors=class_vectors,
        parts={
            part: EmbeddedImages(
                checked.matrix(arrays[part], columns=dim),
                checked.ids(arrays[f"{part}_truth"], below=c),
            )
            for part in PARTS
            if part in arrays or part != "train"
        },
        gamma=float(checked.gamma(arrays["factor"])) if "factor" in arrays else None,
        gamma_spread=_spread(arrays) if "factor_folds" in arrays else None,
        is_projection=checked.flag(arrays["trained_map"]),
        reports_search=checked.flag(arrays["reports_search"]),
        leaves_out_classes=checked.flag(arrays.get("leaves_out_classes", False)),
        none_threshold=_threshold(arrays),
        draws=int(checked.number(arrays["draws"])) if "draws" in arrays else 1,
    )


def _threshold(arrays: Mapping[str, np.ndarray]) -> float | None:
    """Read the threshold of "none of the labels"; a run of before has none."""
    return float(checked.gamma(arrays["none_threshold"])) if "none_threshold" in arrays else None


def _spread(arrays: Mapping[str, np.ndarray]) -> GammaSpread:
    """Read how sure gamma is."""
    low, high = map(float, checked.vector(arrays["factor_interval"], length=2))
    per_fold = tuple(map(float, checked.vector(arrays["factor_folds"])))
    return GammaSpread(per_fold=per_fold, low=low, high=high)


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
        The prior. A missing array raises KeyError, a wrong one ValueError or TypeError.
    """
    names = checked.texts(arrays["categories"].tolist())
    weight = checked.matrix(arrays["weight"], rows=len(names))
    bias = checked.vector(arrays["bias"], length=len(names))
    vectors = checked.matrix(arrays["vectors"], rows=len(names))
    strength, temperature, top = map(float, checked.vector(arrays["numbers"], length=3))
    if not (strength >= 0 and temperature > 0 and top >= 1):
        raise ValueError(f"no prior of strength {strength}, temperature {temperature}, top {top}")
    classifier = PretrainedClassifier(names, weight, bias, vectors)
    return Prior(classifier, strength, temperature, int(top))


def from_classifiers(share: ClassifierShare) -> dict[str, np.ndarray]:
    """Take predicted classifiers apart.

    Args:
        share: Those of a trained model.

    Returns:
        Arrays by name.
    """
    classifiers = share.classifiers
    return {
        "centre": classifiers.centre,
        "vectors": classifiers.vectors,
        "coefficients": classifiers.coefficients,
        "image_centre": classifiers.image_centre,
        "numbers": np.array([share.share, classifiers.tau]),
    }


def to_classifiers(arrays: Mapping[str, np.ndarray]) -> ClassifierShare:
    """Put predicted classifiers together.

    Args:
        arrays: What from_classifiers made.

    Returns:
        The classifiers with their share. A missing array raises KeyError, a wrong one ValueError or
        TypeError.
    """
    vectors = checked.matrix(arrays["vectors"])
    coefficients = checked.matrix(arrays["coefficients"], rows=len(vectors))
    share, tau = map(float, checked.vector(arrays["numbers"], length=2))
    if not (0 < share <= 1 and tau > 0):
        raise ValueError(f"no classifiers of share {share}, tau {tau}")
    classifiers = WordClassifiers(
        centre=checked.vector(arrays["centre"], length=vectors.shape[1]),
        vectors=vectors,
        coefficients=coefficients,
        tau=tau,
        image_centre=checked.vector(arrays["image_centre"], length=coefficients.shape[1]),
    )
    return ClassifierShare(classifiers=classifiers, share=share)


def to_classifier(arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Check the classifier of the space of that name.

    Args:
        arrays: `weight` (S, F) and `bias` (S,).

    Returns:
        Both. A missing array raises KeyError, a wrong one ValueError.
    """
    weight = checked.matrix(arrays["weight"])
    return weight, checked.vector(arrays["bias"], length=len(weight))


def from_pretraining_words(words: PretrainingWords) -> dict[str, np.ndarray]:
    """Take the words of a pretraining apart.

    Args:
        words: Those of the space "pretraining".

    Returns:
        Arrays by name.
    """
    return {
        "ids": words.ids,
        "categories": np.array(words.categories),
        "vectors": words.vectors,
    }


def to_pretraining_words(arrays: Mapping[str, np.ndarray]) -> PretrainingWords:
    """Put the words of a pretraining together.

    Args:
        arrays: What from_pretraining_words made.

    Returns:
        The words. A missing array raises KeyError, a wrong one ValueError or TypeError.
    """
    names = checked.texts(arrays["categories"].tolist())
    ids = checked.ids(arrays["ids"])
    if not len(ids) or len(ids) != len(names) or ids.min() < 0:
        raise ValueError("no positions of the classes")
    vectors = checked.matrix(arrays["vectors"], rows=len(names))
    return PretrainingWords(ids=ids, categories=names, vectors=vectors)
