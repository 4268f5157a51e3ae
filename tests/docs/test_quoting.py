"""Commands of the pages can be pasted into zsh too, to which an unquoted bracket is a pattern."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.pages import PAGES, page_id

QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
INDENTED = re.compile(r"^ {4}((?:python|devise-exp|pip) (?:.*\\\n)*.*\n)", re.MULTILINE)
PROMPT = re.compile(r"^(?:python|devise-exp|pip|torchrun|srun|sbatch|evaluate\.py|train\.py)\b")
OPTION = re.compile(r"^[+~]*[a-z_]+(?:[./][\w]+)*=\S")


def unquoted(text: str) -> list[str]:
    """The commands and options of a page with a bracket or a brace outside of quotes."""
    text = text.partition("| Python | command line |")[0]  # of python.md: keywords look alike
    fences = re.findall(r"^```(?:bash)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    fences += INDENTED.findall(text)
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    codes = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)]
    lines = "\n".join(fences).replace("\\\n", " ").splitlines()
    return [
        line
        for line in [*lines, *codes]
        if (PROMPT.match(line) or OPTION.match(line))
        and re.search(r"[\[{(]", QUOTED.sub("", line.partition(" #")[0]))
    ]


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_brackets_in_commands_are_quoted(page: Path) -> None:
    assert unquoted(page.read_text(encoding="utf-8")) == []


def test_a_bracket_without_quotes_is_seen() -> None:
    page = "Say `logger=[wandb,csv]` or:\n\n```\npython train.py 'a=[1]' b=[1]\n```\n"
    assert unquoted(page) == ["python train.py 'a=[1]' b=[1]", "logger=[wandb,csv]"]
    assert unquoted(page.replace("b=[1]", '"b=[1]"').replace("logger=[wandb,csv]", "x")) == []
