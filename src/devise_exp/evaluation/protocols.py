"""Protocols: which images are ranked among which labels, and what a method brings to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from devise_exp.core.errors import InputError

KS = (1, 2, 3, 5, 10, 20)
MODEL = "devise"


@dataclass(frozen=True)
class MethodOutput:
    """What one method makes of the evaluated images, in its own space.

    class_vectors: (C, D) unit rows, one per class id; seen (n, D) and unseen (m, D) unit
    embeddings of seen test and unseen images, with their class ids; train likewise, where the
    training images are evaluated too. A method that cannot name a class has a zero row for it (the
    softmax baseline, for unseen classes) and is left out where that class is a candidate. factor:
    by which calibrated stacking lowers the similarity of seen labels, None where nothing chose one.
    trained_map: whether it is a map trained to the class vectors.
    """

    name: str
    class_vectors: np.ndarray
    seen: np.ndarray
    seen_truth: np.ndarray
    unseen: np.ndarray
    unseen_truth: np.ndarray
    train: np.ndarray | None = None
    train_truth: np.ndarray | None = None
    factor: float | None = None
    trained_map: bool = False

    def __post_init__(self) -> None:
        if len(self.seen) != len(self.seen_truth) or len(self.unseen) != len(self.unseen_truth):
            raise ValueError(f"{self.name}: embeddings and truths differ in number")

    def with_labels(self, vectors: np.ndarray) -> MethodOutput:
        """The same with further candidate labels, (E, D) unit rows, after its own."""
        return replace(self, class_vectors=np.concatenate([self.class_vectors, vectors]))


@dataclass(frozen=True, eq=False)
class Protocol:
    """`images` ("seen", "unseen" or "train") ranked among the class ids `candidates`.

    classes: only the images of these class ids, None for all. lowered: those candidates whose
    similarity a method's factor lowers (calibrated stacking), None for none.
    """

    name: str
    images: str
    candidates: np.ndarray
    classes: np.ndarray | None = None
    lowered: np.ndarray | None = None


def standard_protocols(
    seen: np.ndarray,
    unseen: np.ndarray,
    extra: np.ndarray | None = None,
    train: bool = False,
    leaked: np.ndarray | None = None,
    calibrated: bool = False,
) -> tuple[Protocol, ...]:
    """Seen among seen, unseen among unseen, and both among all labels (generalised).

    extra: ids of labels beyond the run's classes; they give two more protocols, both among all
    labels and these. train: one more, training images among seen labels. leaked: ids of the unseen
    classes that the pretraining knew; where there are any, the images of those and of the others
    also apart. calibrated: both among all labels also by calibrated stacking.
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
            Protocol("calibrated_seen", "seen", both, lowered=seen),
            Protocol("calibrated_unseen", "unseen", both, lowered=seen),
        )
    if leaked is not None and len(leaked):
        for name, classes in (("clean", np.setdiff1d(unseen, leaked)), ("leaked", leaked)):
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


def names_all(model: MethodOutput, candidates: np.ndarray) -> bool:
    """Whether the model has a vector for each of these class ids."""
    known = candidates.max() < len(model.class_vectors)
    return known and bool(model.class_vectors[candidates].any(axis=1).all())
