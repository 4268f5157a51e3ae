"""Other images for a finished run: which of them are evaluated, under which class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.console import notify, warn
from devise_exp.core.errors import InputError
from devise_exp.core.name_files import NameIndex, listed, read_pairs
from devise_exp.core.spelling import nearest_spellings
from devise_exp.data.dataset import ImageDataset
from devise_exp.data.images import ImageFiles
from devise_exp.data.scan import images_fingerprint
from devise_exp.pipelines.evaluated_layouts import read_layout
from devise_exp.pipelines.settings import EvaluatedFolder
from devise_exp.runs.folder import RunFolder
from devise_exp.text.label_options import as_names

_SHOWN = 3  # reasons why files were skipped, in a line


@dataclass(frozen=True, kw_only=True, eq=False)
class OtherImages:
    """The images of a folder that a run is evaluated on.

    Attributes:
        dataset: These images alone.
        class_ids: (N,) ids of their classes in the run.
        about: What the metrics rest on, where that is not the run's own data.
        content: What images.json says: classes and their numbers, and what was left out.
    """

    dataset: ImageDataset
    class_ids: np.ndarray
    about: dict[str, Any]
    content: dict[str, Any]


def read_other_images(run: RunFolder, options: EvaluatedFolder) -> OtherImages:
    """Read images, match their classes with the run's, leave out copies of training images.

    Args:
        run: The finished run.
        options: Where they are, and how they are read.

    Returns:
        The images that are left.

    Raises:
        InputError: If they cannot be read, has classes that the run lacks, or nothing is
            left to evaluate.
    """
    root = Path(str(options.root)).expanduser()
    whole = read_layout(run, root, options)
    names = [record.name for record in run.classes()]
    matched, unknown = match_classes(run, names, whole.classes)
    if unknown and (options.unknown == "error" or len(unknown) == len(whole.classes)):
        raise _unknown_classes(run, root, names, unknown, len(whole.classes))
    class_ids = matched[whole.labels]
    trained_on = run.training_contents()
    is_copy = _is_trained_on(whole, trained_on) & (class_ids >= 0)
    kept = np.flatnonzero((class_ids >= 0) & ~is_copy)
    copies = [whole.rows[row] for row in np.flatnonzero(is_copy).tolist()]
    if not len(kept):
        raise InputError(
            f"{root}: all {len(copies)} images are copies of images that {run.path} was trained or "
            f"validated on ({listed(copies, _SHOWN)}): give images that it was not trained on"
        )
    counts = Counter(class_ids[kept].tolist())
    content = {
        "root": str(root.resolve()),
        "images": {name: counts[i] for i, name in enumerate(names) if counts[i]},
        "classes_without_images": [name for i, name in enumerate(names) if not counts[i]],
        "unknown_classes": unknown,
        "copies_of_training_images": copies if trained_on is not None else "not checked",
        "skipped": list(whole.skipped),
    }
    _announce(run, whole, content, len(kept))
    dataset = _take(whole, kept)
    return OtherImages(
        dataset=dataset, class_ids=class_ids[kept], about=_about(dataset, content), content=content
    )


def match_classes(
    run: RunFolder, names: Sequence[str], classes: Sequence[str]
) -> tuple[np.ndarray, list[str]]:
    """Match the classes of a folder with those of a run, whose merges hold here too.

    Args:
        run: The run.
        names: (C,) names of its classes.
        classes: (F,) names of the folder's classes.

    Returns:
        (F,) ids of the run's classes, -1 for none; and the names of those that are none.
    """
    index, position = NameIndex(names), {name: i for i, name in enumerate(names)}
    merges = _merges(run, classes)
    ids = [
        position.get(index.find(name), position.get(index.find(merges.get(name, name)), -1))
        for name in classes
    ]
    unknown = [name for name, i in zip(classes, ids, strict=True) if i < 0]
    return np.array(ids, dtype=np.int64), unknown


def _merges(run: RunFolder, classes: Sequence[str]) -> dict[str, str]:
    """Class of the folder -> the class that it joins in the run, by the run's config."""
    options = run.config().get("labels")
    if not isinstance(options, DictConfig):
        return {}
    plain: Any = OmegaConf.to_container(options)
    merges = plain.get("merges")
    entries = as_names(merges, classes) if isinstance(merges, Mapping) else {}
    file = plain.get("merges_file")
    if file is not None and Path(str(file)).expanduser().is_file():
        entries |= as_names(read_pairs(str(file), "labels.merges_file"), classes)
    elif file is not None:
        warn(f"labels.merges_file={file} of the run is not there: its merges are not known here")
    return {name: value for name, value in entries.items() if isinstance(value, str)}


