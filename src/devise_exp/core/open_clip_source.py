"""Where a model of open_clip comes from: a published tag, a file of weights, or a folder.

A folder or a tag says how its images were prepared; a bare file of weights does not, and open_clip
would take OpenAI's means in silence (open_clip issue 1068). So a file asks for `preprocess`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from devise_exp.core.errors import InputError
from devise_exp.core.files import checksum, fingerprint
from devise_exp.core.name_files import listed
from devise_exp.core.open_clip_files import (
    CONFIG,
    read_folder,
    silenced,
    snapshot,
    tokenizer_files,
)
from devise_exp.core.open_clip_library import (
    IMAGE_KEYS,
    bare_file,
    downloaded,
    has_preprocessing,
    import_open_clip,
    no_network,
    one_line,
    stated_images,
)

LOCAL, HUB = "local-dir:", "hf-hub:"


@dataclass(frozen=True, kw_only=True)
class OpenClipSource:
    """A model of open_clip before it is loaded.

    Attributes:
        title: Name in tables.
        location: Name of the network that open_clip knows, or "local-dir:FOLDER".
        settings: The network's own settings, as its JSON has them.
        weights: File of the weights.
        images: How images are prepared: IMAGE_KEYS with their values.
        quick_gelu: Whether the weights were trained with OpenAI's approximate activation.
    """

    title: str
    location: str
    settings: Mapping[str, Any]
    weights: Path
    images: Mapping[str, Any]
    quick_gelu: bool = False

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the network, its weights and its tokenizer; preprocessing of images is apart."""
        content = [self.settings, self.quick_gelu, checksum(self.weights)]
        if self.location.startswith(LOCAL):
            files = tokenizer_files(Path(self.location.removeprefix(LOCAL)))
            content.append([[file.name, checksum(file)] for file in files])
        return fingerprint(json.dumps(content, sort_keys=True))

    def load(self) -> Any:
        """Build both towers with every tensor of the weights.

        Returns:
            The model of open_clip, on the processor.

        Raises:
            InputError: The weights do not fit the network, or are damaged.
        """
        import torch

        clip = import_open_clip()
        try:
            with silenced(), torch.random.fork_rng(devices=[]):
                model = clip.create_model(
                    self.location, load_weights=False, pretrained_text=False,
                    force_quick_gelu=self.quick_gelu,
                )  # fmt: skip
                clip.load_checkpoint(model, str(self.weights))
        except Exception as error:  # torch, timm and transformers meet damage with nearly any
            raise InputError(
                f"{self.weights}: these weights cannot be loaded into {self.title} "
                f"({one_line(error)}): give the folder or the file that belongs to this network"
            ) from error
        return model

    def tokenizer(self) -> Any:
        """Build what turns texts into tokens for the text tower.

        Returns:
            A function of a list of texts; (n, length) int64 tokens.

        Raises:
            InputError: Its files are missing or damaged.
        """
        clip = import_open_clip()
        try:
            with silenced():
                return clip.get_tokenizer(self.location)
        except Exception as error:  # transformers has its own for every kind of damage
            raise InputError(
                f"{self.title}: its tokenizer cannot be loaded ({one_line(error)}): put the "
                "tokenizer's files (tokenizer.json, tokenizer_config.json) into the folder of the "
                "weights"
            ) from error


def open_clip_source(
    option: str, name: str | None, pretrained: Any, preprocess: Any = None
) -> OpenClipSource:
    """Find a model of open_clip.

    Args:
        option: "backbone" or "word_vectors", for messages.
        name: Network that open_clip lists, such as ViT-B-32; None for a folder.
        pretrained: A tag of published weights, a file, a folder as open_clip saves it
            ("local-dir:FOLDER", or its path), or "hf-hub:OWNER/NAME".
        preprocess: How the images of a bare file were prepared: a tag of the same network, or
            IMAGE_KEYS with their values.

    Returns:
        Where it comes from; weights of a tag are downloaded into the cache of the Hub.

    Raises:
        InputError: There is no such network, tag, file or folder, or nothing says how images are
            prepared.
    """
    if name is not None and str(name).startswith((LOCAL, HUB)):
        name, pretrained = _only(option, name, pretrained)
    if not isinstance(pretrained, str) or not pretrained:
        raise InputError(
            f"{option}.pretrained={pretrained}: give a tag of published weights with "
            f"{option}.name=ViT-B-32, or a folder as open_clip saves it (local-dir:FOLDER)"
        )
    if pretrained.startswith(HUB):
        folder = snapshot(option, pretrained.removeprefix(HUB))
        return _of_folder(option, name, folder, preprocess, pretrained.removeprefix(HUB))
    path = Path(pretrained.removeprefix(LOCAL)).expanduser()
    if pretrained.startswith(LOCAL) or path.is_dir():
        return _of_folder(option, name, path, preprocess, path.resolve().name)
    return _of_network(option, name, pretrained, preprocess)


def _only(option: str, name: str, pretrained: Any) -> tuple[None, str]:
    """A folder or a repository as name, which open_clip takes too."""
    if pretrained not in (None, name):
        raise InputError(
            f"{option}.name={name} {option}.pretrained={pretrained}: give one of the two"
        )
    return None, name


def _of_folder(
    option: str, name: str | None, folder: Path, preprocess: Any, title: str
) -> OpenClipSource:
    if name is not None:
        raise InputError(
            f"{option}.name={name}: {folder} has its own network ({CONFIG}): leave "
            f"{option}.name out"
        )
    content = read_folder(option, folder)
    images = content.images
    if images is None:
        images = stated_images(option, None, preprocess, f"{folder / CONFIG} has no preprocess_cfg")
    elif preprocess is not None:
        raise has_preprocessing(option, str(folder))
    return OpenClipSource(
        title=title,
        location=f"{LOCAL}{folder}",
        settings=content.settings,
        weights=content.weights,
        images=images,
    )


def _of_network(option: str, name: str | None, pretrained: str, preprocess: Any) -> OpenClipSource:
    """A tag or a file of a network that open_clip lists."""
    clip, path = import_open_clip(), Path(pretrained).expanduser()
    settings = None if name is None else clip.get_model_config(str(name).replace("/", "-"))
    if settings is None:
        raise InputError(no_network(clip, option, name, pretrained))
    network = str(name).replace("/", "-")
    tag = clip.get_pretrained_cfg(network, pretrained)
    if not tag and not path.is_file():
        tags = clip.list_pretrained_tags_by_model(network)
        raise InputError(
            f"{option}.pretrained={pretrained}: {network} has no such tag, and there is no such "
            f"file or folder: choose among {listed(tags) if tags else 'no tags'}, or give "
            "local-dir:FOLDER"
        )
    if tag and preprocess is not None:
        raise has_preprocessing(option, f"{network} {pretrained}")
    if tag:
        weights, images, quick = downloaded(option, network, pretrained, tag), tag, tag
    else:
        why = bare_file(path)
        weights, images = path, stated_images(option, network, preprocess, why)
        quick = clip.get_pretrained_cfg(network, preprocess) if isinstance(preprocess, str) else {}
    return OpenClipSource(
        title=f"{network} {pretrained if tag else path.stem}",
        location=network,
        settings=settings,
        weights=weights,
        images={key: images[key] for key in IMAGE_KEYS},
        quick_gelu=bool(quick.get("quick_gelu")),
    )
