"""A finished run in Python: its metrics and tables, and answers to questions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import escape
from PIL.Image import Image

from devise_exp.core.arguments import checks_arguments
from devise_exp.core.console import printable
from devise_exp.core.errors import InputError, input_errors
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import MetricName
from devise_exp.search import saved_run
from devise_exp.ui.python.metrics import Metrics
from devise_exp.ui.python.results import (
    FoundImages,
    ImageLabels,
    NearWord,
    Results,
    found_images,
)
from devise_exp.ui.python.tables import ShownTable, html_of

if TYPE_CHECKING:
    from devise_exp.reports.html.shown_run import ShownRun
    from devise_exp.search.gallery_sync import SyncReport
    from devise_exp.ui.python.predicted import RunPredictions

File = str | PathLike[str]
Images = File | Image | Iterable[File | Image]
_HEADLINES = {
    "seen": MetricName("seen", "hit", 1, "class"),
    "unseen": MetricName("unseen", "hit", 1, "class"),
    "calibrated H": MetricName("calibrated", "H", 1),
}
_NAMES = ("data", "backbone", "word_vectors")
TABLES = ("hits", "methods")


class Run(saved_run.Run):
    """A finished run, as `devise_exp.train` and `devise_exp.open_run` return it.

    Args:
        folder: The run folder.
    """

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    @cached_property
    def metrics(self) -> Metrics:
        """The metrics of metrics.json: by name, as records, and as a pandas table."""
        with input_errors():
            return Metrics(self._shown.report)

    @checks_arguments
    def table(self, kind: str = "hits") -> ShownTable:
        """Make a table of the run.

        Args:
            kind: "hits", the table that a training prints; or "methods", a line for each method.

        Returns:
            The table.

        Raises:
            InputError: For another kind, or if a file of the run is damaged.
        """
        if kind == "hits":
            return self.metrics.table()
        if kind == "methods":
            from devise_exp.ui.python.comparison import shown_comparison

            return shown_comparison(self._shown.comparison)
        raise InputError(f"table {kind!r}: there is none: choose among {', '.join(TABLES)}")

    @checks_arguments
    def search(
        self,
        text: str = "",
        image: Images | None = None,
        among: File = "all",
        k: int | None = None,
        space: str = MODEL,
        image_root: File | None = None,
    ) -> FoundImages:
        """Find the images nearest to words, to images, or to both together.

        Args:
            text: Words, such as "ocean", "horse -grass" or "2*cat sofa".
            image: An image file, an image of Pillow, or several of these to search by as well.
            among: A part of the run's images (all, val, test, unseen), or a folder that
                `index_folder` has indexed.
            k: Number of images; None: 12, or all of fewer.
            space: "devise", or "pretraining", the words of the backbone's own classifier.
            image_root: Where the images are, if not where they were in training.

        Returns:
            The images, nearest first.

        Raises:
            InputError: For an empty query, a word without a vector, an unreadable image, or a wrong
                k, part or space.
        """
        from devise_exp.search.answers import find_images
        from devise_exp.search.far_words import far_line
        from devise_exp.ui.python.tagging import query_images

        with input_errors():
            root = None if image_root is None else Path(image_root)
            images = query_images(image)
            answer = find_images(self, text, images, fspath(among), k, space, root)
            remedy = "try space='pretraining'" if "pretraining" in self.spaces else ""
            return found_images(answer, far_line(answer.far, remedy) if answer.far else "")

    @checks_arguments
    def similar(
        self,
        image: Images,
        among: File = "all",
        k: int | None = None,
        space: str = MODEL,
        image_root: File | None = None,
    ) -> FoundImages:
        """Find the images nearest to an image, or to what several have in common; without these.

        Args:
            image: An image file, an image of Pillow, or several of these.
            among: As for search.
            k: As for search.
            space: "devise", "pretraining", "backbone" or "classifier", of those in `spaces`.
            image_root: As for search.

        Returns:
            The images, nearest first.

        Raises:
            InputError: For an unreadable image, or a wrong k, part or space.
        """
        images = [] if image is None else image  # a search without words needs one
        return self.search("", images, among, k, space, image_root)

    @checks_arguments
    def tag(
        self,
        images: Images,
        k: int | None = None,
        among: str = "all",
        plain: bool = False,
        vocabulary: bool | int = False,
        space: str = MODEL,
    ) -> ImageLabels:
        """Name images by the run's labels, or by any words.

        Args:
            images: An image file, an image in memory, a folder, or several of these.
            k: Number of labels of each; None: 5, or all of fewer.
            among: Which labels: all, seen or unseen.
            plain: Do not lower seen labels by the gamma of the run.
            vocabulary: True: words of the whole vocabulary instead; a number: of so many of the
                most frequent words.
            space: "devise", or "pretraining", the words of the backbone's own classifier.

        Returns:
            Labels with the similarity that ranks them, nearest first.

        Raises:
            InputError: For an unreadable image, a wrong k or space, unknown labels.
        """
        from devise_exp.ui.python.tagging import tagged

        with input_errors():
            return tagged(self, images, k, among, plain, vocabulary, space)

    @checks_arguments
    def words(
        self, text: str, k: int | None = None, most_frequent: int | None = None
    ) -> Results[NearWord]:
        """Find the words nearest to a text in the run's word vectors.

        Args:
            text: Words, such as "king -man +woman".
            k: Number of words; None: 10.
            most_frequent: Search so many of the most frequent words only.

        Returns:
            The words, nearest first.

        Raises:
            InputError: For a word without a vector, or a wrong number.
        """
        from devise_exp.search.answers import nearest_words

        with input_errors():
            neighbours = nearest_words(self, text, k, most_frequent)
        records = [
            NearWord(rank=i, word=word, similarity=similarity)
            for i, (word, similarity) in enumerate(neighbours, start=1)
        ]
        return Results(records, NearWord, f"words near {text}")

    @checks_arguments
    def index_folder(self, folder: File) -> SyncReport:
        """Make a folder of images searchable; call it again after the folder has changed.

        Args:
            folder: A folder of images, with or without classes.

        Returns:
            What has changed.

        Raises:
            InputError: If the folder holds no image, or another process indexes it.
        """
        with input_errors():
            return super().index_folder(Path(folder))

    @checks_arguments
    def predictions(
        self,
        k: int = 5,
        protocol: str | None = None,
        methods: bool = False,
        max_images: int | None = 50_000,
    ) -> RunPredictions:
        """Take what the model says of every evaluated image, from the stored embeddings.

        Args:
            k: Number of labels of an image, or all of fewer.
            protocol: One protocol, such as "unseen" or "calibrated_unseen"; None: all.
            methods: Those of the other methods too.
            max_images: The most images of a part, evenly spread; None: all.

        Returns:
            The predictions; as a pandas table, the columns of predictions.csv.

        Raises:
            InputError: For a wrong k or protocol, or a damaged run folder.
        """
        from devise_exp.ui.python.predicted import run_predictions

        with input_errors():
            return run_predictions(self.folder, k, protocol, methods, max_images)

    @cached_property
    def _shown(self) -> ShownRun:
        from devise_exp.reports.html.shown_run import ShownRun

        return ShownRun(self.path)

    def __repr__(self) -> str:
        return f"<Run {printable(self.path)}{_headline(self)}>"

    def _repr_html_(self) -> str:
        try:
            table, about = self.table("methods").shown, self.metrics.about
        except InputError as error:  # what shows a run fails nothing
            return f"<p>{escape(printable(self.path))}: {escape(str(error))}</p>"
        rests_on = " · ".join(f"{key} {printable(value)}" for key, value in about.items())
        note = f"{table.note} {rests_on}"
        return html_of(replace(table, title=repr(self).strip("<>"), note=note))


def _headline(run: Run) -> str:
    """The first metrics of a run; none if its files are damaged."""
    try:
        values = {title: run.metrics.get(name.key) for title, name in _HEADLINES.items()}
        about = run.metrics.about
    except InputError:
        return ""
    names = ", ".join(printable(about[key]) for key in _NAMES if key in about)
    shown = ", ".join(f"{title} {v:.3f}" for title, v in values.items() if v is not None)
    return f": {names}{'; ' if shown else ''}{shown}"
