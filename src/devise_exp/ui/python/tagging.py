"""Labels for image files, for images in memory, and for the images of a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from PIL.Image import Image

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.data.file_names import portable
from devise_exp.data.images import ImageFiles
from devise_exp.evaluation.protocols import MODEL
from devise_exp.methods.pretraining_words import PRETRAINING
from devise_exp.search.neighbours import Neighbours
from devise_exp.search.saved_run import Run
from devise_exp.search.tagged_files import list_images, tag_files
from devise_exp.search.tags import (
    DEFAULT_TAGS,
    best_cosines,
    calibration_line,
    embed_files,
    tag_images,
)
from devise_exp.ui.python.results import ImageLabel, ImageLabels

File = str | PathLike[str]
Images = File | Image | Iterable[File | Image]
# Files, or images in memory, to the tags of each, and the best cosine of each if it is asked for.
Name = Callable[[Sequence[Any]], tuple[Sequence[Neighbours], Sequence[float] | None]]
Tags = dict[str, tuple[Neighbours, float | None]]


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
    options = (k, words, most_frequent, among, plain, space)
    name = _by_classifier(run, k) if space == PRETRAINING and not words else _by(run, options)
    tags, broken = _tags(shown, name)
    named = space == MODEL and not words
    kinds = {c.name: "seen" if c.seen else "unseen" for c in run.folder.classes()} if named else {}
    threshold = run.none_threshold if named and among == "all" else None
    notes = [note] if note else []
    notes += [f"{len(broken):,} images cannot be read: {listed(broken)}"] if broken else []
    readable = {text: image for text, image in shown.items() if text in tags}
    return ImageLabels(_records(tags, kinds, threshold), readable, "; ".join(notes))


def query_images(images: Images | None) -> tuple[Path | Image, ...]:
    """Take the images of a query.

    Args:
        images: An image file, an image in memory, or several of these; None for no image.

    Returns:
        Files and images.

    Raises:
        InputError: One is neither, or the list is empty.
    """
    if images is None:
        return ()
    if not (taken := tuple(map(_path_or_image, _several(images)))):
        raise InputError("no image is given: give a file, an image of Pillow, or several of these")
    return taken


def _several(images: Images) -> Iterable[object]:
    """Several images, or the one that there is; bytes are neither."""
    is_one = isinstance(images, str | bytes | PathLike | Image)
    return [images] if is_one or not isinstance(images, Iterable) else images


def _path_or_image(image: object) -> Path | Image:
    """A path without ~; InputError for what is neither."""
    if isinstance(image, Image):
        return image
    if isinstance(image, str | PathLike):
        return Path(image).expanduser()
    raise InputError(
        f"{type(image).__name__}: no image: give a file, a folder or an image of Pillow "
        "(Image.fromarray makes one of an array)"
    )


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
    named: dict[str, Path | Image] = {}
    for image in map(_path_or_image, _several(images)):
        if isinstance(image, Image):
            named[f"image {len(named)}"] = image.convert("RGB")
            continue
        paths, _ = list_images([image])
        named |= {portable(str(path)): path for path in paths}
    if not named:
        raise InputError("no image is given: give a file, a folder, an image, or several of these")
    return named


def _tags(shown: Mapping[str, Path | Image], name: Name) -> tuple[Tags, list[str]]:
    """The tags of images in their order with the best cosine, and the files that are not read."""
    tags: Tags = {}
    broken = []
    files = [image for image in shown.values() if isinstance(image, Path)]
    for tagged_file in tag_files(files, name) if files else ():
        text = portable(str(tagged_file.path))
        if tagged_file.error:
            broken.append(f"{text} ({tagged_file.error})")
        else:
            tags[text] = tagged_file.tags, tagged_file.best
    others = {text: image for text, image in shown.items() if isinstance(image, Image)}
    if others:
        of_others, cosines = name(list(others.values()))
        best = [None] * len(others) if cosines is None else cosines
        tags |= dict(zip(others, zip(of_others, best, strict=True), strict=True))
    return {text: tags[text] for text in shown if text in tags}, broken


def _by(run: Run, options: tuple[Any, ...]) -> Name:
    """Tag images by the nearest labels or words; `options` are those of tag_images."""
    space = options[-1]
    is_scored = space == MODEL and run.none_threshold is not None

    def name(images: Sequence[Any]) -> tuple[Sequence[Neighbours], Sequence[float] | None]:
        in_memory = isinstance(images[0], Image)
        vectors = run.embed(images)[space] if in_memory else embed_files(run, images, space)
        best = best_cosines(run, vectors).tolist() if is_scored else None
        return tag_images(run, vectors, *options), best

    return name


def _by_classifier(run: Run, k: int | None) -> Name:
    """Tag images by the backbone's own classifier."""

    def name(images: Sequence[Any]) -> tuple[Sequence[Neighbours], Sequence[float] | None]:
        in_memory = isinstance(images[0], Image)
        opened = images if in_memory else ImageFiles(str(file) for file in images)
        return run.name_images(opened, DEFAULT_TAGS if k is None else k), None

    return name


def _records(tags: Tags, kinds: Mapping[str, str], threshold: float | None) -> list[ImageLabel]:
    return [
        ImageLabel(
            image=name,
            rank=rank,
            label=label,
            similarity=similarity,
            kind=kinds.get(label, ""),
            none_of_the_labels=None if threshold is None or best is None else best < threshold,
        )
        for name, (neighbours, best) in tags.items()
        for rank, (label, similarity) in enumerate(neighbours, start=1)
    ]
