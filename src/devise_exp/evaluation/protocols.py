"""Protocols: which images are ranked among which labels, and what a method brings to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from devise_exp.core.errors import InputError

KS = (1, 2, 3, 5, 10, 20)
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
        is_projection: Whether the method is a projection trained to the class vectors.
    """

    name: str
    class_vectors: np.ndarray
    parts: dict[str, EmbeddedImages]
    gamma: float | None = None
    is_projection: bool = False

    def __post_init__(self) -> None:
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


@dataclass(frozen=True, eq=False)
class Protocol:
    """`images` ("seen", "unseen" or "train") ranked among the class ids `candidates`.

    classes: only the images of these class ids, None for all. lowered: those candidates whose
    similarity a method's gamma lowers (calibrated stacking), None for none.
    """

    name: str
    images: str
    candidates: np.ndarray
    classes: np.ndarray | None = None
    calibrated_candidates: np.ndarray | None = None


def standard_protocols(
    seen: np.ndarray,
    unseen: np.ndarray,
    extra: np.ndarray | None = None,
    train: bool = False,
    overlapping: np.ndarray | None = None,
    calibrated: bool = False,
) -> tuple[Protocol, ...]:
    """Seen among seen, unseen among unseen, and both among all labels (generalised).

    extra: ids of labels beyond the run's classes; they give two more protocols, both among all
    labels and these. train: one more, training images among seen labels. overlapping: ids of the
    unseen classes that the pretraining knew; where there are any, the images of those and of the
    others also apart. calibrated: both among all labels also by calibrated stacking.
    """
    both = np.concatenate([seen, unseen])
    rows: tuple[Protocol, ...] = (
        Protocol("seen", "seen", seen),
        Protocol("unseen", "unseen", unseen),
        Protocol("all_seen", "seen", both),
        Protocol("all_unseen", "unseen", both),
    )
    if calibrated:
        rows += (
            Protocol("calibrated_seen", "seen", both, calibrated_candidates=seen),
            Protocol("calibrated_unseen", "unseen", both, calibrated_candidates=seen),
        )
    if overlapping is not None and len(overlapping):
        for name, classes in (
            ("clean", np.setdiff1d(unseen, overlapping)),
            ("leaked", overlapping),
        ):
            if len(classes):
                rows += (Protocol(f"unseen_{name}", "unseen", unseen, classes),)
    if extra is not None and len(extra):
        wide = np.concatenate([both, extra])
        rows += (Protocol("extra_seen", "seen", wide), Protocol("extra_unseen", "unseen", wide))
    if train:
        rows += (Protocol("train", "train", seen),)
    return rows


def select_protocols(
    available: Sequence[Protocol], names: Sequence[str] | str | None
) -> tuple[Protocol, ...]:
    """The protocols of these names, or of this one; all where names is None."""
    known = [protocol.name for protocol in available]
    if isinstance(names, str):
        names = [names]
    if names is not None and (not names or not set(names) <= set(known)):
        raise InputError(f"protocols={list(names)}: choose among {', '.join(known)}")
    return tuple(p for p in available if names is None or p.name in names)


def ks_of(protocol: Protocol, ks: Sequence[int] | int | None) -> tuple[int, ...]:
    """The ks to report: those given, sorted; None: those of KS that `protocol` has candidates for.

    InputError for one that is no whole number from 1 to the number of candidates.
    """
    n = len(protocol.candidates)
    if ks is None:
        return tuple(k for k in KS if k <= n)
    given = [ks] if isinstance(ks, int | float | str) else list(ks)
    wrong = [k for k in given if type(k) is not int or not 0 < k <= n]
    if wrong or not given:
        asked = f": hit@{wrong[0]} cannot be asked" if wrong else " asks nothing"
        raise InputError(
            f"ks={given}{asked} of the {n} candidates of {protocol.name}: give ks between 1 and {n}"
        )
    return tuple(sorted(set(given)))
