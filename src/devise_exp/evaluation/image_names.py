"""What a backbone's own classifier calls the images of a class: a second opinion for the audit.

The overlap audit reads names, so "billiards" is clean though the pretraining has pool tables. Here
images speak: if most of those of a clean class have one pretraining class, it may be the same
thing. That is a report for a person to read, never a choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from devise_exp.data.verdict_kinds import CLEAN
from devise_exp.text.names import split_synonyms

MOST_NAMES = 3


@dataclass(frozen=True, kw_only=True)
class ImageNames:
    """The pretraining classes that the backbone's own classifier puts images of a class into.

    Attributes:
        n: How many images were asked for: the training images of a seen class, all of an unseen
            one.
        names: The most frequent classes with their numbers of images, most frequent first.
    """

    n: int
    names: tuple[tuple[str, int], ...]

    @property
    def text(self) -> str:
        """Such as "pool table 38, desk 2 of 40"; "" for no images."""
        if not self.names:
            return ""
        return f"{', '.join(f'{name} {count:,}' for name, count in self.names)} of {self.n:,}"

    def is_doubtful(self, verdict: str) -> bool:
        """Tell whether the images contradict the audit of the name.

        Args:
            verdict: The verdict of the overlap audit.

        Returns:
            Whether the class is clean by its name and more than half of its images have one name.
        """
        return verdict == CLEAN and bool(self.names) and 2 * self.names[0][1] > self.n


def names_of_images(category_ids: np.ndarray, categories: Sequence[str]) -> ImageNames:
    """Count the pretraining classes of the images of one class.

    Args:
        category_ids: (n,) the most probable pretraining class of each image.
        categories: Names of the K pretraining classes, one "name, synonym, ..." for each.

    Returns:
        The most frequent ones; of equally frequent ones those that come first in `categories`.

    Example:
        >>> names_of_images(np.array([1, 0, 1]), ["desk", "pool table, billiard table"]).text
        'pool table 2, desk 1 of 3'
    """
    counts = np.bincount(category_ids, minlength=len(categories))
    order = np.argsort(-counts, kind="stable")[:MOST_NAMES]
    return ImageNames(
        n=len(category_ids),
        names=tuple((split_synonyms(categories[i])[0], int(counts[i])) for i in order if counts[i]),
    )


def doubtful_classes(
    names: Mapping[str, ImageNames | None], verdicts: Mapping[str, str]
) -> dict[str, ImageNames]:
    """Find the classes whose images contradict the audit of their names.

    Args:
        names: Class -> what its images are called, None if that is unknown.
        verdicts: Unseen class -> the verdict of the overlap audit.

    Returns:
        The clean classes most of whose images have one name, with their names.
    """
    return {
        name: image_names
        for name, image_names in names.items()
        if image_names is not None and image_names.is_doubtful(verdicts.get(name, ""))
    }
