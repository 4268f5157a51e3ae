"""Protocols (which images are ranked among which labels), and method outputs to rank."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from devise_exp.evaluation.gamma_spread import GammaSpread

MODEL = "devise"
PARTS = ("seen", "unseen", "train")


@dataclass(frozen=True, eq=False)
class EmbeddedImages:
    """Images of one part of the split, embedded by one method.

    Attributes:
        vectors: (N, D) unit rows in the method's space.
        class_ids: (N,) ids of their true classes.
    """

    vectors: np.ndarray
    class_ids: np.ndarray

    def __post_init__(self) -> None:
        if len(self.vectors) != len(self.class_ids):
            n = f"{len(self.vectors)} and {len(self.class_ids)}"
            raise ValueError(f"embeddings and class ids differ in number: {n}")


@dataclass(frozen=True, kw_only=True, eq=False)
class MethodOutput:
    """The evaluated images and all class vectors in one method's space.

    Attributes:
        name: Name of the method.
        class_vectors: (C, D) unit rows, one per class id. A class that the method cannot name has a
            zero row (an unseen class of the softmax baseline); protocols with that candidate leave
            the method out.
        parts: Embedded images by part of the split: "seen" (test images of seen classes), "unseen"
            and, if training images are evaluated too, "train".
        gamma: Number that calibrated stacking subtracts from the similarity of seen labels, None if
            none was chosen.
        gamma_spread: How sure it is; None if that is unknown (in older runs).
        is_projection: Whether the method is a projection trained to the class vectors.
        reports_search: Whether the metrics of image search by words are reported for it.
        draws: Number of spaces of equal width, side by side in D, that are measured one by one.
        leaves_out_classes: Whether it is measured without the classes of a zero row.
        none_threshold: Largest cosine with a label below which an image is of none of the labels;
            None if none was chosen.
    """

    name: str
    class_vectors: np.ndarray
    parts: dict[str, EmbeddedImages]
    gamma: float | None = None
    gamma_spread: GammaSpread | None = None
    is_projection: bool = False
    reports_search: bool = False
    draws: int = 1
    leaves_out_classes: bool = False
    none_threshold: float | None = None

    def __post_init__(self) -> None:
        if self.draws < 1 or self.class_vectors.shape[1] % self.draws:
            width = self.class_vectors.shape[1]
            raise ValueError(f"{self.name}: {self.draws} draws do not divide a width of {width}")
        if not {"seen", "unseen"} <= set(self.parts) <= set(PARTS):
            raise ValueError(f"{self.name}: parts {list(self.parts)}: give seen, unseen, train")

    @property
    def seen(self) -> EmbeddedImages:
        """Test images of seen classes."""
        return self.parts["seen"]

    @property
    def unseen(self) -> EmbeddedImages:
        """Images of unseen classes."""
        return self.parts["unseen"]

    def with_labels(self, vectors: np.ndarray) -> MethodOutput:
        """Add candidate labels after the method's classes.

        Args:
            vectors: (E, D) unit rows of the further labels.

        Returns:
            The method output with C + E class vectors.
        """
        return replace(self, class_vectors=np.concatenate([self.class_vectors, vectors]))

    def can_name(self, class_ids: np.ndarray) -> bool:
        """Tell whether the method has a vector for every one of these classes.

        Args:
            class_ids: (M,) class ids.

        Returns:
            False if one of them has a zero row, or none at all.
        """
        exist = class_ids.max() < len(self.class_vectors)
        return exist and bool(self.class_vectors[class_ids].any(axis=1).all())


@dataclass(frozen=True, kw_only=True, eq=False)
class Protocol:
    """Which images are ranked among which labels.

    Attributes:
        name: Name of the protocol.
        images: Part of the images: "seen", "unseen" or "train".
        candidates: (M,) ids of the labels that they are ranked among.
        classes: (c,) ids of the classes whose images count, None for all.
        calibrated_candidates: (m,) ids of those candidates from whose similarity a method's gamma
            is subtracted (calibrated stacking), None for none.
        seen_candidates: (m,) ids of the candidates that are seen classes, where both kinds are
            ranked; None elsewhere. If it is not given, the classes that have seen images count.
    """

    name: str
    images: str
    candidates: np.ndarray
    classes: np.ndarray | None = None
    calibrated_candidates: np.ndarray | None = None
    seen_candidates: np.ndarray | None = None


def standard_protocols(
    seen: np.ndarray,
    unseen: np.ndarray,
    extra: np.ndarray | None = None,
    train: bool = False,
    overlapping: np.ndarray | None = None,
    calibrated: bool = False,
    unidentified: np.ndarray | None = None,
) -> tuple[Protocol, ...]:
    """Make the protocols of a run.

    Args:
        seen: Ids of the seen classes.
        unseen: Ids of the unseen classes.
        extra: Ids of labels beyond the run's classes.
        train: Whether training images are evaluated too.
        overlapping: Ids of the unseen classes that the pretraining knew.
        calibrated: Whether a gamma was chosen.
        unidentified: Ids of the unseen classes of which nobody knows whether the pretraining knew
            them: possibly overlapping, or not identified.

    Returns:
        Seen among seen, unseen among unseen, both among all labels (generalised), by calibrated
        stacking, clean unseen classes and others apart, extra labels, training images.
    """
    both = np.concatenate([seen, unseen])
    protocols = [
        Protocol(name="seen", images="seen", candidates=seen),
        Protocol(name="unseen", images="unseen", candidates=unseen),
        *_both_sides("all", both, seen),
    ]
    if calibrated:
        protocols += _both_sides("calibrated", both, seen, calibrated=True)
    protocols += _apart(unseen, overlapping, unidentified)
    if extra is not None and len(extra):
        protocols += _both_sides("extra", np.concatenate([both, extra]), seen)
    if train:
        protocols.append(Protocol(name="train", images="train", candidates=seen))
    return tuple(protocols)


def _both_sides(
    name: str, candidates: np.ndarray, seen: np.ndarray, calibrated: bool = False
) -> list[Protocol]:
    """Seen and unseen images among the same candidates."""
    return [
        Protocol(
            name=f"{name}_{side}",
            images=side,
            candidates=candidates,
            calibrated_candidates=seen if calibrated else None,
            seen_candidates=seen,
        )
        for side in ("seen", "unseen")
    ]


def _apart(
    unseen: np.ndarray, overlapping: np.ndarray | None, unidentified: np.ndarray | None
) -> list[Protocol]:
    """Images of unseen classes by verdict, each among all unseen labels; none if all are clean."""
    none = np.array([], dtype=np.int64)
    known = none if overlapping is None else overlapping
    unknown = none if unidentified is None else unidentified
    clean = np.setdiff1d(unseen, np.concatenate([known, unknown]))
    parts = {"clean": clean, "leaked": known, "unidentified": unknown}
    return [
        Protocol(name=f"unseen_{name}", images="unseen", candidates=unseen, classes=ids)
        for name, ids in parts.items()
        if len(ids) and (len(known) or len(unknown))
    ]
