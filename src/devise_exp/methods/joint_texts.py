"""The texts of classes in the joint space of a backbone that has a text tower."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from devise_exp.core.vectors import normalize_rows
from devise_exp.text.templates import Templates, fill, read_templates

PUBLISHED = 80  # templates, where neither a method nor the word vectors say which


@dataclass(frozen=True, kw_only=True, eq=False)
class JointTexts:
    """What the text tower of the backbone says of the classes.

    Attributes:
        names: C names by class id, as a sentence has them.
        average: Turns n groups of sentences into (n, D) unit rows, the mean of each group.
        class_vectors: (C, D) class vectors of the run, if the same tower gave them; else None.
    """

    names: tuple[str, ...]
    average: Callable[[Sequence[Sequence[str]]], np.ndarray]
    class_vectors: np.ndarray | None

    def vectors(self, option: str, templates: Templates | None) -> np.ndarray:
        """Encode the classes.

        Args:
            option: Name of the option `templates`, for messages.
            templates: As of `read_templates`; None: the class vectors of the run, if they are of
                this tower, else PUBLISHED ones.

        Returns:
            (C, D) float32 unit rows.
        """
        if templates is None and self.class_vectors is not None:
            return self.class_vectors
        prompts = read_templates(option, PUBLISHED if templates is None else templates)
        groups = [[fill(prompt, name) for prompt in prompts] for name in self.names]
        return normalize_rows(self.average(groups))
