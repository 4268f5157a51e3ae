"""Labels for image files, for images in memory, and for the images of a folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from PIL.Image import Image

from devise_exp.core.errors import InputError
from devise_exp.data.decoding import open_image
from devise_exp.data.file_names import image_endings, portable
from devise_exp.data.images import ImageFiles
from devise_exp.evaluation.protocols import MODEL
from devise_exp.methods.pretraining_words import PRETRAINING
from devise_exp.search.neighbours import Neighbours
from devise_exp.search.saved_run import Run
from devise_exp.search.tags import DEFAULT_TAGS, calibration_line, embed_files, tag_images
from devise_exp.ui.python.results import ImageLabel, ImageLabels

File = str | PathLike[str]
Images = File | Image | Iterable[File | Image]


def tagged(
    run: Run,
    images: Images,
    k: int | None,
    among: str,
    plain: bool,
    vocabulary: bool | int,
    space: str,
) -> ImageLabels:
    """Name images by the run's labels, or by words.

    Args:
        run: The run.
        images: An image file, an image in memory, a folder, or several of these.
        k: Number of labels of each; None: 5, or all of fewer.
        among: Which labels: all, seen or unseen.
        plain: Do not lower seen labels by the gamma of the run.
        vocabulary: True for words of the whole vocabulary, a number for so many of the most
            frequent ones.
        space: "devise" or "pretraining".

    Returns:
        The labels.

    Raises:
        InputError: For an unreadable image, a wrong k or space, unknown labels.
    """
    words = vocabulary is not False
    most_frequent = None if isinstance(vocabulary, bool) else vocabulary
    _check_applies(space, among, plain)
    note = calibration_line(run, words, among, plain) if space == MODEL else ""
    run.centre_in(space)  # an error before the network is built
    shown = _named(images)
    if space == PRETRAINING and not words:
        decoded = [_opened(image) for image in shown.values()]
        ranked = run.name_images(decoded, DEFAULT_TAGS if k is None else k)
    else:
        vectors = _embedded(run, list(shown.values()), space)
        ranked = tag_images(run, vectors, k, words, most_frequent, among, plain, space)
    named = space == MODEL and not words
    kinds = {c.name: "seen" if c.seen else "unseen" for c in run.folder.classes()} if named else {}
    return ImageLabels(_records(list(shown), ranked, kinds), shown, note)


def _check_applies(space: str, among: str, plain: bool) -> None:
    """InputError for options of the run's labels where words of a classifier are asked for."""
    for option, given in ((f"among={among!r}", among != "all"), ("plain=True", plain)):
        if space == PRETRAINING and given:
            raise InputError(
                f"{option} with space={space!r}: the words of the backbone's own classifier are "
                "neither seen nor unseen, and none is lowered: leave out one of the two"
            )


def _named(images: Images) -> dict[str, Path | Image]:
    """The images by the names that they are shown under."""
    several = [images] if isinstance(images, str | PathLike | Image) else images
    named: dict[str, Path | Image] = {}
    for image in several:
        if isinstance(image, Image):
            named[f"image {len(named)}"] = image
            continue
        if not isinstance(image, str | PathLike):
            raise InputError(
                f"{type(image).__name__}: no image: give a file, a folder or an image of Pillow "
                "(Image.fromarray makes one of an array)"
            )
        named |= {portable(str(path)): path for path in _files(Path(image).expanduser())}
    if not named:
        raise InputError("no image is given: give a file, a folder, an image, or several of these")
    return named


def _files(path: Path) -> Sequence[Path]:
    """A file, or the image files in a folder."""
    if not path.is_dir():
        return [path]
    files = sorted(p for p in path.rglob("*") if p.suffix.lower() in image_endings())
    if not files:
        raise InputError(f"{path}: there is no image in this folder: give another one")
    return files


def _embedded(run: Run, images: Sequence[Path | Image], space: str) -> np.ndarray:
    """(N, D) the images as a gallery has them; those that the run has evaluated as it stored."""
    files = [(i, image) for i, image in enumerate(images) if isinstance(image, Path)]
    vectors: dict[int, np.ndarray] = {}
    if files:
        for _, file in files:  # an unreadable one is an error before the network is built
            open_image(file)
        of_files = embed_files(run, [file for _, file in files], space)
        vectors |= dict(zip((i for i, _ in files), of_files, strict=True))
    others = [i for i in range(len(images)) if i not in vectors]
    if others:
        of_others = run.embed([_opened(images[i]) for i in others])[space]
        vectors |= dict(zip(others, of_others, strict=True))
    return np.stack([vectors[i] for i in range(len(images))])


def _opened(image: Path | Image) -> Image:
    """The image as RGB."""
    return image.convert("RGB") if isinstance(image, Image) else ImageFiles([str(image)])[0]


def _records(
    names: Sequence[str], ranked: Sequence[Neighbours], kinds: dict[str, str]
) -> list[ImageLabel]:
    return [
        ImageLabel(
            image=name, rank=rank, label=label, similarity=similarity, kind=kinds.get(label, "")
        )
        for name, neighbours in zip(names, ranked, strict=True)
        for rank, (label, similarity) in enumerate(neighbours, start=1)
    ]
