"""An exported model in Python: the folder of `export --format hub`, read back."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

from PIL.Image import Image

from devise_exp.core.arguments import checks_arguments
from devise_exp.core.console import printable
from devise_exp.core.errors import input_errors
from devise_exp.data.decoding import open_image
from devise_exp.data.file_names import portable
from devise_exp.pipelines.export.hub_model import HubModel
from devise_exp.pipelines.export.hub_reading import open_hub_folder as read_folder
from devise_exp.search.tagged_files import list_images
from devise_exp.ui.python.results import ImageLabel, ImageLabels
from devise_exp.ui.python.tagging import query_images

File = str | PathLike[str]


class ExportedModel:
    """An exported model, which names images as its run did.

    Args:
        path: The folder.
        model: What it holds.
    """

    def __init__(self, path: Path, model: HubModel) -> None:
        self.path, self.model = path, model

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.model.labels

    @property
    def about(self) -> dict[str, Any]:
        """What the run rested on: data, backbone, word vectors, split."""
        return dict(self.model.about)

    @checks_arguments
    def tag(
        self, images: File | Image | Iterable[File | Image], k: int = 5, plain: bool = False
    ) -> ImageLabels:
        """Name images by the labels of the run.

        Args:
            images: An image file, an image of Pillow, a folder, or several of these.
            k: Number of labels of each, or all of fewer.
            plain: Do not lower seen labels by the gamma of the run.

        Returns:
            Labels with the similarity that ranks them, nearest first.

        Raises:
            InputError: For an unreadable image, or a wrong k.
        """
        with input_errors():
            shown: dict[str, Path | Image] = {}
            for image in query_images([] if images is None else images):
                if isinstance(image, Image):
                    shown[f"image {len(shown)}"] = image
                else:
                    shown |= {portable(str(path)): path for path in list_images([image])[0]}
            opened = [open_image(i) if isinstance(i, Path) else i for i in shown.values()]
            tags = self.model.name_images(opened, k, plain)
        kinds = dict(zip(self.labels, self.model.seen.tolist(), strict=True))
        records = [
            ImageLabel(
                image=name,
                rank=rank,
                label=label,
                similarity=similarity,
                kind="seen" if kinds[label] else "unseen",
            )
            for name, of_image in zip(shown, tags, strict=True)
            for rank, (label, similarity) in enumerate(of_image, start=1)
        ]
        return ImageLabels(records, shown)

    def __repr__(self) -> str:
        n, unseen = len(self.labels), int((~self.model.seen).sum())
        return f"<ExportedModel {printable(self.path)}: {n} labels, {unseen} of them unseen>"


@checks_arguments
def open_hub_folder(path: File) -> ExportedModel:
    """Open a folder that `devise-exp export RUN --format hub` has written.

    Its weights are safetensors and its config is JSON: nothing in it is executed.

    Args:
        path: The folder.

    Returns:
        The model.

    Raises:
        InputError: The path is no such folder, is damaged, or holds parts of a user's own.

    Example:
        >>> open_hub_folder("nowhere")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        devise_exp.core.errors.InputError: nowhere: no folder of an export...
    """
    folder = Path(path).expanduser()
    with input_errors():
        return ExportedModel(folder, read_folder(folder))
