"""What a run looks at first: images, the words of their classes and the split, without torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig

from devise_exp.core.console import notify
from devise_exp.core.errors import InputError, as_input_error
from devise_exp.core.user_code import user_errors
from devise_exp.data.copies import SplitImages, split_images
from devise_exp.data.dataset import ImageDataset, labelled_rows
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.layout_choice import NoPartsError
from devise_exp.data.listing import on_listing
from devise_exp.data.splits import Split
from devise_exp.data.subset import subset
from devise_exp.pipelines.class_words import ClassWords
from devise_exp.pipelines.few_classes import require_classes
from devise_exp.pipelines.outputs import check_folder, holds_run, remove_empty
from devise_exp.pipelines.resumed import check_goes_on
from devise_exp.pipelines.settings import read_settings
from devise_exp.pipelines.user_parts import built, use_user_parts, user_target
from devise_exp.runs.folder import RunFolder
from devise_exp.text.resolution import Resolution
from devise_exp.text.text_vectors import SentenceVectors
from devise_exp.text.word_vectors.vectors import WordVectors


@dataclass(frozen=True, kw_only=True)
class LabelledImages:
    """Images and the words of their classes, those without a word vector too.

    Attributes:
        whole: The dataset as it was read.
        dataset: Without what config.subset leaves out.
        class_ids: (N,) per row of dataset, positions in `resolutions`.
        resolutions: The words of each class.
        vocabulary: The word vectors.
    """

    whole: ImageDataset
    dataset: ImageDataset
    class_ids: np.ndarray
    resolutions: tuple[Resolution, ...]
    vocabulary: WordVectors

    def with_word_vectors(
        self, classes: Collection[str] | None = None
    ) -> tuple[np.ndarray, tuple[Resolution, ...]]:
        """Leave out classes without a word vector.

        Args:
            classes: Names of the classes to keep; None: all.

        Returns:
            (N,) class ids, -1 for a class left out, and the resolutions of the classes kept.
        """
        kept = [
            i
            for i, resolution in enumerate(self.resolutions)
            if resolution.rule != "missing" and (classes is None or resolution.name in classes)
        ]
        position = np.full(len(self.resolutions), -1)
        position[kept] = np.arange(len(kept))
        return position[self.class_ids], tuple(self.resolutions[i] for i in kept)


def first_look(config: DictConfig, folder: Path) -> LabelledImages | None:
    """Check what a person most often gets wrong, in the time that importing torch would take.

    Options come first, then the runs that they name, the folder of the images, and the words of
    their classes.

    Args:
        config: Of train.py.
        folder: Of the run; removed if it is empty and something is wrong.

    Returns:
        The images; None of a run that goes on, whose config may be another.

    Raises:
        InputError: If an option is wrong, or images, words and split do not fit together.
    """
    try:
        read_settings(config)
        if config.resume is not None:
            check_goes_on(config.resume)
            return None
        use_user_parts(config)
        check_folder(folder)
        if holds_run(folder):
            return None
        if config.hyperparameters_from is not None and config.split_seeds == 1:
            RunFolder.existing(str(config.hyperparameters_from))
        labelled = read_labelled(config, config.labels.on_missing)
        if not draws_clean(config):  # the audit needs the backbone, and with it torch
            require_classes(config, draw_split(config, labelled))
    except BaseException:
        remove_empty(folder)
        raise
    return labelled


def read_labelled(config: DictConfig, on_missing: str, strict: bool = True) -> LabelledImages:
    """Read images, merge their classes and resolve those to words.

    Args:
        config: Of train.py.
        on_missing: What happens to classes without a word vector: error, drop or nearest.
        strict: Whether two classes of the same words, or one without any, are an error.

    Returns:
        The images with the words of their classes.
    """
    words = ClassWords(config, on_missing, strict)
    with on_listing(words.look_at) if words.all_count else nullcontext():
        whole = read_images(config)
    with as_input_error("subset"):
        dataset = subset(whole, **config.subset)
    merged, resolutions = words.of(whole.classes, dataset.classes)
    vocabulary = words.vocabulary
    if isinstance(vocabulary, SentenceVectors) and (line := vocabulary.cut_line(resolutions)):
        notify(line)
    return LabelledImages(
        whole=whole,
        dataset=dataset,
        class_ids=merged[dataset.labels],
        resolutions=resolutions,
        vocabulary=vocabulary,
    )


def read_images(config: DictConfig) -> ImageDataset:
    """Read the images of a config; a split of published parts implies data.parts=keep.

    Args:
        config: Of train.py.

    Returns:
        The dataset.

    Raises:
        InputError: If parts are kept that the split would not use.
    """
    target = str(config.split.get("_target_"))
    takes_parts = target.endswith(".folders_split") or (
        target.endswith(".base_to_new_split") and config.split.get("test_share") is None
    )
    name = config.split.get("name", "base_to_new")
    parts = config.data.get("parts")
    deals_anew = target.startswith("devise_exp.") and not takes_parts and not draws_clean(config)
    if parts == "keep" and deals_anew:
        raise InputError(
            "data.parts=keep: this split deals the images anew, across the parts: give "
            "split=official, or data.parts=join"
        )
    if parts == "join" and takes_parts:
        raise InputError(
            f"data.parts=join: split={name} takes the parts as they are: leave out data.parts, or "
            "give another split, such as split=random"
        )
    implied = {"parts": "keep"} if takes_parts and "parts" in config.data and not parts else {}
    try:
        return built(instantiate(config.data, **implied), ImageDataset, "data", config)
    except InstantiationException as error:
        wrong = error.__cause__
        while isinstance(wrong, InstantiationException):  # of word vectors, asked for by the images
            wrong = wrong.__cause__
        if not isinstance(wrong, InputError):
            raise
        if implied and isinstance(wrong, NoPartsError):
            wrong = NoPartsError(wrong.title, f"split={name}")
    raise wrong  # not above: each of the two would be the reason of the other


def draws_clean(config: DictConfig) -> bool:
    """Tell whether the split draws its unseen classes by the verdicts of the overlap audit.

    Args:
        config: Of train.py.

    Returns:
        Whether it does.
    """
    return str(config.split.get("_target_")).endswith(".clean_split")


def read_split(
    config: DictConfig,
    labelled: LabelledImages,
    with_missing: bool = False,
    verdicts: Mapping[str, str] | None = None,
) -> SplitImages:
    """Split the classes that have a word vector into seen and unseen, no image on two sides.

    Args:
        config: Of train.py.
        labelled: The images.
        with_missing: Whether classes without one take part, as they will once they have an alias.
        verdicts: Class name -> the kind of its verdict in the overlap audit; None if that is
            unknown.

    Returns:
        The split with its rows, and the copies among these.
    """
    data = replace(_rows(labelled, with_missing), verdicts=verdicts)
    copies = config.get("copies") or {}  # a run of an earlier version has none
    with as_input_error("split"), user_errors("split", user_target(config, "split")):
        return split_images(data, _splitter(config), labelled.dataset.looks, **copies)


def draw_split(config: DictConfig, labelled: LabelledImages, with_missing: bool = False) -> Split:
    """Split as `read_split`, but do not look for copies, which may take longer.

    Args:
        config: Of train.py.
        labelled: The images.
        with_missing: As for `read_split`.

    Returns:
        The split, with rows that copies may move.
    """
    with as_input_error("split"), user_errors("split", user_target(config, "split")):
        return _splitter(config)(_rows(labelled, with_missing))


def _splitter(config: DictConfig) -> Callable[[LabelledRows], Split]:
    """The function that splits, whose result is checked."""
    split = instantiate(config.split)
    return lambda data: built(split(data), Split, "split", config)


def _rows(labelled: LabelledImages, with_missing: bool) -> LabelledRows:
    """What a split may know of the images."""
    class_ids, resolutions = labelled.class_ids, labelled.resolutions
    if not with_missing:
        class_ids, resolutions = labelled.with_word_vectors()
    return labelled_rows(labelled.dataset, [r.name for r in resolutions], class_ids)
