"""Class vectors by the text tower of a model of open_clip: CLIP, SigLIP and their kin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from devise_exp.core.console import notify, progress
from devise_exp.core.errors import InputError
from devise_exp.core.files import fingerprint
from devise_exp.core.open_clip_source import OpenClipSource, open_clip_source
from devise_exp.text.descriptions import PLAIN, read_described
from devise_exp.text.templates import Templates, read_templates
from devise_exp.text.text_encoder import CutTexts, TextEncoder
from devise_exp.text.text_vectors import SentenceVectors
from devise_exp.text.word_vectors.table import empty_table

_BATCH = 64
_SHOWN = 2_000  # texts from which a bar is shown


@dataclass(frozen=True, eq=False, kw_only=True)
class OpenClipTextEncoder(TextEncoder):
    """A text tower.

    Attributes:
        source: The model.
    """

    source: OpenClipSource

    def _encode(self, texts: list[str]) -> np.ndarray:
        """Run the tower: (n, D) float32 unit rows."""
        import torch

        model, tokenizer = self._parts
        rows = []
        with progress() as bar, torch.inference_mode():
            task = bar.add_task(
                f"texts by {self.source.title}", total=len(texts), visible=len(texts) >= _SHOWN
            )
            for start in range(0, len(texts), _BATCH):
                tokens = tokenizer(texts[start : start + _BATCH])
                rows.append(model.encode_text(tokens, normalize=True).float().numpy())
                bar.advance(task, len(tokens))
        return np.concatenate(rows)

    def _cut(self, texts: list[str]) -> CutTexts:
        """Tell which texts have another reading if the tower would read one token more."""
        _, tokenizer = self._parts
        limit = int(tokenizer.context_length)
        shorter, longer = (tokenizer(texts, context_length=n).numpy() for n in (limit, limit + 1))
        filling = tokenizer([""], context_length=limit + 1).numpy()[0, -1]
        # Of a text that is cut the end mark has moved, or no filling is left.
        is_cut = (shorter != longer[:, :limit]).any(axis=1) | (longer[:, -1] != filling)
        return CutTexts(is_cut=is_cut, limit=limit)

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        """The model and its tokenizer, on the processor."""
        notify(f"loading {self.source.title}, for texts that it has not encoded yet")
        return self.source.load().eval(), self.source.tokenizer()


def text_encoder(source: OpenClipSource) -> OpenClipTextEncoder:
    """Make the encoder of a model's text tower.

    Args:
        source: The model.

    Returns:
        The encoder; the model is loaded when a new text is encoded.
    """
    return OpenClipTextEncoder(fingerprint=source.fingerprint, source=source)


def open_clip_text(
    pretrained: str | None = None,
    name: str | None = None,
    preprocess: str | Mapping[str, Any] | None = None,
    templates: Templates = 80,
    descriptions: str | Path | None = None,
    described_as: str = PLAIN,
    undescribed: str = "error",
) -> SentenceVectors:
    """Make vectors by a text tower of open_clip.

    In a config: `word_vectors=open_clip_text word_vectors.templates=7`; with backbone=open_clip it
    is the tower of the same model, unless word_vectors.pretrained says otherwise.

    Args:
        pretrained: As of `open_clip_backbone`.
        name: The network, likewise.
        preprocess: Likewise; of no matter to texts, but for the activation that goes with a tag.
        templates: 1, 7 or 80 published sentences around a name, or a list of sentences with {}.
        descriptions: As of `read_descriptions`; None for none.
        described_as: How a sentence of that file is written.
        undescribed: "error": every class needs a description; "name": others have their names in
            the templates.

    Returns:
        Vectors that any text has: of the templates filled with it, the mean of the unit vectors.

    Raises:
        InputError: The model cannot be had, or a template is wrong.

    Source:
        Radford et al., ICML 2021 (CLIP), section 3.1.4.
    """
    if not isinstance(pretrained, str):
        raise InputError(
            "word_vectors=open_clip_text: of which model? choose backbone=open_clip, or give "
            "word_vectors.pretrained=local-dir:FOLDER or word_vectors.name=ViT-B-32 "
            "word_vectors.pretrained=TAG"
        )
    prompts = read_templates("word_vectors.templates", templates)
    source = open_clip_source("word_vectors", name, pretrained, preprocess)
    encoder, n = text_encoder(source), len(prompts)
    described = read_described(descriptions, described_as, undescribed)
    return SentenceVectors(
        name=f"open_clip_text {source.title} ({n} template{'s' if n > 1 else ''}){described.title}",
        fingerprint=fingerprint(json.dumps([encoder.fingerprint, prompts, *described.content])),
        table=empty_table(encoder.dim),
        encoder=encoder,
        templates=prompts,
        descriptions=described.descriptions,
        needs_all=described.needs_all,
    )
