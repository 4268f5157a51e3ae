"""The classes of a run in the joint space of its backbone, if that has a text tower."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from devise_exp.features.backbones.base import Backbone
from devise_exp.methods.joint_texts import JointTexts
from devise_exp.text.open_clip_text import text_encoder
from devise_exp.text.resolution import Resolution
from devise_exp.text.text_vectors import SentenceVectors
from devise_exp.text.word_vectors.vectors import WordVectors
from devise_exp.text.wordnet.glosses import readable_name


def joint_texts(
    backbone: Backbone,
    resolutions: Sequence[Resolution],
    class_vectors: np.ndarray,
    vocabulary: WordVectors,
) -> JointTexts | None:
    """Let the backbone's own text tower name the classes.

    Args:
        backbone: The backbone.
        resolutions: The words of C classes; an alias stands for its class here too.
        class_vectors: (C, D) the run's own class vectors.
        vocabulary: Where they are from.

    Returns:
        The texts; None if the backbone has no text tower, or training moves its image tower away.
    """
    if backbone.text_tower is None or backbone.trainable:
        return None
    encoder = text_encoder(backbone.text_tower)
    is_of_tower = (
        isinstance(vocabulary, SentenceVectors)
        and vocabulary.encoder.fingerprint == encoder.fingerprint
        and vocabulary.glove is None
    )
    return JointTexts(
        names=tuple(
            r.display_name if r.rule == "alias" else readable_name(r.name) for r in resolutions
        ),
        average=encoder.average,
        class_vectors=class_vectors if is_of_tower else None,
    )


def missing_texts(backbone: Backbone) -> str:
    """Say why `joint_texts` gives none.

    Args:
        backbone: The backbone.

    Returns:
        The reason.
    """
    if backbone.text_tower is not None:
        return "its network is trained on, and leaves the space of its text tower"
    return "it has no text tower (backbone=open_clip has one)"
