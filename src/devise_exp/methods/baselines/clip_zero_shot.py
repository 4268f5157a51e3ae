"""Class texts against images in the joint space of CLIP and its kin: nothing is trained."""

from __future__ import annotations

from dataclasses import dataclass

from devise_exp.core.errors import InputError
from devise_exp.core.vectors import normalize_rows
from devise_exp.methods.method import FittedMethod, Hyperparameters, Method
from devise_exp.methods.task import Task
from devise_exp.text.templates import Templates


@dataclass(frozen=True, kw_only=True)
class ClipZeroShot(Method):
    """Take the class whose text is nearest to the image, as the two towers were trained.

    The tower may have read captions of any class, so "unseen" classes are unseen by this run alone.
    A choice is made of gamma only, on class folds, as for every method.

    Attributes:
        name: As of Method.
        templates: 1, 7 or 80 published sentences, or a list of sentences with {}; None: those of
            word_vectors=open_clip_text if it is the same tower (with its descriptions), else 80.

    Source:
        Radford et al., ICML 2021, section 3.1.
    """

    name: str = "clip_zero_shot"
    templates: Templates | None = None
    uses_seed = False
    needs_texts = True
    reports_search = True

    def _fit(self, task: Task, hyperparameters: Hyperparameters) -> FittedMethod:
        if task.texts is None:
            raise InputError(
                f"{self.name}: the backbone has no text tower in the space of its features: choose "
                "backbone=open_clip, not trainable, or leave this method out"
            )
        vectors = task.texts.vectors(f"method.{self.name}.templates", self.templates)
        return FittedMethod(vectors, normalize_rows)