def _unknown_classes(
    run: RunFolder, root: Path, names: Sequence[str], unknown: Sequence[str], n: int
) -> InputError:
    """The line about class folders that are no class of the run."""
    near = nearest_spellings(unknown[0], names)
    hint = f"; near {unknown[0]}: {', '.join(near)}" if near else ""
    drop = "" if len(unknown) == n else ", or leave them out (data.unknown=drop)"
    return InputError(
        f"{root}: {len(unknown)} of its {n} classes are none of the {len(names)} classes of "
        f"{run.path}: {listed(unknown)} (the run has {listed(names, _SHOWN)}{hint}): name them "
        f"as the run's classes{drop}"
    )


def _is_trained_on(dataset: ImageDataset, trained_on: frozenset[str] | None) -> np.ndarray:
    """(N,) bool: whether an image is a copy of a training or validation image of the run."""
    if trained_on is None or dataset.contents is None:
        return np.zeros(len(dataset.rows), dtype=bool)
    return np.array([content in trained_on for content in dataset.contents], dtype=bool)


def _take(whole: ImageDataset, kept: np.ndarray) -> ImageDataset:
    """Take some rows; the fingerprint is that of these rows."""
    if len(kept) == len(whole.rows):
        return whole
    rows = tuple(whole.rows[row] for row in kept)
    assert isinstance(whole.images, ImageFiles)
    assert whole.contents is not None
    contents = tuple(whole.contents[row] for row in kept)
    # With the fingerprint of the files: features hang on them.
    hashes = (f"{whole.fingerprint} {content}".encode() for content in contents)
    return replace(
        whole,
        labels=whole.labels[kept],
        rows=rows,
        fingerprint=images_fingerprint(zip(rows, hashes, strict=True)),
        images=whole.images.take(kept.tolist()),
        contents=contents,
        looks=None,
        parts=None,
        groups=None,
    )


def _about(dataset: ImageDataset, content: Mapping[str, Any]) -> dict[str, Any]:
    """What the metrics rest on in place of the run's own data and split."""
    copies = content["copies_of_training_images"]
    return {
        "data": dataset.name,
        "data/root": content["root"],
        "data/images": len(dataset.rows),
        "data/skipped": len(content["skipped"]),
        "data/unknown_classes": len(content["unknown_classes"]),
        "data/classes_without_images": len(content["classes_without_images"]),
        "data/copies_of_training": copies if isinstance(copies, str) else len(copies),
        "split/name": "all images of the folder",
        "split/fingerprint": dataset.fingerprint,
    }


def _announce(run: RunFolder, whole: ImageDataset, content: Mapping[str, Any], n_kept: int) -> None:
    """Print what is evaluated and what is not."""
    images, missing = content["images"], content["classes_without_images"]
    notify(
        f"{n_kept} images of {content['root']}, in {len(images)} of the "
        f"{len(images) + len(missing)} classes of the run"
    )
    _tell("skipped", whole.skipped, _SHOWN)
    for remark in whole.remarks:
        warn(remark)
    _tell("left out, for they are no classes of the run:", content["unknown_classes"])
    copies = content["copies_of_training_images"]
    if isinstance(copies, str):
        warn(
            f"{run.path} does not say what its training images hold, so copies of them among these "
            "images are not left out"
        )
    else:
        _tell("left out, for the run was trained or validated on these images:", copies)
    _tell("classes of the run that have no image here, but stay labels:", missing)


def _tell(what: str, names: Iterable[str], n: int = 10) -> None:
    """Warn of names, if there are any."""
    if every := list(names):
        warn(f"{what} {listed(every, n)} ({len(every)})")
