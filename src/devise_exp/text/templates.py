"""Sentences around a class name, such as "a photo of a {}": those that were published with CLIP."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from devise_exp.core.errors import InputError
from devise_exp.text.wordnet.glosses import ARTICLES

ONE = "a photo of a {}."
# How many published templates -> their name in open_clip's zero_shot_metadata.
_LISTS = {7: "SIMPLE_IMAGENET_TEMPLATES", 80: "OPENAI_IMAGENET_TEMPLATES"}

Templates = int | str | Sequence[str]


def read_templates(option: str, templates: Templates) -> tuple[str, ...]:
    """Take published templates by their number, or sentences as they are.

    Args:
        option: Name of the option, for messages.
        templates: 1: "a photo of a {}."; 7 or 80: those that OpenAI chose for ImageNet; or
            sentences with {} where the name goes.

    Returns:
        The sentences.

    Raises:
        InputError: A sentence has not exactly one {}, or open_clip, which lists the published
            ones, is not installed.

    Source:
        Radford et al., ICML 2021, section 3.1.4; notebooks/Prompt_Engineering_for_ImageNet.ipynb of
        github.com/openai/CLIP.

    Example:
        >>> read_templates("templates", 1)
        ('a photo of a {}.',)
    """
    if isinstance(templates, int):
        if templates == 1:
            return (ONE,)
        if templates in _LISTS:
            return _published(_LISTS[templates])
        raise InputError(f"{option}={templates}: give 1, 7 or 80, or a list of sentences")
    prompts = (templates,) if isinstance(templates, str) else tuple(templates)
    for template in prompts or ("",):
        if not isinstance(template, str) or template.count("{}") != 1:
            raise InputError(
                f"{option} holds {template!r}: write {{}} once, where the name goes, "
                "as in ['a photo of a {}']"
            )
    return prompts


def fill(template: str, text: str) -> str:
    """Put a text into a template, with one article.

    Args:
        template: A sentence with {}.
        text: A name or a sentence.

    Returns:
        The sentence.

    Example:
        >>> fill("a photo of a {}", "a cat on a sofa")
        'a photo of a cat on a sofa'
    """
    has_article = text.partition(" ")[0].lower() in ARTICLES
    return (template.replace("a {}", "{}") if has_article else template).replace("{}", text)


@cache
def _published(name: str) -> tuple[str, ...]:
    """A list of open_clip; its module alone is read, as the package would import torch."""
    spec = importlib.util.find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "published templates are those that open_clip lists: pip install 'devise-exp[clip]', "
            "or give 1 or sentences of your own"
        )
    path = Path(spec.submodule_search_locations[0]) / "zero_shot_metadata.py"
    of_file = importlib.util.spec_from_file_location("_zero_shot_metadata", path)
    assert of_file is not None
    assert of_file.loader is not None
    module = importlib.util.module_from_spec(of_file)
    of_file.loader.exec_module(module)
    return tuple(template("{}") for template in getattr(module, name))
