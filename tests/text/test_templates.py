"""The published templates: how many, which, and one line for what is none."""

from __future__ import annotations

import subprocess
import sys

import open_clip
import pytest

from devise_exp.core.errors import InputError
from devise_exp.text.templates import fill, read_templates


def test_the_published_lists_are_those_of_open_clip_and_are_counted() -> None:
    lists = {7: open_clip.SIMPLE_IMAGENET_TEMPLATES, 80: open_clip.OPENAI_IMAGENET_TEMPLATES}
    for n, published in lists.items():
        templates = read_templates("templates", n)
        assert len(templates) == len(set(templates)) == n
        for template, sentence in zip(templates, published, strict=True):
            assert fill(template, "okapi") == sentence("okapi")
    # Of the 7, "itap of a {}." and "a {} in a video game." show that both lists are OpenAI's.
    assert set(read_templates("templates", 7)) < set(read_templates("templates", 80))
    assert read_templates("templates", 1) == ("a photo of a {}.",)


def test_the_lists_are_read_without_torch() -> None:
    code = (
        "import sys\nfrom devise_exp.text.templates import read_templates\n"
        "print(len(read_templates('t', 80)), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["80", "False"]


@pytest.mark.parametrize("templates", [[], ["a photo"], ["{} {}"], [3], 2, 0])
def test_what_is_no_template_is_one_line(templates: object) -> None:
    with pytest.raises(InputError, match=r"^word_vectors\.templates"):
        read_templates("word_vectors.templates", templates)  # type: ignore[arg-type]
