"""The command that names images: devise-exp tag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from devise_exp.core.command import command, prints_result
from devise_exp.core.console import notify, printable
from devise_exp.core.errors import InputError
from devise_exp.ui.cli.arguments import RunArgument, Trust, WordSpace
from devise_exp.ui.cli.rankings import ranking
from devise_exp.ui.cli.result import Format, Output, Result, result_of

if TYPE_CHECKING:
    from devise_exp.search.neighbours import Neighbours
    from devise_exp.search.saved_run import Run
    from devise_exp.search.tagged_files import Name, TaggedFile

SHOWN = 10  # files that cannot be read, one line each; then their number


class Shown(NamedTuple):
    """What tags are called: in a table, in files, and the number beside them."""

    heading: str
    key: str
    number: str


LABEL = Shown("label", "label", "similarity")
WORD = Shown("word", "word", "similarity")
CLASSIFIER = Shown("pretraining class", "label", "probability")


@command
@prints_result
def tag(
    run: RunArgument,
    files: Annotated[
        list[Path],
        typer.Argument(help="Image files, or folders of them.", metavar="FILE|FOLDER..."),
    ],
    k: Annotated[
        int | None, typer.Option("-k", help="How many labels; 5, or all of fewer, unless given.")
    ] = None,
    among: Annotated[
        str, typer.Option(help="Which labels: all, seen or unseen.", metavar="all|seen|unseen")
    ] = "all",
    plain: Annotated[
        bool, typer.Option("--plain", help="Do not lower seen labels by the gamma of the run.")
    ] = False,
    vocabulary: Annotated[
        str | None,
        typer.Option(
            help="Words beyond the run's labels: all, or the N most frequent.", metavar="all|N"
        ),
    ] = None,
    space: WordSpace = "devise",
    form: Format = None,
    output: Output = None,
    trust: Trust = False,
) -> None:
    """Words for images: the run's labels, or any words; --space pretraining: ImageNet's classes.

    Seen labels beside unseen ones are lowered by the gamma that the run
    chose. A search has nothing to lower: a word is the same for all images.
    Images that cannot be read are listed, and the others are tagged. "none of
    the labels" is said of an image whose best cosine is under the run's threshold.
    """
    from devise_exp.search.saved_run import Run
    from devise_exp.search.tagged_files import list_images, tag_files
    from devise_exp.search.tags import calibration_line

    most_frequent, words = _vocabulary_size(vocabulary), vocabulary is not None
    _check_applies(space, among, plain)
    with result_of(form, output) as result:
        saved = Run.open(run, trust)
        line = calibration_line(saved, words, among, plain)
        saved.centre_in(space)  # an error before the network is built
        listed, notes = list_images(files)
        kinds = _kinds(saved, words, space)
        threshold = saved.none_threshold if kinds and among == "all" else None
        for note in notes:
            notify(note)
        if space == "pretraining" and not words:
            name, shown = _classifier_names(saved, k), CLASSIFIER
        else:
            name = _nearest_labels(saved, (k, words, most_frequent, among, plain, space))
            shown = WORD if words else LABEL
        n_broken = 0
        for tagged in tag_files(listed, name):
            n_broken += bool(tagged.error)
            if tagged.error and n_broken <= SHOWN:
                notify(f"skipped {tagged.path}: {tagged.error}")
            _write(tagged, shown, kinds, threshold, result)
        if n_broken > SHOWN:
            notify(f"skipped {n_broken:,} of {len(listed):,} images in all")
        result.end_items()
        if line and space == "devise":
            result.show(line)


def _kinds(run: Run, words: bool, space: str) -> dict[str, str]:
    """Label -> seen or unseen; none where words are neither."""
    if words or space == "pretraining":
        return {}
    return {record.name: "seen" if record.seen else "unseen" for record in run.folder.classes()}


def _nearest_labels(run: Run, options: tuple[Any, ...]) -> Name:
    """Name image files by the nearest labels or words; `options` are those of tag_images."""
    from devise_exp.search.tags import best_cosines, embed_files, tag_images

    def name(files: Sequence[Path]) -> tuple[Sequence[Neighbours], Sequence[float] | None]:
        vectors = embed_files(run, files, options[-1])
        tags = tag_images(run, vectors, *options)
        is_scored = options[-1] == "devise" and run.none_threshold is not None
        return tags, best_cosines(run, vectors).tolist() if is_scored else None

    return name


def _classifier_names(run: Run, k: int | None) -> Name:
    """Name image files by the backbone's own classifier."""
    from devise_exp.data.images import ImageFiles
    from devise_exp.search.tags import DEFAULT_TAGS

    def name(files: Sequence[Path]) -> tuple[Sequence[Neighbours], Sequence[float] | None]:
        n = DEFAULT_TAGS if k is None else k
        return run.name_images(ImageFiles(str(file) for file in files), n), None

    return name


def _write(
    tagged: TaggedFile,
    shown: Shown,
    kinds: Mapping[str, str],
    threshold: float | None,
    result: Result,
) -> None:
    """Give out the tags of one file; `threshold` is the largest cosine of none of the labels."""
    from devise_exp.data.file_names import portable

    image = portable(str(tagged.path))
    tags = [
        {shown.key: name, "kind": kinds.get(name), shown.number: round(number, 6)}
        for name, number in tagged.tags
    ]
    none, best = None, tagged.best
    if threshold is not None and best is not None:
        none = best < threshold
    rows = [
        (image, rank, *of_tag.values(), none, None) for rank, of_tag in enumerate(tags, start=1)
    ]
    heads = ("image", "rank", shown.key, "kind", shown.number, "none_of_the_labels", "error")
    result.rows(heads, rows or [(image, *[None] * 5, tagged.error)])
    item: dict[str, Any] = {"image": image, "tags": tags}
    if none is not None:
        item |= {"none_of_the_labels": none, "best_cosine": best, "threshold": threshold}
    result.item(item | ({"error": tagged.error} if tagged.error else {}))
    if tagged.error:
        return
    cells = [(name, *([kinds[name]] if kinds else []), number) for name, number in tagged.tags]
    headings = [shown.heading, *([""] if kinds else [])]
    result.show(printable(image))
    if none:
        result.show(f"none of the labels: the best cosine {best:.3f} is under {threshold:.3f}")
    result.show(ranking(headings, cells, shown.number))


def _check_applies(space: str, among: str, plain: bool) -> None:
    """InputError for options of the run's labels where words of a classifier are asked for."""
    if space != "pretraining":
        return
    for option, given in ((f"--among {among}", among != "all"), ("--plain", plain)):
        if given:
            raise InputError(
                f"{option} with --space pretraining: the words of the backbone's own classifier "
                "are neither seen nor unseen, and none is lowered: leave out one of the two"
            )


def _vocabulary_size(vocabulary: str | None) -> int | None:
    """The number of words that --vocabulary asks for, None for all."""
    if vocabulary in (None, "all"):
        return None
    if not str(vocabulary).isdecimal():
        raise InputError(f"--vocabulary {vocabulary}: give all or a number of words")
    return int(str(vocabulary))
