"""The folder that keeps what a search has found, a folder of its own for each question."""

from __future__ import annotations

import re
from pathlib import Path

from devise_exp.core.files import fingerprint

MAX_NAME_LENGTH = 80  # letters of a folder that is named after a query
# Words that a name gets from elsewhere than the text.
_TAKEN = {"minus", "like", "all", "val", "test", "unseen", "backbone", "classifier", "devise",
    "pretraining",
}  # fmt: skip


def search_folder(
    run: Path, text: str = "", image: Path | None = None, gallery: str = "all", space: str = ""
) -> Path:
    """Name the folder of a question.

    Args:
        run: The run folder.
        text: The words.
        image: The image file.
        gallery: A part of the run, or an indexed folder.
        space: What images are compared in, "" for a search by words in the trained space.

    Returns:
        RUN/searches/<name>: a minus becomes the word. A text of other than plain words, an image,
        or a folder adds a number, by which questions of one name differ.

    Example:
        >>> search_folder(Path("run"), "horse -grass", gallery="test").name
        'horse_minus_grass_test'
        >>> search_folder(Path("run"), "horse minus grass").name
        'horse_minus_grass_29f04d0a'
    """
    from devise_exp.search.saved_run import PARTS

    whole = gallery if gallery in PARTS else str(Path(gallery).expanduser().resolve())
    named = [text, image.stem if image else "", Path(whole).name, space]
    if space and image and not text:
        named[0] = "like"
    shown = " ".join(part for part in named if part not in ("", "all", "devise"))
    plain = re.sub(r"(?:^|(?<=\s))[-−]\s*", "minus ", shown).replace("*", "x")
    name = re.sub(r"[^\w.+-]+", "_", plain).strip("._")[:MAX_NAME_LENGTH].rstrip("._")
    is_plain = re.fullmatch(r"-?[a-z]+( -?[a-z]+)*", text) and not _TAKEN & {
        *re.split("[- ]", text)
    }
    if image or whole not in PARTS or not is_plain or len(text) > MAX_NAME_LENGTH - 20:
        path = str(image.expanduser().resolve()) if image else ""
        name = f"{name or 'search'}_{fingerprint(chr(0).join((text, path, whole, space)), size=4)}"
    return run / "searches" / name
