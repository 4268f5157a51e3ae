"""What the page shows for a query: a line, tags and thumbnails, or one line on what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from PIL import Image

from devise_exp.core.console import format_error, notify
from devise_exp.core.errors import user_message
from devise_exp.data.decoding import open_image
from devise_exp.evaluation.protocols import MODEL
from devise_exp.methods.pretraining_words import PRETRAINING
from devise_exp.reports.contact_sheet import THUMBNAIL, Tile, thumbnail
from devise_exp.search.answers import Hit, find_images
from devise_exp.search.far_words import far_line
from devise_exp.search.saved_run import Run
from devise_exp.search.tags import calibration_line, tag_images

TAGS = 8
NAMES = 3  # of the backbone's own classifier
_HEADINGS = {PRETRAINING: "What the backbone calls it"}
DEFAULT_VOCABULARY = 50_000  # of rarer words, one is near any image by chance
WELCOME = "Ask by words, by an image, or by both together."

Thumbnails = list[tuple[Image.Image, str]]  # thumbnails with their captions


def answer_query(
    run: Run,
    text: str,
    file: Path | None,
    gallery: str,
    k: int,
    calibrated: bool = True,
    image_root: Path | None = None,
    space: str = MODEL,
) -> tuple[str, str, Image.Image | None, Thumbnails]:
    """Answer a query of the page.

    Args:
        run: The run.
        text: The words.
        file: The image file.
        gallery: Name of the gallery that is searched.
        k: Largest number of hits.
        calibrated: Whether the tags of the image are calibrated.
        image_root: Folder of the run's images, if they are elsewhere than in training.
        space: Space of words that images are compared in.

    Returns:
        The line above and the tags as HTML, the query image, and the hits.
    """
    tags, thumb = "", None
    if not text.strip() and file is None:
        return line_html(WELCOME), tags, thumb, []
    try:
        if file is not None:
            image = open_image(file, file.name)
            thumb = thumbnail(Tile(image, file.name), THUMBNAIL)
            tags = _tags(run, image, calibrated)
        n = min(k, len(run.gallery(gallery, space)))
        answer = find_images(run, text, file, gallery, n, space, image_root)
    except Exception as error:
        line = user_message(error)
        if line is None:  # a fault of the program: said once here, and once in the log
            line = f"no answer: {format_error(error)}"
            notify(f"{line}: {text!r}")
        return line_html(line, "problem"), tags, thumb, []
    line = f"{answer.reading}: the nearest {len(answer.hits)} of {answer.n:,} images ({gallery})"
    if answer.far:
        remedy = "try Compare in: pretraining" if PRETRAINING in run.spaces else ""
        line = f"{line}. {far_line(answer.far, remedy)}"
    return line_html(line), tags, thumb, [_thumbnail(hit) for hit in answer.hits]


def _thumbnail(hit: Hit) -> tuple[Image.Image, str]:
    name, similarity = hit.row.label or hit.row.name, f"{hit.similarity:.3f}"
    file = Path(hit.row.path) if hit.row.path else None
    return thumbnail(Tile(file, hit.row.name, similarity), THUMBNAIL), f"{similarity} {name}"


def _tags(run: Run, image: Image.Image, calibrated: bool) -> str:
    """Labels of the run, words of its vocabulary, and what the backbone calls the image."""
    vector = run.embed([image])[MODEL]  # (1, D)
    plain, n_labels = not calibrated, min(TAGS, len(run.class_vectors))
    labels = tag_images(run, vector, n_labels, plain=plain)[0]
    html = _chips("classes", labels, calibration_line(run, plain=plain))
    if n := min(DEFAULT_VOCABULARY, len(run.vocabulary)):
        words = tag_images(run, vector, min(TAGS, n), vocabulary=True, most_frequent=n)[0]
        html += _chips("words", words)
    if PRETRAINING in run.spaces:
        names = run.name_images([image], NAMES)[0]
        html += _chips(PRETRAINING, names, "by the backbone's own classifier")
    return html


def _chips(kind: str, tags: Sequence[tuple[str, float]], note: str = "") -> str:
    chips = (f"<li>{escape(name)} <b>{similarity:.2f}</b></li>" for name, similarity in tags)
    heading = _HEADINGS.get(kind, f"Nearest {kind}")
    below = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'<h2>{heading}</h2><ul class="chips {kind}">{"".join(chips)}</ul>{below}'


def line_html(line: str, kind: str = "answer") -> str:
    """Format the line above the hits.

    Args:
        line: Its text.
        kind: answer or problem.

    Returns:
        The line as HTML.
    """
    return f'<p class="{kind}" role="status">{escape(line)}</p>'
