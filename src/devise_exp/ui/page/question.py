"""What a post to the page's server has to be, before gradio takes it apart."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

from devise_exp.core.errors import InputError
from devise_exp.evaluation.protocols import MODEL
from devise_exp.methods.pretraining_words import PRETRAINING
from devise_exp.search.saved_run import Run

MAX_HITS = 60
VALUES = (
    "the words, the image, the gallery, the number of images, whether classes are calibrated, "
    "the space"
)
# Routes that ask, below /gradio_api/; and those that a browser also posts to.
ASKING = ("queue/join", "call/search", "run/search", "api/search")
OTHERS = ("reset", "cancel")


def word_spaces(run: Run) -> list[str]:
    """List the spaces that the page searches.

    Args:
        run: The run.

    Returns:
        Those in which words meet images, the trained one first.
    """
    return [space for space in run.spaces if space in (MODEL, PRETRAINING)]


def check_question(
    body: bytes, galleries: Collection[str], spaces: Collection[str], uploads: Path
) -> None:
    """Check a question, which anyone on this machine may send in any form.

    Args:
        body: What was posted.
        galleries: Names that may be searched.
        spaces: Spaces that may be searched.
        uploads: The folder of the files that the server was sent.

    Raises:
        InputError: If it is no question of the page; the line says which value is wrong.
    """
    try:
        question = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError("the question is not JSON: send data, a list of values") from error
    values = question.get("data") if isinstance(question, dict) else None
    if not isinstance(values, list) or len(values) != 6:
        raise InputError(f"the question needs six values: send data, a list of {VALUES}")
    if question.get("fn_index", 0) != 0 or isinstance(question.get("fn_index"), bool):
        raise InputError("fn_index: the page answers one kind of question: leave it out")
    text, file, gallery, k, calibrated, space = values
    _check_text(text)
    _check_file(file, uploads)
    if gallery not in galleries:
        raise InputError(f"the gallery {_shown(gallery)}: choose among {', '.join(galleries)}")
    if (
        isinstance(k, bool)
        or not isinstance(k, int | float)
        or not math.isfinite(k)
        or k != int(k)
        or not 1 <= k <= MAX_HITS
    ):
        raise InputError(
            f"the number of images is {_shown(k)}: give a whole number from 1 to {MAX_HITS}"
        )
    if not isinstance(calibrated, bool):
        raise InputError(f"calibrated is {_shown(calibrated)}: give true or false")
    if space not in spaces:
        raise InputError(f"the space {_shown(space)}: choose among {', '.join(spaces)}")


def _check_text(text: Any) -> None:
    if not isinstance(text, str):
        raise InputError(f"the words are {_shown(text)}: give a text, which may be empty")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError("the words hold half a character: give whole ones") from error


def _check_file(file: Any, uploads: Path) -> None:
    """InputError unless the image is none, or a file that the server was sent."""
    if file is None:
        return
    path = file.get("path") if isinstance(file, dict) else None
    if not isinstance(path, str) or not path:
        raise InputError(f"the image is {_shown(file)}: send null, or what the upload has answered")
    try:
        whole = Path(path).resolve()
        sent = whole.is_relative_to(uploads.resolve()) and whole.is_file()
    except (OSError, ValueError, RuntimeError):  # no path at all, or a link to itself
        sent = False
    if not sent:
        raise InputError(f"the image {_shown(path)} was not sent to this page: upload it first")
    odd = [key for key, value in file.items() if key != "meta" and not _is_plain(value)]
    if odd or not isinstance(file.get("meta", {}), dict):
        raise InputError("the image has odd values beside its path: send the path alone")


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | bool | int)


def _shown(value: Any) -> str:
    """A value of a question, short."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
