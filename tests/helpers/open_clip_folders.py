"""Folders of open_clip models with random weights, in the layout in which open_clip publishes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.push_to_hf_hub import save_config_for_hf, save_for_hf
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

SIZE, DIM = 32, 24
CLIP: dict[str, Any] = {
    "embed_dim": DIM,
    "vision_cfg": {"image_size": SIZE, "layers": 1, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {
        "context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1,
    },
}  # fmt: skip
SIGLIP: dict[str, Any] = {
    "embed_dim": 64,
    "init_logit_bias": -10,
    "custom_text": True,
    "vision_cfg": {
        "image_size": SIZE, "timm_model_name": "test_vit", "timm_model_pretrained": False,
        "timm_pool": "map", "timm_proj": "none",
    },
    "text_cfg": {
        "context_length": 16, "vocab_size": 400, "hf_tokenizer_name": "nobody/has-this",
        "tokenizer_kwargs": {"clean": "canonicalize"}, "width": 32, "heads": 2, "layers": 1,
        "no_causal_mask": True, "proj_bias": True, "pool_type": "last",
    },
}  # fmt: skip
IMAGES = {
    "clip": {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.25), "interpolation": "bicubic",
             "resize_mode": "shortest"},
    "siglip": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "interpolation": "bicubic",
               "resize_mode": "squash"},
}  # fmt: skip
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def write_folder(folder: Path, kind: str = "clip", seed: int = 0) -> Path:
    """A model of random weights, its preprocessing and, of a SigLIP, its tokenizer."""
    settings = {"clip": CLIP, "siglip": SIGLIP}[kind]
    model = random_model(settings, IMAGES[kind], folder.parent, seed)
    if kind == "siglip":
        save_for_hf(model, letters_tokenizer(), settings, str(folder), safe_serialization=True)
    else:  # its tokenizer comes with open_clip
        folder.mkdir(parents=True)
        save_file(model.state_dict(), folder / "open_clip_model.safetensors")
        save_config_for_hf(model, folder / "open_clip_config.json", model_config=settings)
    return folder


def random_model(settings: dict[str, Any], images: dict[str, Any], folder: Path, seed: int) -> Any:
    """As open_clip builds it; texts and images of different content lie well apart."""
    import json

    folder.mkdir(parents=True, exist_ok=True)
    config = folder / f"tiny-{settings['embed_dim']}.json"
    config.write_text(json.dumps(settings))
    open_clip.add_model_config(config)
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = open_clip.create_model(config.stem, force_preprocess_cfg=images)
        for tensor in model.parameters():
            if tensor.ndim > 1:
                torch.nn.init.normal_(tensor, std=0.5)
    logging.root.setLevel(level)
    return model


class LettersTokenizer(open_clip.tokenizer.HFTokenizer):
    """A tokenizer of letters, which saves itself as those of transformers do."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer


def letters_tokenizer() -> LettersTokenizer:
    vocabulary = {token: i for i, token in enumerate(["<pad>", "</s>", "<unk>", *LETTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    return LettersTokenizer(fast)
