"""What open_clip itself says of networks, tags and preprocessing, and the lines where it fails."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.core.open_clip_files import CONFIG, silenced
from devise_exp.core.spelling import nearest_spellings

IMAGE_KEYS = ("mean", "std", "interpolation", "resize_mode")


def import_open_clip() -> Any:
    """Import open_clip, which takes seconds.

    Returns:
        The module.

    Raises:
        InputError: It is not installed.
    """
    try:
        import open_clip
    except ImportError as error:
        raise InputError(
            "models of open_clip need open-clip-torch: pip install 'devise-exp[clip]'"
        ) from error
    return open_clip


def one_line(error: BaseException) -> str:
    """Shorten what a library says.

    Args:
        error: The error.

    Returns:
        One line of 200 characters at most.
    """
    return textwrap.shorten(str(error) or type(error).__name__, 200, placeholder=" ...")


def no_network(clip: Any, option: str, name: str | None, pretrained: str) -> str:
    """Say that open_clip does not list a network, or that nobody names one.

    Args:
        clip: The module open_clip.
        option: "backbone" or "word_vectors".
        name: The network; None if nobody names it.
        pretrained: The tag or file.

    Returns:
        The line.
    """
    if name is None:
        networks = clip.list_pretrained_models_by_tag(pretrained)
        which = f"such as {listed(networks)}" if networks else "such as ViT-B-32"
        if networks or Path(pretrained).expanduser().is_file():
            return (
                f"{option}.pretrained={pretrained}: of which network? give {option}.name, {which}"
            )
        return (
            f"{option}.pretrained={pretrained}: no such file or folder, and no tag that open_clip "
            f"knows: give local-dir:FOLDER, or a tag with {option}.name"
        )
    near = nearest_spellings(str(name), clip.list_models(), n=5)
    return (
        f"{option}.name={name}: open_clip has no such network; near ones: "
        f"{', '.join(near) or 'none'}"
    )


def bare_file(path: Path) -> str:
    """Say why a file of weights is not enough.

    Args:
        path: The file.

    Returns:
        The reason.
    """
    if (path.parent / CONFIG).is_file():
        return (
            f"{CONFIG} beside it says so (give the whole folder: local-dir:{path.parent}), the "
            "file alone does not"
        )
    return "a bare file of weights does not say how its images were prepared"


def stated_images(option: str, network: str | None, preprocess: Any, why: str) -> Mapping[str, Any]:
    """Take what a person says of the preprocessing.

    Args:
        option: "backbone" or "word_vectors".
        network: Whose tags may be named; None for that of a folder.
        preprocess: A tag, or IMAGE_KEYS with their values.
        why: Why it has to be said, for the message.

    Returns:
        IMAGE_KEYS with their values.

    Raises:
        InputError: Nobody says it, or it is neither.
    """
    clip = import_open_clip()
    if isinstance(preprocess, str) and network:
        if tag := clip.get_pretrained_cfg(network, preprocess):
            return dict(tag)
    elif isinstance(preprocess, Mapping) and set(preprocess) == set(IMAGE_KEYS):
        return dict(preprocess)
    tags = clip.list_pretrained_tags_by_model(network) if network else []
    with_tag = f"a tag of {network} that was trained alike ({listed(tags)}), or " if tags else ""
    given = "" if preprocess is None else f"; {option}.preprocess={preprocess} is neither"
    raise InputError(
        f"{option}.pretrained: {why}: give {option}.preprocess={with_tag}"
        f"{{mean: [M,M,M], std: [S,S,S], interpolation: bicubic, resize_mode: shortest}}{given}"
    )


def has_preprocessing(option: str, source: str) -> InputError:
    """Say that preprocessing is known.

    Args:
        option: "backbone" or "word_vectors".
        source: What says it.

    Returns:
        The error.
    """
    return InputError(
        f"{option}.preprocess: {source} says how its images are prepared: leave it out (it is for "
        "a bare file of weights)"
    )


def downloaded(option: str, network: str, tag: str, settings: Mapping[str, Any]) -> Path:
    """Take the file of published weights from the Hub's cache, or fetch it.

    Args:
        option: "backbone" or "word_vectors".
        network: The network.
        tag: The tag.
        settings: What open_clip knows of the tag.

    Returns:
        The file.

    Raises:
        InputError: It cannot be had.
    """
    from open_clip.pretrained import download_pretrained

    try:
        with silenced():
            path = download_pretrained(dict(settings))
    except Exception as error:  # the Hub's client has many
        raise InputError(
            f"{option}.name={network} {option}.pretrained={tag}: its weights could not be had "
            f"({one_line(error)}): fetch the model's folder elsewhere and give "
            f"{option}.pretrained=local-dir:FOLDER"
        ) from error
    return Path(path)
